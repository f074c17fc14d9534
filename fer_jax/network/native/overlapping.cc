// Convolution of stride 1 and the max pooling after it, whose windows may overlap or leave gaps, and the gradient of its
// kernel; for CPU. Called by native/overlapping.py.
//
// The convolution's map is never written to memory. A few of its rows are held at a time, of each the largest value within
// the columns of every window; a window's maximum is the largest of these. With few channels in, writing that map and
// reading it again takes longer than its products.
//
// Results do not depend on the number of threads: each output is summed by one thread, in a fixed order.

#include "direct.h"
#include "kernels.h"

namespace fer::overlapping {

namespace {

thread_local Scratch line_scratch, best_scratch;

// A row of the convolution's map: (column, BLOCK, LANES).
template <int SIZE, int COLUMNS, int BLOCK>
void convolve_line(const Packed& x, const float* weights, int64_t size, int64_t slice, int64_t row, int64_t columns,
                   float* line) {
  const float* pixels = x.slice(slice) + row * x.row();
  // Rows of the kernel that meet only padding are left out.
  const int64_t first = std::max<int64_t>(0, x.top - row), last = std::min(size, x.height - x.bottom - row);
  for (int64_t q = 0; q < columns; q += COLUMNS) {
    // The last tile moves back over finished pixels, so that no tile is ever narrower.
    const int64_t column = std::min<int64_t>(q, columns - COLUMNS);
    Vec sums[1][COLUMNS][BLOCK];
    direct::convolve_tile<SIZE, 1, COLUMNS, BLOCK>(pixels + column * LANES, x, weights, size, first, last, sums);
#pragma GCC unroll 16
    for (int i = 0; i < COLUMNS; ++i)
#pragma GCC unroll 16
      for (int b = 0; b < BLOCK; ++b) store(line + ((column + i) * BLOCK + b) * LANES, sums[0][i][b], LANES);
  }
}

// The first maximum of each window within a row of the map, (window, BLOCK, LANES), and its column in the window.
template <int BLOCK>
void pool_line(const float* line, int64_t columns, const Output& out, const Pooling& pooling, float* best, int32_t* numbers) {
  for (int64_t q = 0; q < out.columns; ++q) {
    const int64_t left = q * pooling.windows.across - pooling.windows.left;
    const Inside inside(left, pooling.width, columns);
    for (int b = 0; b < BLOCK; ++b) {
      const float* values = line + (left * BLOCK + b) * LANES;
      Vec value = load(values + inside.begin * BLOCK * LANES);
      IntVec number = IntVec{} + static_cast<int32_t>(inside.begin);
      for (int64_t j = inside.begin + 1; j < inside.end; ++j)
        keep_greater(load(values + j * BLOCK * LANES), IntVec{} + static_cast<int32_t>(j), value, number);
      store(best + (q * BLOCK + b) * LANES, value, LANES);
      std::memcpy(numbers + (q * BLOCK + b) * LANES, &number, sizeof number);
    }
  }
}

// All outputs of BLOCK filters of one slice.
template <int SIZE, int COLUMNS, int BLOCK>
void pool_block(const Packed& x, const float* weights, int64_t size, int64_t height, int64_t columns, const Output& out,
                const Pooling& pooling, int64_t slice, int64_t filter) {
  const int64_t of_row = out.columns * BLOCK * LANES, kept = pooling.height * of_row;
  const int64_t filters = std::min<int64_t>(BLOCK, out.filters - filter);
  const int lanes = out.lanes(slice);
  float* line = line_scratch.take(columns * BLOCK * LANES);
  float* best = best_scratch.take(2 * kept);  // of the last rows, in turn
  int32_t* numbers = reinterpret_cast<int32_t*>(best + kept);
  int64_t done = 0;
  for (int64_t r = 0; r < out.rows; ++r) {
    const int64_t top = r * pooling.windows.down - pooling.windows.top;
    const Inside rows(top, pooling.height, height);
    const int64_t begin = top + rows.begin, end = top + rows.end;
    for (done = std::max(done, begin); done < end; ++done) {
      convolve_line<SIZE, COLUMNS, BLOCK>(x, weights, size, slice, done, columns, line);
      const int64_t at = done % pooling.height * of_row;
      pool_line<BLOCK>(line, columns, out, pooling, best + at, numbers + at);
    }
    for (int64_t q = 0; q < out.columns; ++q)
      for (int64_t b = 0; b < filters; ++b) {
        const int64_t in_row = (q * BLOCK + b) * LANES;
        Vec value{};
        IntVec place{};
        for (int64_t h = begin; h < end; ++h) {
          const int64_t at = h % pooling.height * of_row + in_row;
          IntVec number;
          std::memcpy(&number, numbers + at, sizeof number);
          number += static_cast<int32_t>((h - top) * pooling.width);
          const Vec other = load(best + at);
          if (h == begin)
            value = other, place = number;
          else
            keep_greater(other, number, value, place);
        }
        const int64_t to = (((filter + b) * out.rows + r) * out.columns + q) * out.batch + slice * LANES;
        out.finish(value, filter + b, to, lanes);
        if (out.places) store(out.places + to, place, lanes);
      }
  }
}

template <int COLUMNS, int BLOCK>
void pool_blocks(Pool& pool, const Packed& x, const float* kernel, int64_t size, int64_t height, int64_t columns,
                 const Output& out, const Pooling& pooling) {
  const float* weights = direct::packed_weights<BLOCK>(kernel, size, x.channels, out.filters, false);
  const int64_t blocks = ceil_div(out.filters, BLOCK), block_weights = x.channels * size * size * BLOCK;
  parallel_for(pool, out.slices() * blocks, [&](int64_t i) {
    const int64_t slice = i / blocks, block = i % blocks;
    const float* of_block = weights + block * block_weights;
    if (size == 3)
      pool_block<3, COLUMNS, BLOCK>(x, of_block, size, height, columns, out, pooling, slice, block * BLOCK);
    else if (size == 5)
      pool_block<5, COLUMNS, BLOCK>(x, of_block, size, height, columns, out, pooling, slice, block * BLOCK);
    else
      pool_block<0, COLUMNS, BLOCK>(x, of_block, size, height, columns, out, pooling, slice, block * BLOCK);
  });
}

// The cotangent of the convolution's map: each value at the places of its window that its number says. A pixel in several
// windows gets the sum.
struct Cotangent {
  Map map;
  const uint8_t* places;
  Pooling pooling;
  int64_t steps, columns;
  static constexpr int64_t rows_of_step = 1;

