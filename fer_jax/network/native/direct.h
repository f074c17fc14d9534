// The loops of the direct convolution, which others share.
//
// They multiply one pixel of LANES images (see lanes.h) by one weight and add it to sums that stay in registers. Nothing
// is written out on the way, whereas a convolution by matrix products writes every pixel several times.

#pragma once

#include "maps.h"

namespace fer::direct {

inline thread_local Scratch row_scratch, sum_scratch;

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

inline Packed padded(Pool& pool, const Map& map, int64_t before, int64_t after) {
  const Packed packed = room_for(map, map.height + before + after, map.width + before + after, before, after, map_scratch);
  pack(pool, map, nullptr, 1, before, packed);
  return packed;
}

// --- the gradient of the kernel ---------------------------------------------------------------------------------------

// All weights of channels `begin` to `end` - 1 for one block of filters. The cotangent is unpooled a few rows at a
// time, which then stay in the caches for all weights. Their sums wait in memory meanwhile.
// Cotangent: its pooled `map`, `steps` that each give `rows_of_step` rows of `columns` pixels, and `unpool` (see
// `unpool_rows`).
template <int SIZE, int CHANNELS, int BLOCK, typename Cotangent>
void kernel_block(const Packed& x, const Cotangent& cotangent, int64_t block, int64_t begin, int64_t end, float* dk) {
  const Map& g = cotangent.map;
  constexpr int64_t PIXELS = 128;  // enough that loading and storing the sums costs little
  const int64_t columns = cotangent.columns, of_step = cotangent.rows_of_step;
  const int64_t filters = std::min<int64_t>(BLOCK, g.channels - block * BLOCK);
  const int64_t together = std::min(cotangent.steps, std::max<int64_t>(1, PIXELS / (columns * of_step)));
  constexpr int64_t OF_GROUP = CHANNELS * SIZE * BLOCK * LANES;
  const int64_t groups = (end - begin) / CHANNELS;
  float* unpooled = row_scratch.take(together * of_step * columns * BLOCK * LANES);
  float* sums = sum_scratch.take(groups * SIZE * OF_GROUP);
  std::memset(sums, 0, groups * SIZE * OF_GROUP * sizeof(float));
  if (filters < BLOCK) std::memset(unpooled, 0, together * of_step * columns * BLOCK * LANES * sizeof(float));
  for (int64_t s = 0; s < g.slices(); ++s)
    for (int64_t h = 0; h < cotangent.steps; h += together) {
      const int64_t rows = std::min(together, cotangent.steps - h);
      for (int64_t b = 0; b < filters; ++b)
        cotangent.unpool(unpooled + b * LANES, columns * BLOCK * LANES, BLOCK * LANES, s, block * BLOCK + b, h, h + rows);
      for (int64_t k = 0; k < groups; ++k)
        for (int64_t i = 0; i < SIZE; ++i)
          kernel_row<SIZE, CHANNELS, BLOCK>(
              x, x.slice(s) + (begin + k * CHANNELS) * x.plane() + (h * of_step + i) * x.row(), unpooled, rows * of_step,
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

template <int SIZE, int CHANNELS, int BLOCK, typename Cotangent>
void kernel_gradients(Pool& pool, const Packed& x, const Cotangent& g, float* dk) {
  const int64_t blocks = ceil_div(g.map.channels, BLOCK);
  // Cut the channels further if the blocks of filters alone do not give every thread several tasks.
  const int64_t groups = ceil_div(x.channels, CHANNELS);
  const int64_t parts = std::min(groups, std::max<int64_t>(1, ceil_div(2 * pool.num_threads(), blocks)));
  parallel_for(pool, blocks * parts, [&](int64_t t) {
    const int64_t block = t / parts, part = t % parts;
    const int64_t begin = part * groups / parts * CHANNELS;
    const int64_t end = std::min((part + 1) * groups / parts * CHANNELS, x.channels);
    const int64_t whole = begin + (end - begin) / CHANNELS * CHANNELS;
    if (begin < whole) kernel_block<SIZE, CHANNELS, BLOCK>(x, g, block, begin, whole, dk);
    if (whole < end) kernel_block<SIZE, 1, BLOCK>(x, g, block, whole, end, dk);
  });
}

// dk: (size, size, channels, filters). The answer is null, or what is wrong.
template <typename Cotangent>
Error kernel_gradient_of(Pool& pool, const Packed& x, const Cotangent& g, int64_t size, float* dk) {
  if (size == 1)
    kernel_gradients<1, 4, MANY_REGISTERS ? 4 : 2>(pool, x, g, dk);
  else if (size == 3)
    kernel_gradients<3, MANY_REGISTERS ? 2 : 1, 4>(pool, x, g, dk);
  else if (size == 5)
    kernel_gradients<5, 1, MANY_REGISTERS ? 4 : 2>(pool, x, g, dk);
  else if (size == 7)
    kernel_gradients<7, 1, MANY_REGISTERS ? 3 : 1>(pool, x, g, dk);
  else
    return "kernels of 1, 3, 5 and 7 only";
  return nullptr;
}

}  // namespace fer::direct
