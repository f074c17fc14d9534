// Convolution with 3 x 3 kernels by Winograd's minimal filtering F(2 x 2, 3 x 3), with its pooling and both gradients; for
// CPU. The arithmetic is that of ../winograd.py, which has the formulas. Here a group of tiles is transformed, multiplied
// and transformed back while it lies in the caches.
//
// A tile is 4 x 4 pixels in and 2 x 2 out, so a pooling window of 2 is a tile's output; for other windows the map is
// written out and pooled afterwards. Tiles are numbered over all slices
// of LANES images; each of the 16 places of a transformed tile is a matrix product of its own.

#include "lanes.h"

using namespace fer;

namespace {

constexpr int PLACES = 16;
constexpr int GROUP = MANY_REGISTERS ? 6 : 3;  // tiles
constexpr int64_t TOGETHER = 64;               // channels: their pixels stay in the first-level cache for all filters
constexpr int BLOCK = MANY_REGISTERS ? 4 : 3;  // filters: GROUP * BLOCK sums in registers
thread_local Scratch pixel_scratch, product_scratch;

struct Tiles {
  int64_t slices, rows, columns;
  int64_t of_slice() const { return rows * columns; }
  int64_t count() const { return slices * of_slice(); }
  int64_t slice(int64_t t) const { return t / of_slice(); }
  int64_t row(int64_t t) const { return t % of_slice() / columns; }
  int64_t column(int64_t t) const { return t % columns; }
};

// --- the transforms, along one axis: stride-free on small arrays of vectors or of numbers ----------------------------

template <typename T>
inline void pixels(const T d[4], T out[4]) {  // B^T d
  out[0] = d[0] - d[2], out[1] = d[1] + d[2], out[2] = d[2] - d[1], out[3] = d[1] - d[3];
}
template <typename T>
inline void outputs(const T m[4], T out[2]) {  // A^T m
  out[0] = m[0] + m[1] + m[2], out[1] = m[1] - m[2] - m[3];
}
template <typename T>
inline void outputs_transposed(const T y[2], T out[4]) {  // A y
  out[0] = y[0], out[1] = y[0] + y[1], out[2] = y[0] - y[1], out[3] = -y[1];
}
inline void weights_of(const float g[3], float out[4]) {  // G g
  out[0] = g[0], out[1] = (g[0] + g[1] + g[2]) * 0.5f, out[2] = (g[0] - g[1] + g[2]) * 0.5f, out[3] = g[2];
}
inline void weights_transposed(const float u[4], float out[3]) {  // G^T u
  out[0] = u[0] + 0.5f * (u[1] + u[2]), out[1] = 0.5f * (u[1] - u[2]), out[2] = 0.5f * (u[1] + u[2]) + u[3];
}

// Both axes of a FROM x FROM array.
template <int FROM, int TO, typename T, typename F>
inline void both_axes(const T in[FROM][FROM], T out[TO][TO], F transform) {
  T half[FROM][TO];
#pragma GCC unroll 4
  for (int i = 0; i < FROM; ++i) transform(in[i], half[i]);
#pragma GCC unroll 4
  for (int j = 0; j < TO; ++j) {
    T column[FROM], done[TO];
#pragma GCC unroll 4
    for (int i = 0; i < FROM; ++i) column[i] = half[i][j];
    transform(column, done);
#pragma GCC unroll 4
    for (int i = 0; i < TO; ++i) out[i][j] = done[i];
  }
}

inline void transform_pixels(const Packed& x, const Tiles& tiles, int64_t channel, int64_t t, Vec (&v)[4][4]) {
  const float* corner = x.slice(tiles.slice(t)) + channel * x.plane() + 2 * tiles.row(t) * x.row() + 2 * tiles.column(t) * LANES;
  Vec d[4][4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) d[i][j] = load(corner + i * x.row() + j * LANES);
  both_axes<4, 4, Vec>(d, v, pixels<Vec>);
}

// Room for a map filled up to whole tiles, with `extra` rows and columns for their overlap.
Packed packed_tiles(const Map& map, const Tiles& tiles, int64_t extra, Scratch& scratch) {
  return room_for(map, 2 * tiles.rows + extra, 2 * tiles.columns + extra, 0, 0, scratch);
}

// --- weights ---------------------------------------------------------------------------------------------------------

inline int64_t at_weight(int64_t block, int64_t in, int64_t ins, int64_t blocks) {
  const int64_t first = in / TOGETHER * TOGETHER, together = std::min(TOGETHER, ins - first);
  return (first * blocks + block * together + in - first) * BLOCK;
}

// kernel(i, j, c, f), transformed: (place, TOGETHER of ins, block of outs, ins, BLOCK), in the order in which it is read.
// `transposed` is the kernel of the gradient.
const float* transformed_weights(ffi::ThreadPool& pool, const float* kernel, int64_t channels, int64_t filters,
                                 bool transposed) {
  const int64_t ins = transposed ? filters : channels, outs = transposed ? channels : filters;
  const int64_t blocks = ceil_div(outs, BLOCK), plane = blocks * ins * BLOCK;
  float* transformed = weight_scratch.take(PLACES * plane);
  parallel_for(pool, blocks, [&](int64_t block) {
    for (int64_t in = 0; in < ins; ++in)
      for (int64_t b = 0; b < BLOCK; ++b) {
        const int64_t o = block * BLOCK + b;
        float g[3][3] = {}, u[4][4];
        if (o < outs)
          for (int at = 0; at < 9; ++at)
            g[at / 3][at % 3] = transposed ? kernel[((8 - at) * channels + o) * filters + in]
                                           : kernel[(at * channels + in) * filters + o];
        float half[3][4];
        for (int i = 0; i < 3; ++i) weights_of(g[i], half[i]);
        for (int j = 0; j < 4; ++j) {
          const float column[3] = {half[0][j], half[1][j], half[2][j]};
          float done[4];
          weights_of(column, done);
          for (int i = 0; i < 4; ++i) u[i][j] = done[i];
        }
        for (int p = 0; p < PLACES; ++p) transformed[p * plane + at_weight(block, in, ins, blocks) + b] = u[p / 4][p % 4];
      }
  });
  return transformed;
}

// --- the convolution -------------------------------------------------------------------------------------------------

// products(f, t) += sum over c of weights(c, f) pixels(c, t), for one place, one block of filters and one group of tiles;
// the first time, = in place of +=.
inline void multiply(const float* __restrict pixels, const float* __restrict weights, int64_t channels, bool first,
                     float* __restrict products) {
  Vec sums[BLOCK][GROUP] = {};
  if (!first)
#pragma GCC unroll 16
    for (int b = 0; b < BLOCK; ++b)
#pragma GCC unroll 16
      for (int t = 0; t < GROUP; ++t) sums[b][t] = load(products + (b * GROUP + t) * LANES);
  for (int64_t c = 0; c < channels; ++c, pixels += GROUP * LANES, weights += BLOCK) {
    Vec w[BLOCK];
#pragma GCC unroll 16
    for (int b = 0; b < BLOCK; ++b) w[b] = broadcast(weights[b]);
#pragma GCC unroll 16
    for (int t = 0; t < GROUP; ++t) {
      const Vec pixel = load_once(pixels + t * LANES);
#pragma GCC unroll 16
      for (int b = 0; b < BLOCK; ++b) sums[b][t] += pixel * w[b];
    }
  }
#pragma GCC unroll 16
  for (int b = 0; b < BLOCK; ++b)
#pragma GCC unroll 16
    for (int t = 0; t < GROUP; ++t) store(products + (b * GROUP + t) * LANES, sums[b][t], LANES);
}

inline void store_tile(const Vec (&y)[2][2], const Output& out, int64_t window, int64_t filter, int64_t slice, int64_t row,
                       int64_t column, int lanes) {
  float* values = out.values + filter * out.rows * out.columns * out.batch + slice * LANES;
  if (window == 2) {
    if (row >= out.rows || column >= out.columns) return;
    Vec best = y[0][0];
    IntVec place{};
    for (int i = 1; i < 4; ++i) keep_greater(y[i / 2][i % 2], i, best, place);
    const int64_t at = (row * out.columns + column) * out.batch;
    store(values + at, best, lanes);
    if (out.places) store(out.places + (values - out.values) + at, place, lanes);
    return;
  }
  for (int i = 0; i < 2 && 2 * row + i < out.rows; ++i)
    for (int j = 0; j < 2 && 2 * column + j < out.columns; ++j)
      store(values + ((2 * row + i) * out.columns + 2 * column + j) * out.batch, y[i][j], lanes);
}

void convolve_tiles(ffi::ThreadPool& pool, const Packed& x, const Tiles& tiles, const float* weights, int64_t window,
                    const Output& out) {
  const int64_t channels = x.channels, blocks = ceil_div(out.filters, BLOCK);
  const int64_t pixel_plane = channels * GROUP * LANES, weight_plane = blocks * channels * BLOCK;
  const int64_t product_plane = blocks * BLOCK * GROUP * LANES;
  const Map shape{nullptr, 0, 0, 0, out.batch};
  parallel_for(pool, ceil_div(tiles.count(), GROUP), [&](int64_t group) {
    float* transformed = pixel_scratch.take(PLACES * pixel_plane);                   // (place, channel, tile)
    float* products = product_scratch.take(PLACES * product_plane);  // (place, filter, tile)
    // The last group repeats its last tile.
    const auto tile = [&](int64_t t) { return std::min(group * GROUP + t, tiles.count() - 1); };
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t t = 0; t < GROUP; ++t) {
        Vec v[4][4];
        transform_pixels(x, tiles, c, tile(t), v);
#pragma GCC unroll 16
        for (int p = 0; p < PLACES; ++p)
          store(transformed + p * pixel_plane + (c * GROUP + t) * LANES, v[p / 4][p % 4], LANES);
      }
    for (int64_t p = 0; p < PLACES; ++p)
      for (int64_t c = 0; c < channels; c += TOGETHER)
        for (int64_t block = 0; block < blocks; ++block)
          multiply(transformed + p * pixel_plane + c * GROUP * LANES,
                   weights + p * weight_plane + at_weight(block, c, channels, blocks), std::min(TOGETHER, channels - c), c == 0,
                   products + p * product_plane + block * BLOCK * GROUP * LANES);
    for (int64_t f = 0; f < out.filters; ++f)
      for (int64_t t = 0; t < GROUP; ++t) {
        Vec m[4][4], y[2][2];
#pragma GCC unroll 16
        for (int p = 0; p < PLACES; ++p) m[p / 4][p % 4] = load(products + p * product_plane + (f * GROUP + t) * LANES);
        both_axes<4, 2, Vec>(m, y, outputs<Vec>);
        const int64_t slice = tiles.slice(tile(t));
        store_tile(y, out, window, f, slice, tiles.row(tile(t)), tiles.column(tile(t)), shape.lanes(slice));
      }
  });
}

