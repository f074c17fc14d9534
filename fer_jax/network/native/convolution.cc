// Convolution of stride 1 with its pooling, and both its gradients, for CPU. Called by native/__init__.py through XLA's
// foreign function interface.
//
// Maps are float32 (channels, height, width, batch), the batch innermost; kernels (size, size, channels, filters).
// The inner loops multiply one pixel of LANES images (see lanes.h) by one weight and add it to sums that stay in
// registers. Nothing is written out on the way, whereas a convolution by matrix products writes every pixel several
// times.
//
// Results do not depend on the number of threads: each output is summed by one thread, in a fixed order.

#include "kernels.h"

namespace fer::direct {

namespace {

thread_local Scratch row_scratch, sum_scratch;

// --- the inner loops of the convolution ------------------------------------------------------------------------------

// Sums for ROWS x COLUMNS pixels of BLOCK channels out, over the kernel's rows `first` to `last` - 1.
// weights: (channels in, size, size, BLOCK).
template <int SIZE, int ROWS, int COLUMNS, int BLOCK>
inline void convolve_tile(const float* __restrict x, const Packed& packed, const float* __restrict weights, int64_t size,
                          int64_t first, int64_t last, Vec (&sums)[ROWS][COLUMNS][BLOCK]) {
  const int64_t k = SIZE ? SIZE : size;
  for (auto& row : sums)
    for (auto& column : row)
      for (auto& sum : column) sum = Vec{};
  for (int64_t c = 0; c < packed.channels; ++c, x += packed.plane())
    for (int64_t i = first; i < last; ++i) {
      const float* line = x + i * packed.row();
      const float* of_line = weights + (c * k + i) * k * BLOCK;
#pragma GCC unroll 5
      for (int64_t j = 0; j < k; ++j, of_line += BLOCK) {
        Vec w[BLOCK];
#pragma GCC unroll 16
        for (int b = 0; b < BLOCK; ++b) w[b] = broadcast(of_line[b]);
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 16
          for (int q = 0; q < COLUMNS; ++q) {
            const Vec pixel = load_once(line + r * packed.row() + (j + q) * LANES);
#pragma GCC unroll 16
            for (int b = 0; b < BLOCK; ++b) sums[r][q][b] += pixel * w[b];
          }
      }
    }
}

template <int WINDOW, int ROWS, int COLUMNS, int BLOCK>
inline void store_tile(const Vec (&sums)[ROWS][COLUMNS][BLOCK], const Output& out, int64_t filter, int64_t row,
                       int64_t column, int64_t slice) {
  const int lanes = out.lanes(slice);
#pragma GCC unroll 16
  for (int b = 0; b < BLOCK; ++b) {
    if (filter + b >= out.filters) return;
#pragma GCC unroll 16
    for (int q = 0; q < COLUMNS / WINDOW; ++q) {
      Vec best = sums[0][q * WINDOW][b];
      IntVec place{};
#pragma GCC unroll 16
      for (int i = 1; i < WINDOW * WINDOW; ++i) {
        const Vec other = sums[i / WINDOW][q * WINDOW + i % WINDOW][b];
        keep_greater(other, i, best, place);
      }
      const int64_t at = (((filter + b) * out.rows + row) * out.columns + column + q) * out.batch + slice * LANES;
      store(out.values + at, best, lanes);
      if (WINDOW > 1 && out.places) store(out.places + at, place, lanes);
    }
  }
}

// One row of the output (WINDOW rows before pooling), all filters.
template <int SIZE, int WINDOW, int COLUMNS, int BLOCK>
void convolve_row(const Packed& packed, const float* weights, int64_t size, const Output& out, int64_t slice,
                  int64_t row) {
  constexpr int WIDE = COLUMNS * WINDOW;
  const float* x = packed.slice(slice) + row * WINDOW * packed.row();
  const int64_t block_weights = packed.channels * size * size * BLOCK;
  // Rows of the kernel that meet only padding are left out.
  const int64_t first = std::max<int64_t>(0, packed.top - (row + 1) * WINDOW + 1);
  const int64_t last = std::min(size, packed.height - packed.bottom - row * WINDOW);
  for (int64_t q = 0; q < out.columns; q += COLUMNS) {
    // The last tile moves back over finished pixels, so that no tile is ever narrower.
    const int64_t column = std::min<int64_t>(q, out.columns - COLUMNS);
    for (int64_t f = 0; f * BLOCK < out.filters; ++f) {
      Vec sums[WINDOW][WIDE][BLOCK];
      convolve_tile<SIZE, WINDOW, WIDE, BLOCK>(x + column * WINDOW * LANES, packed, weights + f * block_weights, size,
                                               first, last, sums);
      store_tile<WINDOW, WINDOW, WIDE, BLOCK>(sums, out, f * BLOCK, row, column, slice);
    }
  }
}

template <int WINDOW, int COLUMNS, int BLOCK>
void convolve_rows(Pool& pool, const Packed& packed, const float* weights, int64_t size, const Output& out) {
  parallel_for(pool, out.slices() * out.rows, [&](int64_t i) {
    const int64_t slice = i / out.rows, row = i % out.rows;
    if (size == 3)
      convolve_row<3, WINDOW, COLUMNS, BLOCK>(packed, weights, size, out, slice, row);
    else if (size == 5)
      convolve_row<5, WINDOW, COLUMNS, BLOCK>(packed, weights, size, out, slice, row);
    else
      convolve_row<0, WINDOW, COLUMNS, BLOCK>(packed, weights, size, out, slice, row);
  });
}

// kernel(i, j, c, f) -> ceil(outs / BLOCK) blocks of (ins, i, j, BLOCK). `transposed` is the kernel of the gradient:
// ins and outs are swapped and both axes are reversed.
template <int BLOCK>
const float* packed_weights(const float* kernel, int64_t size, int64_t channels, int64_t filters, bool transposed) {
  const int64_t ins = transposed ? filters : channels, outs = transposed ? channels : filters;
  const int64_t blocks = ceil_div(outs, BLOCK), area = size * size;
  float* packed = weight_scratch.take(blocks * ins * area * BLOCK);
  std::memset(packed, 0, blocks * ins * area * BLOCK * sizeof(float));
  for (int64_t at = 0; at < area; ++at)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t f = 0; f < filters; ++f) {
        const int64_t in = transposed ? f : c, o = transposed ? c : f, place = transposed ? area - 1 - at : at;
        packed[((o / BLOCK * ins + in) * area + place) * BLOCK + o % BLOCK] = kernel[(at * channels + c) * filters + f];
      }
  return packed;
}

// --- the calls -------------------------------------------------------------------------------------------------------

template <int WINDOW, int COLUMNS, int BLOCK>
void forward(Pool& pool, const Packed& packed, const float* kernel, int64_t size, const Output& out,
             bool transposed = false) {
  const int64_t channels = transposed ? out.filters : packed.channels;
  const int64_t filters = transposed ? packed.channels : out.filters;
  const float* weights = packed_weights<BLOCK>(kernel, size, channels, filters, transposed);
  convolve_rows<WINDOW, COLUMNS, BLOCK>(pool, packed, weights, size, out);
}

// Tiles of up to 24 sums with AVX-512's 32 registers, of up to 8 with 16 registers. They are as wide as possible, but
// narrower if that avoids computing many pixels twice.
void forward_unpooled(Pool& pool, const Packed& packed, const float* kernel, int64_t size, const Output& out,
                      bool transposed) {
  constexpr int BLOCK = MANY_REGISTERS ? 4 : 2;
  const auto computed = [&](int64_t wide) { return ceil_div(out.columns, wide) * wide; };
  if (MANY_REGISTERS && out.columns >= 6 && computed(6) <= computed(5))
    forward<1, 6, BLOCK>(pool, packed, kernel, size, out, transposed);
  else if (MANY_REGISTERS && out.columns >= 5 && computed(5) <= computed(4))
    forward<1, 5, BLOCK>(pool, packed, kernel, size, out, transposed);
  else if (out.columns >= 4)
    forward<1, 4, BLOCK>(pool, packed, kernel, size, out, transposed);
  else
    forward<1, 1, BLOCK>(pool, packed, kernel, size, out, transposed);
}

Packed padded(Pool& pool, const Map& map, int64_t before, int64_t after) {
  const Packed packed = room_for(map, map.height + before + after, map.width + before + after, before, after, map_scratch);
  pack(pool, map, nullptr, 1, before, packed);
  return packed;
}

}  // namespace

