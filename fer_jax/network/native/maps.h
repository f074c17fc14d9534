// Maps as the calls receive them, and as the kernels divide them.
//
// The direct convolution packs every map first: padded, and cut into slices of LANES images, (slice, channel, row, column,
// LANES), so that the inner loops meet neither borders nor strides.

#pragma once

#include "lanes.h"
#include "threads.h"

namespace fer {

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

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

// A batch is cut into slices of LANES images. The last slice may have fewer.
constexpr int64_t slices_of(int64_t batch) { return ceil_div(batch, LANES); }
inline int lanes_of(int64_t batch, int64_t slice) {
  return static_cast<int>(std::min<int64_t>(LANES, batch - slice * LANES));
}

struct Map {  // (channels, height, width, batch) in memory
  const float* data;
  int64_t channels, height, width, batch;
  int64_t slices() const { return slices_of(batch); }
  int lanes(int64_t slice) const { return lanes_of(batch, slice); }
};

inline Map map_of(const Floats& x) { return Map{x.data, x.shape[0], x.shape[1], x.shape[2], x.shape[3]}; }

struct Output {  // (filters, rows, columns, batch), after pooling
  float* values;
  uint8_t* places;  // index of the first maximum in each window; null if nobody asks for it
  int64_t filters, rows, columns, batch;
  const float* biases = nullptr;  // one for each filter; null for none
  const float* added = nullptr;   // a map of the same shape, as of a shortcut; null for none
  bool rectify = false;           // whether a ReLU follows
  int64_t slices() const { return slices_of(batch); }
  int lanes(int64_t slice) const { return lanes_of(batch, slice); }
  // Finishes and stores a sum of products, or the greatest of a window. at: among the values.
  void finish(Vec sum, int64_t filter, int64_t at, int lanes) const {
    if (biases) sum += broadcast(biases[filter]);
    if (added) sum += load(added + at, lanes);
    store(values + at, rectify ? rectified(sum) : sum, lanes);
  }
};

// Places have the output's four axes if they are asked for, else one axis.
inline uint8_t* kept(const Bytes& places) { return places.axes == 4 ? places.data : nullptr; }

inline Output output_of(const Floats& values, uint8_t* places) {
  const auto& d = values.shape;
  return Output{values.data, places, d[0], d[1], d[2], d[3]};
}

// What a convolution does last. added: has one axis where nothing is added.
struct Last {
  Floats biases, added;
  bool rectify;
};

inline Output output_of(const Floats& values, uint8_t* places, const Last& last) {
  Output out = output_of(values, places);
  out.biases = last.biases.data, out.added = last.added.axes == 4 ? last.added.data : nullptr, out.rectify = last.rectify;
  return out;
}

// --- packing ---------------------------------------------------------------------------------------------------------

// A map with `lead` rows and columns of zeros before it; or a pooled cotangent, whose values each belong to a window,
// at the place that `places` says.
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

// Rows `begin` to `end` - 1 of `map`, a cotangent, unpooled: each value goes to the place in its window that `places`
// says. `places` is not read for a window of one.
// row, pixel: distance between rows and between pixels of `out`.
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

// All of a map, with `lead` zeros before its rows and columns. A cotangent is unpooled if the window exceeds one.
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