// The first maximum of each window of a map (filters, height, width, batch).
void pool_map(ffi::ThreadPool& pool, const Map& map, int64_t window, const Output& out) {
  parallel_for(pool, out.filters, [&](int64_t f) {
    for (int64_t r = 0; r < out.rows; ++r)
      for (int64_t q = 0; q < out.columns; ++q)
        for (int64_t slice = 0; slice < map.slices(); ++slice) {
          const int lanes = map.lanes(slice);
          const float* corner =
              map.data + ((f * map.height + r * window) * map.width + q * window) * map.batch + slice * LANES;
          Vec best = load(corner, lanes);
          IntVec place{};
          for (int i = 1; i < window * window; ++i)
            keep_greater(load(corner + (i / window * map.width + i % window) * map.batch, lanes), i, best, place);
          const int64_t at = ((f * out.rows + r) * out.columns + q) * out.batch + slice * LANES;
          store(out.values + at, best, lanes);
          if (out.places) store(out.places + at, place, lanes);
        }
  });
}

ffi::Error convolve(ffi::ThreadPool pool, Floats x, Floats kernel, ffi::Result<Floats> y, ffi::Result<Bytes> places,
                    int64_t before, int64_t after, int64_t window) {
  const Map map = map_of(x);
  const Output out = output_of(y, places->element_count() > 1 ? places->typed_data() : nullptr);
  const Tiles tiles{map.slices(), ceil_div(map.height + before + after - 2, 2), ceil_div(map.width + before + after - 2, 2)};
  const Packed packed = packed_tiles(map, tiles, 2, map_scratch);
  pack(pool, map, nullptr, 1, before, packed);
  const float* weights = transformed_weights(pool, kernel.typed_data(), map.channels, out.filters, false);
  if (window <= 2) {
    convolve_tiles(pool, packed, tiles, weights, window, out);
    return ffi::Error::Success();
  }
  const int64_t height = map.height + before + after - 2, width = map.width + before + after - 2;
  float* unpooled = other_scratch.take(out.filters * height * width * out.batch);
  convolve_tiles(pool, packed, tiles, weights, 1, Output{unpooled, nullptr, out.filters, height, width, out.batch});
  pool_map(pool, Map{unpooled, out.filters, height, width, out.batch}, window, out);
  return ffi::Error::Success();
}