Error convolve(Pool& pool, Floats x, Floats kernel, Floats y, Bytes places, int64_t before, int64_t after, int64_t window) {
  const int64_t size = kernel.shape[0];
  const Packed packed = padded(pool, map_of(x), before, after);
  const Output out = output_of(y, kept(places));
  if (out.columns == 0 || out.rows == 0 || out.batch == 0) return nullptr;
  if (window == 1)
    forward_unpooled(pool, packed, kernel.data, size, out, false);
  else if (window == 2)
    forward<2, 1, MANY_REGISTERS ? 4 : 2>(pool, packed, kernel.data, size, out);
  else if (window == 3)
    forward<3, 1, MANY_REGISTERS ? 2 : 1>(pool, packed, kernel.data, size, out);
  else
    return "pooling windows of 1, 2 and 3 only";
  return nullptr;
}

Error input_gradient(Pool& pool, Floats cotangent, Bytes places, Floats kernel, Floats dx, int64_t before, int64_t after,
                     int64_t window) {
  const int64_t size = kernel.shape[0];
  const Map g = map_of(cotangent);
  const Output out = output_of(dx, nullptr);
  // Row h of dx takes rows h - i + before of the cotangent, i = 0 ... size - 1.
  const int64_t lead = size - 1 - before;
  const int64_t height = out.rows + size - 1, width = out.columns + size - 1;
  const Packed packed = room_for(g, height, width, lead, height - lead - g.height * window, map_scratch);
  pack(pool, g, places.data, window, lead, packed);
  forward_unpooled(pool, packed, kernel.data, size, out, true);
  return nullptr;
}

