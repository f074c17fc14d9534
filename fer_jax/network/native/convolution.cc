// Convolution of stride 1 with its pooling, and both its gradients, for CPU. Called by native/__init__.py through XLA's
// foreign function interface.
//
// Maps are float32 (channels, height, width, batch), the batch innermost; kernels (size, size, channels, filters).
// The inner loops are in direct.h.
//
// Results do not depend on the number of threads: each output is summed by one thread, in a fixed order.

#include "direct.h"
#include "kernels.h"

namespace fer::direct {

namespace {

// --- the inner loops of the convolution ------------------------------------------------------------------------------

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
      out.finish(best, filter + b, at, lanes);
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

}  // namespace

Error convolve(Pool& pool, Floats x, Floats kernel, Last last, Floats y, Bytes places, int64_t before, int64_t after,
               int64_t window) {
  const int64_t size = kernel.shape[0];
  const Packed packed = padded(pool, map_of(x), before, after);
  const Output out = output_of(y, kept(places), last);
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

// A cotangent after pooling with windows that touch.
struct Touching {
  Map map;
  const uint8_t* places;
  int64_t rows_of_step, steps, columns;
  Touching(const Map& map, const uint8_t* places, int64_t window)
      : map(map), places(places), rows_of_step(window), steps(map.height), columns(map.width * window) {}
  void unpool(float* out, int64_t row, int64_t pixel, int64_t slice, int64_t channel, int64_t begin, int64_t end) const {
    unpool_rows(map, places, rows_of_step, out, row, pixel, slice, channel, begin, end);
  }
};

}  // namespace

Error kernel_gradient(Pool& pool, Floats x, Floats cotangent, Bytes places, Floats dk, int64_t before, int64_t after,
                      int64_t window) {
  const Touching g(map_of(cotangent), places.data, window);
  return kernel_gradient_of(pool, padded(pool, map_of(x), before, after), g, dk.shape[0], dk.data);
}

}  // namespace fer::direct