ffi::Error input_gradient(ffi::ThreadPool pool, Floats cotangent, Bytes places, Floats kernel, ffi::Result<Floats> dx,
                          int64_t before, int64_t after, int64_t window) {
  const Map g = map_of(cotangent);
  const Output out = output_of(dx, nullptr);
  const Tiles tiles{g.slices(), ceil_div(out.rows, 2), ceil_div(out.columns, 2)};
  const Packed packed = packed_tiles(g, tiles, 2, map_scratch);
  pack(pool, g, places.typed_data(), window, 2 - before, packed);
  const float* weights = transformed_weights(pool, kernel.typed_data(), out.filters, g.channels, true);
  convolve_tiles(pool, packed, tiles, weights, 1, out);
  return ffi::Error::Success();
}

// --- the gradient of the kernel --------------------------------------------------------------------------------------

constexpr int OF_PIXELS = MANY_REGISTERS ? 4 : 2, OF_OUTPUTS = MANY_REGISTERS ? 6 : 4;  // sums in registers: channels, filters
constexpr int64_t TILES_TOGETHER = 96;  // whose cotangents stay in the second-level cache for all channels
// Transformed cotangents that are held at a time: about what a second-level cache and a part of the third take.
constexpr int64_t HELD_FLOATS = 4 << 20;