namespace {

// All weights of channels `begin` to `end` - 1 for one block of filters. The cotangent is unpooled a few rows at a
// time, which then stay in the caches for all weights. Their sums wait in memory meanwhile.
template <int SIZE, int CHANNELS, int BLOCK>
void kernel_block(const Packed& x, const Map& g, const uint8_t* places, int64_t window, int64_t block, int64_t begin,
                  int64_t end, float* dk) {
  constexpr int64_t PIXELS = 128;  // enough that loading and storing the sums costs little
  const int64_t columns = g.width * window, filters = std::min<int64_t>(BLOCK, g.channels - block * BLOCK);
  const int64_t together = std::min(g.height, std::max<int64_t>(1, PIXELS / (columns * window)));
  constexpr int64_t OF_GROUP = CHANNELS * SIZE * BLOCK * LANES;
  const int64_t groups = (end - begin) / CHANNELS;
  float* unpooled = row_scratch.take(together * window * columns * BLOCK * LANES);
  float* sums = sum_scratch.take(groups * SIZE * OF_GROUP);
  std::memset(sums, 0, groups * SIZE * OF_GROUP * sizeof(float));
  if (filters < BLOCK) std::memset(unpooled, 0, together * window * columns * BLOCK * LANES * sizeof(float));
  for (int64_t s = 0; s < g.slices(); ++s)
    for (int64_t h = 0; h < g.height; h += together) {
      const int64_t rows = std::min(together, g.height - h);
      for (int64_t b = 0; b < filters; ++b)
        unpool_rows(g, places, window, unpooled + b * LANES, columns * BLOCK * LANES, BLOCK * LANES, s, block * BLOCK + b,
                    h, h + rows);
      for (int64_t k = 0; k < groups; ++k)
        for (int64_t i = 0; i < SIZE; ++i)
          kernel_row<SIZE, CHANNELS, BLOCK>(
              x, x.slice(s) + (begin + k * CHANNELS) * x.plane() + (h * window + i) * x.row(), unpooled, rows * window,
              columns, sums + (k * SIZE + i) * OF_GROUP);
    }
  for (int64_t k = 0; k < groups; ++k)
    for (int64_t i = 0; i < SIZE; ++i)
      for (int64_t d = 0; d < CHANNELS; ++d)
        for (int64_t j = 0; j < SIZE; ++j)
          for (int64_t b = 0; b < filters; ++b)
            dk[((i * SIZE + j) * x.channels + begin + k * CHANNELS + d) * g.channels + block * BLOCK + b] =
                sum_of_lanes(load(sums + (k * SIZE + i) * OF_GROUP + ((d * SIZE + j) * BLOCK + b) * LANES));
}

template <int SIZE, int CHANNELS, int BLOCK>
void kernel_gradients(Pool& pool, const Packed& x, const Map& g, const uint8_t* places, int64_t window,
                      float* dk) {
  const int64_t blocks = ceil_div(g.channels, BLOCK);
  // Cut the channels further if the blocks of filters alone do not give every thread several tasks.
  const int64_t groups = ceil_div(x.channels, CHANNELS);
  const int64_t parts = std::min(groups, std::max<int64_t>(1, ceil_div(2 * pool.num_threads(), blocks)));
  parallel_for(pool, blocks * parts, [&](int64_t t) {
    const int64_t block = t / parts, part = t % parts;
    const int64_t begin = part * groups / parts * CHANNELS;
    const int64_t end = std::min((part + 1) * groups / parts * CHANNELS, x.channels);
    const int64_t whole = begin + (end - begin) / CHANNELS * CHANNELS;
    if (begin < whole) kernel_block<SIZE, CHANNELS, BLOCK>(x, g, places, window, block, begin, whole, dk);
    if (whole < end) kernel_block<SIZE, 1, BLOCK>(x, g, places, window, block, whole, end, dk);
  });
}

}  // namespace

Error kernel_gradient(Pool& pool, Floats x, Floats cotangent, Bytes places, Floats dk, int64_t before, int64_t after,
                      int64_t window) {
  const int64_t size = dk.shape[0];
  const Map g = map_of(cotangent);
  const Packed packed = padded(pool, map_of(x), before, after);
  const uint8_t* at = places.data;
  float* out = dk.data;
  if (size == 1)
    kernel_gradients<1, 4, MANY_REGISTERS ? 4 : 2>(pool, packed, g, at, window, out);
  else if (size == 3)
    kernel_gradients<3, MANY_REGISTERS ? 2 : 1, 4>(pool, packed, g, at, window, out);
  else if (size == 5)
    kernel_gradients<5, 1, MANY_REGISTERS ? 4 : 2>(pool, packed, g, at, window, out);
  else if (size == 7)
    kernel_gradients<7, 1, MANY_REGISTERS ? 3 : 1>(pool, packed, g, at, window, out);
  else
    return "kernels of 1, 3, 5 and 7 only";
  return nullptr;
}

}  // namespace fer::direct
