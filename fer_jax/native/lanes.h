// What both kinds of convolution share: registers of LANES images, threads, scratch memory, packed maps.
//
// A register holds one pixel of LANES images. The direct convolution packs every map first: padded, and cut into slices of
// LANES images, (slice, channel, row, column, LANES), so that the inner loops meet neither borders nor strides.

#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace fer {

#if defined(__AVX512F__)
constexpr int LANES = 16;
constexpr bool MANY_REGISTERS = true;  // 32 of them
#else
constexpr int LANES = 8;
constexpr bool MANY_REGISTERS = false;
#endif
typedef float Vec __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t IntVec __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef uint8_t ByteVec __attribute__((vector_size(LANES)));

inline Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
// Copies of `lanes` values, the rest zero. Whole ones apart: only a copy of constant size is one instruction, unless the
// processor can mask lanes.
#if defined(__AVX512BW__) && defined(__AVX512VL__)
inline uint16_t first_of(int lanes) { return static_cast<uint16_t>((1u << lanes) - 1); }
inline Vec load(const float* p, int lanes) { return reinterpret_cast<Vec>(_mm512_maskz_loadu_ps(first_of(lanes), p)); }
inline IntVec load(const uint8_t* p, int lanes) {
  return reinterpret_cast<IntVec>(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(first_of(lanes), p)));
}
inline void store(float* p, Vec v, int lanes) { _mm512_mask_storeu_ps(p, first_of(lanes), reinterpret_cast<__m512>(v)); }
inline void store(uint8_t* p, IntVec v, int lanes) {
  _mm_mask_storeu_epi8(p, first_of(lanes), _mm512_cvtepi32_epi8(reinterpret_cast<__m512i>(v)));
}
#else
inline Vec load(const float* p, int lanes) {
  if (lanes == LANES) return load(p);
  Vec v{};
  std::memcpy(&v, p, lanes * sizeof(float));
  return v;
}
inline IntVec load(const uint8_t* p, int lanes) {
  ByteVec v{};
  if (lanes == LANES)
    std::memcpy(&v, p, LANES);
  else
    std::memcpy(&v, p, lanes);
  return __builtin_convertvector(v, IntVec);
}
inline void store(float* p, Vec v, int lanes) {
  if (lanes == LANES)
    std::memcpy(p, &v, sizeof v);
  else
    std::memcpy(p, &v, lanes * sizeof(float));
}
inline void store(uint8_t* p, IntVec v, int lanes) {
  const ByteVec bytes = __builtin_convertvector(v, ByteVec);
  if (lanes == LANES)
    std::memcpy(p, &bytes, LANES);
  else
    std::memcpy(p, &bytes, lanes);
}
#endif
inline Vec broadcast(float value) { return value - Vec{}; }  // 0 + value would be an addition, because of -0

// `load` into a register that several products share. Compilers like to read memory again for each, twice the loads that
// the processor can do.
inline Vec load_once(const float* p) {
  Vec v = load(p);
#if defined(__AVX512F__)
  asm("" : "+v"(v));
#elif defined(__AVX__)
  asm("" : "+x"(v));
#endif
  return v;
}

// --- threads and memory ----------------------------------------------------------------------------------------------

// XLA's threads. Only calls.cc knows XLA's header, which takes seconds to compile.
class Pool {
 public:
  virtual ~Pool() = default;
  virtual int64_t num_threads() const = 0;
  virtual void schedule(std::function<void()> task) = 0;
};

// task(0) ... task(count - 1) on XLA's threads and on this one. Never waits for a task that no thread has begun: all of
// XLA's threads may be in calls like this one.
template <typename Task>
void parallel_for(Pool& pool, int64_t count, const Task& task) {
  struct Shared {
    std::atomic<int64_t> next{0}, done{0};
    std::mutex mutex;
    std::condition_variable finished;
  };
  auto shared = std::make_shared<Shared>();
  auto work = [shared, count, &task] {
    int64_t mine = 0;
    for (int64_t i; (i = shared->next.fetch_add(1)) < count; ++mine) task(i);
    if (mine && shared->done.fetch_add(mine) + mine == count) {
      std::lock_guard<std::mutex> lock(shared->mutex);
      shared->finished.notify_all();
    }
  };
  const int64_t helpers = std::min<int64_t>(pool.num_threads() - 1, count - 1);
  for (int64_t i = 0; i < helpers; ++i) pool.schedule([work] { work(); });
  work();
  for (int spin = 0; spin < 2000 && shared->done.load() != count; ++spin) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  std::unique_lock<std::mutex> lock(shared->mutex);
  shared->finished.wait(lock, [&] { return shared->done.load() == count; });
}