// out(c, f) += sum over tiles of a(c, tile) b(f, tile), for OF_PIXELS channels and OF_OUTPUTS filters; the first time, =.
// The tiles are `tiles` of `all`.
inline void multiply_tiles(const float* __restrict a, const float* __restrict b, int64_t tiles, int64_t all, bool first,
                           float* out, int64_t stride, int64_t channels, int64_t filters) {
  Vec sums[OF_PIXELS][OF_OUTPUTS] = {};
  const float *rows[OF_PIXELS], *columns[OF_OUTPUTS];
  for (int i = 0; i < OF_PIXELS; ++i) rows[i] = a + std::min<int64_t>(i, channels - 1) * all * LANES;
  for (int j = 0; j < OF_OUTPUTS; ++j) columns[j] = b + std::min<int64_t>(j, filters - 1) * all * LANES;
  for (int64_t t = 0; t < tiles; ++t) {
    Vec v[OF_PIXELS];
#pragma GCC unroll 16
    for (int i = 0; i < OF_PIXELS; ++i) v[i] = load_once(rows[i] + t * LANES);
#pragma GCC unroll 16
    for (int j = 0; j < OF_OUTPUTS; ++j) {
      const Vec w = load_once(columns[j] + t * LANES);
#pragma GCC unroll 16
      for (int i = 0; i < OF_PIXELS; ++i) sums[i][j] += v[i] * w;
    }
  }
  for (int64_t i = 0; i < std::min<int64_t>(OF_PIXELS, channels); ++i)
    for (int64_t j = 0; j < std::min<int64_t>(OF_OUTPUTS, filters); ++j)
      out[i * stride + j] = sum_of_lanes(sums[i][j]) + (first ? 0.0f : out[i * stride + j]);
}