  void unpool(float* out, int64_t row, int64_t pixel, int64_t slice, int64_t channel, int64_t begin, int64_t end) const {
    const int lanes = map.lanes(slice);
    const int64_t offset = channel * map.height * map.width * map.batch + slice * LANES;
    const Windows& windows = pooling.windows;
    for (int64_t h = begin; h < end; ++h) {
      float* to = out + (h - begin) * row;
      for (int64_t w = 0; w < columns; ++w) store(to + w * pixel, Vec{}, LANES);
      const Covering covering(h + windows.top, pooling.height, windows.down, map.height);
      for (int64_t r = covering.first; r < covering.last; ++r)
        for (int64_t q = 0; q < map.width; ++q) {
          const int64_t at = offset + (r * map.width + q) * map.batch, left = q * windows.across - windows.left;
          const Vec value = load(map.data + at, lanes);
          const IntVec place = load(places + at, lanes);
          const int32_t number = static_cast<int32_t>((h + windows.top - r * windows.down) * pooling.width);
          const Inside inside(left, pooling.width, columns);
          for (int64_t j = inside.begin; j < inside.end; ++j) {
            float* here = to + (left + j) * pixel;
            store(here, load(here) + (place == number + static_cast<int32_t>(j) ? value : Vec{}), LANES);
          }
        }
    }
  }
};

}  // namespace

Error convolve(Pool& pool, Floats x, Floats kernel, Last last, Floats y, Bytes places, int64_t before, int64_t after,
               Pooling pooling) {
  const int64_t size = kernel.shape[0];
  const Packed packed = direct::padded(pool, map_of(x), before, after);
  const Output out = output_of(y, kept(places), last);
  const int64_t height = packed.height - size + 1, columns = packed.width - size + 1;
  // Tiles of up to 24 sums with AVX-512's 32 registers, of up to 8 with 16 registers.
  constexpr int BLOCK = MANY_REGISTERS ? 4 : 2;
  const auto computed = [&](int64_t wide) { return ceil_div(columns, wide) * wide; };
  if (MANY_REGISTERS && columns >= 6 && computed(6) <= computed(4))
    pool_blocks<6, BLOCK>(pool, packed, kernel.data, size, height, columns, out, pooling);
  else if (columns >= 4)
    pool_blocks<4, BLOCK>(pool, packed, kernel.data, size, height, columns, out, pooling);
  else
    pool_blocks<1, BLOCK>(pool, packed, kernel.data, size, height, columns, out, pooling);
  return nullptr;
}

Error kernel_gradient(Pool& pool, Floats x, Floats cotangent, Bytes places, Floats dk, int64_t before, int64_t after,
                      Pooling pooling) {
  const int64_t size = dk.shape[0];
  const Packed packed = direct::padded(pool, map_of(x), before, after);
  const Cotangent g{map_of(cotangent), places.data, pooling, packed.height - size + 1, packed.width - size + 1};
  return direct::kernel_gradient_of(pool, packed, g, size, dk.data);
}

}  // namespace fer::overlapping