// Memory of the calling thread, kept between calls: fresh pages would cost more than some of these convolutions.
class Scratch {
 public:
  float* take(size_t floats) {
    if (floats > size_) {
      std::free(memory_);
      size_ = floats;
      const size_t bytes = (floats * sizeof(float) + PAGE - 1) / PAGE * PAGE;
      memory_ = static_cast<float*>(std::aligned_alloc(PAGE, bytes));
#if defined(__linux__)
      madvise(memory_, bytes, MADV_HUGEPAGE);  // fewer misses in the table of pages; a wish, no more
#endif
    }
    return memory_;
  }
  ~Scratch() { std::free(memory_); }

 private:
  static constexpr size_t PAGE = 2 << 20;
  float* memory_ = nullptr;
  size_t size_ = 0;
};
inline thread_local Scratch map_scratch, weight_scratch;

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// --- packing ---------------------------------------------------------------------------------------------------------

struct Map {  // (channels, height, width, batch) in memory
  const float* data;
  int64_t channels, height, width, batch;
  int64_t slices() const { return ceil_div(batch, LANES); }
  int lanes(int64_t slice) const { return static_cast<int>(std::min<int64_t>(LANES, batch - slice * LANES)); }
};

// A map, `lead` rows and columns of zeros ahead of it; or a cotangent that was pooled, each of whose values stands for a
// window, at the place that `places` says.
struct Pixels {
  Map map;
  int64_t lead;
  const uint8_t* places = nullptr;
  int64_t window = 1;
  int64_t height() const { return map.height * window; }
  int64_t width() const { return map.width * window; }
};

struct Packed {  // (slice, channel, row, column, LANES), zero outside the map, which begins at row `top`
  float* data;
  int64_t channels, height, width, top, bottom;
  int64_t row() const { return width * LANES; }
  int64_t plane() const { return height * row(); }
  float* slice(int64_t s) const { return data + s * channels * plane(); }
};

inline Packed room_for(const Map& map, int64_t height, int64_t width, int64_t top, int64_t bottom, Scratch& scratch) {
  Packed packed{nullptr, map.channels, height, width, top, bottom};
  packed.data = scratch.take(map.slices() * map.channels * packed.plane());
  return packed;
}

inline void pack_plane(const Map& map, const Packed& packed, int64_t slice, int64_t channel, int64_t lead) {
  float* out = packed.slice(slice) + channel * packed.plane();
  const int lanes = map.lanes(slice);
  const float* in = map.data + channel * map.height * map.width * map.batch + slice * LANES;
  std::memset(out, 0, packed.plane() * sizeof(float));
  for (int64_t h = 0; h < map.height; ++h)
    for (int64_t w = 0; w < map.width; ++w)
      store(out + (h + lead) * packed.row() + (w + lead) * LANES, load(in + (h * map.width + w) * map.batch, lanes), LANES);
}

// Rows `begin` to `end` - 1 of `map`, a cotangent, taken apart: each value at the place in its window that `places` says,
// which nobody reads for a window of one.
// row, pixel: how far apart rows and pixels of `out` are.
inline void unpool_rows(const Map& map, const uint8_t* places, int64_t window, float* out, int64_t row, int64_t pixel,
                        int64_t slice, int64_t channel, int64_t begin, int64_t end) {
  const int lanes = map.lanes(slice);
  const int64_t offset = channel * map.height * map.width * map.batch + slice * LANES;
  for (int64_t h = begin; h < end; ++h)
    for (int64_t w = 0; w < map.width; ++w) {
      const int64_t at = offset + (h * map.width + w) * map.batch;
      const Vec value = load(map.data + at, lanes);
      const IntVec place = window == 1 ? IntVec{} : load(places + at, lanes);
      for (int64_t a = 0; a < window; ++a)
        for (int64_t b = 0; b < window; ++b) {
          const Vec here = place == static_cast<int32_t>(a * window + b) ? value : Vec{};
          store(out + ((h - begin) * window + a) * row + (w * window + b) * pixel, here, LANES);
        }
    }
}

