// Depthwise convolution, each channel with a separate kernel, and both its gradients, for CPU. Called by
// native/depthwise.py.
//
// There are so few products per pixel that memory limits the speed. So a few rows of a channel at a time are padded into
// memory that the first-level cache holds, and the loops over the kernel read them there.
//
// Results do not depend on the number of threads: each output is summed by one thread, in a fixed order.

#include "kernels.h"

namespace fer::depthwise {

namespace {

thread_local Scratch row_scratch;
constexpr int64_t ROW_FLOATS = 8 << 10;  // of padded rows at a time
constexpr int WIDEST = 8;                // columns whose sums stay in registers

// How many rows of windows are computed at a time.
int64_t rows_together(int64_t size, int64_t width, int64_t down) {
  return std::max<int64_t>(0, ROW_FLOATS / (width * LANES) - size) / down + 1;
}

// One row of the output from padded rows.
template <int COLUMNS>
void convolve_row(const float* x, int64_t row, int64_t across, const float* kernel, int64_t size, int64_t channel,
                  const Output& out, int lanes, int64_t at) {
  const int64_t columns = out.columns;
  for (int64_t q = 0; q < columns; q += COLUMNS) {
    // The last tile moves back over finished pixels, so that no tile is ever narrower.
    const int64_t column = std::min<int64_t>(q, columns - COLUMNS);
    Vec sums[COLUMNS] = {};
    for (int64_t i = 0; i < size; ++i)
      for (int64_t j = 0; j < size; ++j) {
        const float* pixels = x + i * row + (column * across + j) * LANES;
        const Vec weight = broadcast(kernel[i * size + j]);
#pragma GCC unroll 16
        for (int k = 0; k < COLUMNS; ++k) sums[k] += load(pixels + k * across * LANES) * weight;
      }
#pragma GCC unroll 16
    for (int k = 0; k < COLUMNS; ++k) out.finish(sums[k], channel, at + (column + k) * out.batch, lanes);
  }
}

// lie: where the map's pixels lie among the zeros. turned: with the kernel turned round, as in the gradient. The windows
// are `down` rows and `across` columns apart.
void convolve_map(Pool& pool, const Map& map, const Windows& lie, const Floats& kernel, bool turned, int64_t down,
                  int64_t across, const Output& out) {
  const int64_t size = kernel.shape[0], area = size * size, channels = map.channels;
  const int64_t width = (out.columns - 1) * across + size, row = width * LANES;
  float* weights = weight_scratch.take(channels * area);  // (channel, row, column)
  for (int64_t at = 0; at < area; ++at)
    for (int64_t c = 0; c < channels; ++c) weights[c * area + (turned ? area - 1 - at : at)] = kernel.data[at * channels + c];
  const auto convolve = out.columns >= WIDEST ? convolve_row<WIDEST> : out.columns >= 4 ? convolve_row<4> : convolve_row<1>;
  const int64_t together = rows_together(size, width, down), bands = ceil_div(out.rows, together);
  parallel_for(pool, channels * bands, [&](int64_t i) {
    const int64_t c = i / bands, first = i % bands * together, count = std::min(together, out.rows - first);
    const int64_t high = (count - 1) * down + size;
    float* rows = row_scratch.take(high * row);
    for (int64_t s = 0; s < out.slices(); ++s) {
      pad_rows(map, lie, s, c, first * down, high, width, rows);
      for (int64_t r = 0; r < count; ++r)
        convolve(rows + r * down * row, row, across, weights + c * area, size, c, out, out.lanes(s),
                 (c * out.rows + first + r) * out.columns * out.batch + s * LANES);
    }
  });
}

// Adds the gradient of ROWS rows of weights from some rows of cotangents to `totals`.
template <int SIZE, int ROWS>
void add_weights(const float* x, int64_t row, const Windows& windows, const float* g, int64_t rows, int64_t columns,
                 int64_t batch, int lanes, double* totals) {
  Vec sums[ROWS * SIZE] = {};
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t q = 0; q < columns; ++q) {
      const float* corner = x + r * windows.down * row + q * windows.across * LANES;
      const Vec value = load(g + (r * columns + q) * batch, lanes);
#pragma GCC unroll 8
      for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < SIZE; ++j) sums[i * SIZE + j] += load(corner + i * row + j * LANES) * value;
    }
#pragma GCC unroll 32
  for (int i = 0; i < ROWS * SIZE; ++i) totals[i] += sum_of_lanes(sums[i]);
}

// A channel's weights. A map has 100,000 pixels and more, so the sums of a few rows are added in double.
template <int SIZE>
void kernel_of_channel(const Map& map, const Map& g, const Windows& windows, int64_t c, float* dk) {
  constexpr int TOGETHER = std::min(SIZE, (MANY_REGISTERS ? 25 : 10) / SIZE);  // rows of weights
  const int64_t width = (g.width - 1) * windows.across + SIZE, row = width * LANES;
  const int64_t together = rows_together(SIZE, width, windows.down);
  float* rows = row_scratch.take(((together - 1) * windows.down + SIZE) * row);
  double totals[SIZE * SIZE] = {};
  for (int64_t first = 0; first < g.height; first += together) {
    const int64_t count = std::min(together, g.height - first);
    for (int64_t s = 0; s < g.slices(); ++s) {
      const float* values = g.data + (c * g.height + first) * g.width * g.batch + s * LANES;
      pad_rows(map, {windows.top, windows.left, 1, 1}, s, c, first * windows.down, (count - 1) * windows.down + SIZE, width,
               rows);
      int i = 0;
      for (; i + TOGETHER <= SIZE; i += TOGETHER)
        add_weights<SIZE, TOGETHER>(rows + i * row, row, windows, values, count, g.width, g.batch, g.lanes(s),
                                    totals + i * SIZE);
      for (; i < SIZE; ++i)
        add_weights<SIZE, 1>(rows + i * row, row, windows, values, count, g.width, g.batch, g.lanes(s), totals + i * SIZE);
    }
  }
  for (int i = 0; i < SIZE * SIZE; ++i) dk[i * map.channels + c] = static_cast<float>(totals[i]);
}

}  // namespace

Error convolve(Pool& pool, Floats x, Floats kernel, Last last, Floats y, Windows windows) {
  convolve_map(pool, map_of(x), {windows.top, windows.left, 1, 1}, kernel, false, windows.down, windows.across,
               output_of(y, nullptr, last));
  return nullptr;
}

Error input_gradient(Pool& pool, Floats cotangent, Floats kernel, Floats dx, Windows windows) {
  // Row h of dx takes the cotangents of the windows that begin at rows h - i of the map, i = 0 ... size - 1.
  const int64_t last = kernel.shape[0] - 1;
  convolve_map(pool, map_of(cotangent), {last - windows.top, last - windows.left, windows.down, windows.across}, kernel, true,
               1, 1, output_of(dx, nullptr));
  return nullptr;
}

Error kernel_gradient(Pool& pool, Floats x, Floats cotangent, Floats dk, Windows windows) {
  const int64_t size = dk.shape[0];
  const auto of_channel = size == 3 ? kernel_of_channel<3> : size == 5 ? kernel_of_channel<5> : kernel_of_channel<7>;
  if (size != 3 && size != 5 && size != 7) return "kernels of 3, 5 and 7 only";
  parallel_for(pool, x.shape[0], [&](int64_t c) { of_channel(map_of(x), map_of(cotangent), windows, c, dk.data); });
  return nullptr;
}

}  // namespace fer::depthwise