// Filters `begin` to `end` - 1 of dk, from the transformed pixels (place, channel, tile).
void kernel_gradient_of(ffi::ThreadPool& pool, const Packed& g, const Tiles& tiles, const float* pixels, int64_t channels,
                        int64_t begin, int64_t end, float* dk) {
  const int64_t filters = end - begin, count = tiles.count();
  float* cotangents = pixel_scratch.take(PLACES * filters * count * LANES);  // (place, filter, tile)
  parallel_for(pool, filters, [&](int64_t f) {
    for (int64_t t = 0; t < count; ++t) {
      const float* corner = g.slice(tiles.slice(t)) + (begin + f) * g.plane() + 2 * tiles.row(t) * g.row() + 2 * tiles.column(t) * LANES;
      const Vec y[2][2] = {{load(corner), load(corner + LANES)}, {load(corner + g.row()), load(corner + g.row() + LANES)}};
      Vec v[4][4];
      both_axes<2, 4, Vec>(y, v, outputs_transposed<Vec>);
#pragma GCC unroll 16
      for (int p = 0; p < PLACES; ++p) store(cotangents + ((p * filters + f) * count + t) * LANES, v[p / 4][p % 4], LANES);
    }
  });
  float* products = product_scratch.take(PLACES * channels * filters);  // (place, channel, filter)
  const int64_t chunk = 8 * OF_OUTPUTS, chunks = ceil_div(filters, chunk);
  parallel_for(pool, PLACES * chunks, [&](int64_t i) {
    const int64_t p = i / chunks, first = i % chunks * chunk, last = std::min(first + chunk, filters);
    for (int64_t t = 0; t < count; t += TILES_TOGETHER)
      for (int64_t c = 0; c < channels; c += OF_PIXELS)
        for (int64_t f = first; f < last; f += OF_OUTPUTS)
          multiply_tiles(pixels + ((p * channels + c) * count + t) * LANES,
                         cotangents + ((p * filters + f) * count + t) * LANES, std::min(TILES_TOGETHER, count - t), count,
                         t == 0, products + (p * channels + c) * filters + f, filters, channels - c, last - f);
  });
  parallel_for(pool, channels, [&](int64_t c) {
    for (int64_t f = 0; f < filters; ++f) {
      float half[4][3];
      for (int i = 0; i < 4; ++i) {
        float u[4];
        for (int j = 0; j < 4; ++j) u[j] = products[((4 * i + j) * channels + c) * filters + f];
        weights_transposed(u, half[i]);
      }
      for (int j = 0; j < 3; ++j) {
        const float column[4] = {half[0][j], half[1][j], half[2][j], half[3][j]};
        float done[3];
        weights_transposed(column, done);
        for (int i = 0; i < 3; ++i) dk[((i * 3 + j) * channels + c) * g.channels + begin + f] = done[i];
      }
    }
  });
}

ffi::Error kernel_gradient(ffi::ThreadPool pool, Floats x, Floats cotangent, Bytes places, ffi::Result<Floats> dk,
                           int64_t before, int64_t after, int64_t window) {
  const Map map = map_of(x), g = map_of(cotangent);
  const Tiles tiles{map.slices(), ceil_div(map.height + before + after - 2, 2), ceil_div(map.width + before + after - 2, 2)};
  const Packed packed = packed_tiles(map, tiles, 2, map_scratch);
  pack(pool, map, nullptr, 1, before, packed);
  float* pixels = weight_scratch.take(PLACES * map.channels * tiles.count() * LANES);  // (place, channel, tile)
  parallel_for(pool, map.channels, [&](int64_t c) {
    for (int64_t t = 0; t < tiles.count(); ++t) {
      Vec v[4][4];
      transform_pixels(packed, tiles, c, t, v);
#pragma GCC unroll 16
      for (int p = 0; p < PLACES; ++p)
        store(pixels + ((p * map.channels + c) * tiles.count() + t) * LANES, v[p / 4][p % 4], LANES);
    }
  });
  const Packed unpooled = packed_tiles(g, tiles, 0, other_scratch);
  pack(pool, g, places.typed_data(), window, 0, unpooled);
  const int64_t whole = 8 * OF_OUTPUTS;
  const int64_t together = std::max(whole, HELD_FLOATS / (PLACES * tiles.count() * LANES) / whole * whole);
  for (int64_t begin = 0; begin < g.channels; begin += together)
    kernel_gradient_of(pool, unpooled, tiles, pixels, map.channels, begin, std::min(begin + together, g.channels), dk->typed_data());
  return ffi::Error::Success();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(fer_winograd_convolve, convolve,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Floats>().Arg<Floats>().Ret<Floats>().Ret<Bytes>()
                                  .Attr<int64_t>("before").Attr<int64_t>("after").Attr<int64_t>("window"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(fer_winograd_input_gradient, input_gradient,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Floats>().Arg<Bytes>().Arg<Floats>().Ret<Floats>()
                                  .Attr<int64_t>("before").Attr<int64_t>("after").Attr<int64_t>("window"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(fer_winograd_kernel_gradient, kernel_gradient,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Floats>().Arg<Floats>().Arg<Bytes>().Ret<Floats>()
                                  .Attr<int64_t>("before").Attr<int64_t>("after").Attr<int64_t>("window"));