// All of a map, with `lead` zeros ahead of its rows and columns; a cotangent taken apart if the window is larger than one.
inline void pack(Pool& pool, const Map& map, const uint8_t* places, int64_t window, int64_t lead,
                 const Packed& packed) {
  // A few tasks a thread, each of several channels.
  const int64_t together = ceil_div(map.channels, std::max<int64_t>(1, 2 * pool.num_threads() / map.slices()));
  const int64_t parts = ceil_div(map.channels, together);
  parallel_for(pool, map.slices() * parts, [&](int64_t i) {
    const int64_t slice = i / parts, begin = i % parts * together;
    for (int64_t c = begin; c < std::min(begin + together, map.channels); ++c) {
      if (window == 1) {
        pack_plane(map, packed, slice, c, lead);
        continue;
      }
      float* out = packed.slice(slice) + c * packed.plane() + lead * (packed.row() + LANES);
      std::memset(packed.slice(slice) + c * packed.plane(), 0, packed.plane() * sizeof(float));
      unpool_rows(map, places, window, out, packed.row(), LANES, slice, c, 0, map.height);
    }
  });
}

// --- buffers ---------------------------------------------------------------------------------------------------------

template <typename T>
struct Array {
  T* data;
  int64_t axes, shape[4];
};
using Floats = Array<float>;
using Bytes = Array<uint8_t>;

// What a call answers: null, or what is wrong with it.
using Error = const char*;

inline Map map_of(const Floats& x) { return Map{x.data, x.shape[0], x.shape[1], x.shape[2], x.shape[3]}; }

struct Output {  // (filters, rows, columns, batch), after pooling
  float* values;
  uint8_t* places;  // null where nobody asks which of the window's values was the first maximum
  int64_t filters, rows, columns, batch;
};

// Places have the output's four axes where they are asked for, and one axis where not.
inline uint8_t* kept(const Bytes& places) { return places.axes == 4 ? places.data : nullptr; }

inline Output output_of(const Floats& values, uint8_t* places) {
  const auto& d = values.shape;
  return Output{values.data, places, d[0], d[1], d[2], d[3]};
}

// The larger value and its place in the window. What is not a number is passed on.
inline void keep_greater(Vec other, int number, Vec& best, IntVec& place) {
  const IntVec greater = (other > best) | (other != other);
  best = greater ? other : best;
  place = greater ? IntVec{} + number : place;
}

inline float sum_of_lanes(Vec v) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps(reinterpret_cast<__m512>(v));
#else
  // Halved again and again rather than lane by lane: these sums are a tenth of a narrow layer's work.
  typedef float Four __attribute__((vector_size(16)));
  Four parts[LANES / 4];
  std::memcpy(&parts, &v, sizeof v);
  for (int n = LANES / 8; n >= 1; n /= 2)
    for (int i = 0; i < n; ++i) parts[i] += parts[i + n];
  return (parts[0][0] + parts[0][2]) + (parts[0][1] + parts[0][3]);
#endif
}

// --- the gradient of a kernel -----------------------------------------------------------------------------------------

// Adds to `kept` the gradient of one row of the kernel, SIZE weights for CHANNELS channels and BLOCK filters, from some
// rows of the map. pixels: those rows of the first channel; g: (row, column, BLOCK, LANES); kept: (channel, column of the
// kernel, filter, LANES).
template <int SIZE, int CHANNELS, int BLOCK>
inline void kernel_row(const Packed& x, const float* pixels, const float* g, int64_t rows, int64_t columns, float* kept) {
  Vec sums[CHANNELS * SIZE * BLOCK];
#pragma GCC unroll 32
  for (int i = 0; i < CHANNELS * SIZE * BLOCK; ++i) sums[i] = load(kept + i * LANES);
  for (int64_t h = 0; h < rows; ++h) {
    const float *line = pixels + h * x.row(), *values = g + h * columns * BLOCK * LANES;
    for (int64_t w = 0; w < columns; ++w, line += LANES, values += BLOCK * LANES) {
      Vec v[BLOCK];
#pragma GCC unroll 16
      for (int b = 0; b < BLOCK; ++b) v[b] = load_once(values + b * LANES);
#pragma GCC unroll 16
      for (int c = 0; c < CHANNELS; ++c)
#pragma GCC unroll 16
        for (int j = 0; j < SIZE; ++j) {
          const Vec pixel = load_once(line + c * x.plane() + j * LANES);
#pragma GCC unroll 16
          for (int b = 0; b < BLOCK; ++b) sums[(c * SIZE + j) * BLOCK + b] += pixel * v[b];
        }
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < CHANNELS * SIZE * BLOCK; ++i) store(kept + i * LANES, sums[i], LANES);
}

}  // namespace fer
