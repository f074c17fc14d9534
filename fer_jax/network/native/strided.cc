// Convolution with any strides and any small kernel, directly, and both its gradients, for CPU. Called by
// native/strided.py.
//
// With strides the rows and columns of the map fall into phases. Each tap of the kernel reads one phase, and each phase of
// the input's gradient takes the taps that have read it, so that no product is with a zero that only fills a gap. A few
// rows of all channels at a time are padded into memory that the second-level cache holds.
//
// Results do not depend on the number of threads: each output is summed by one thread, in a fixed order.

#include "kernels.h"

namespace fer::strided {

namespace {

thread_local Scratch row_scratch, cotangent_scratch, sum_scratch;
constexpr int BLOCK = MANY_REGISTERS ? 4 : 2, WIDEST = MANY_REGISTERS ? 6 : 4;  // filters and columns summed in registers
constexpr int64_t ROW_FLOATS = 64 << 10;                                        // of padded rows at a time

// --- the convolution -------------------------------------------------------------------------------------------------

// What `multiply` reads and writes: planes of padded pixels, `step` floats from column to column, and at each of `count`
// taps, which are offsets from a column's first pixel. of_column: between columns of the output.
struct Products {
  const Output& out;
  int64_t plane, channels, step;
  const int64_t* taps;
  int64_t count, of_column;
  int lanes;
};

// out(filter + b, at + q) = sum over channels c and taps t of weights(c, t, b) x(c, q, t).
template <int COLUMNS>
void multiply(const Products& p, const float* x, const float* weights, int64_t filter, int64_t at) {
  Vec sums[COLUMNS][BLOCK] = {};
  for (int64_t c = 0; c < p.channels; ++c, x += p.plane)
    for (int64_t t = 0; t < p.count; ++t, weights += BLOCK) {
      const float* pixels = x + p.taps[t];
      Vec w[BLOCK];
#pragma GCC unroll 16
      for (int b = 0; b < BLOCK; ++b) w[b] = broadcast(weights[b]);
#pragma GCC unroll 16
      for (int q = 0; q < COLUMNS; ++q) {
        const Vec pixel = load_once(pixels + q * p.step);
#pragma GCC unroll 16
        for (int b = 0; b < BLOCK; ++b) sums[q][b] += pixel * w[b];
      }
    }
#pragma GCC unroll 16
  for (int b = 0; b < BLOCK; ++b) {
    if (filter + b >= p.out.filters) return;
#pragma GCC unroll 16
    for (int q = 0; q < COLUMNS; ++q) p.out.finish(sums[q][b], filter + b, at + q * p.of_column, p.lanes);
    at += p.out.rows * p.out.columns * p.out.batch;
  }
}

// `columns` of one row of the output, all filters. weights: (block of filters, channel, tap, BLOCK).
void multiply_row(const Products& p, const float* x, const float* weights, int64_t columns, int64_t at) {
  const int64_t of_filter = p.out.rows * p.out.columns * p.out.batch;
  static constexpr decltype(&multiply<1>) ALL[] = {multiply<1>, multiply<2>, multiply<3>, multiply<4>
#if defined(__AVX512F__)
    , multiply<5>, multiply<6>
#endif
  };
  const int64_t parts = ceil_div(columns, WIDEST);
  for (int64_t i = 0; i < parts; ++i) {
    const int64_t from = i * columns / parts, end = (i + 1) * columns / parts;
    for (int64_t f = 0; f < p.out.filters; f += BLOCK)
      ALL[end - from - 1](p, x + from * p.step, weights + f * p.channels * p.count, f,
                          at + f * of_filter + from * p.of_column);
  }
}

struct Kernel {  // (height, width, channels, filters)
  const float* data;
  int64_t height, width, channels, filters;
  float at(int64_t i, int64_t j, int64_t c, int64_t f) const {
    return data[((i * width + j) * channels + c) * filters + f];
  }
};

Kernel kernel_of(const Floats& kernel) {
  return Kernel{kernel.data, kernel.shape[0], kernel.shape[1], kernel.shape[2], kernel.shape[3]};
}

// Weights of the taps (first_row + m down, first_column + n across) as (block of outs, in, tap, BLOCK). Zero for outs that
// are none. transposed: the kernel's filters are the ins.
float* pack_weights(const Kernel& kernel, int64_t first_row, int64_t first_column, int64_t down, int64_t across,
                    bool transposed, float* packed) {
  const int64_t outs = transposed ? kernel.channels : kernel.filters, ins = transposed ? kernel.filters : kernel.channels;
  for (int64_t block = 0; block < outs; block += BLOCK)
    for (int64_t in = 0; in < ins; ++in)
      for (int64_t i = first_row; i < kernel.height; i += down)
        for (int64_t j = first_column; j < kernel.width; j += across)
          for (int64_t o = block; o < block + BLOCK; ++o)
            *packed++ = o >= outs ? 0 : transposed ? kernel.at(i, j, o, in) : kernel.at(i, j, in, o);
  return packed;
}

// How many rows of windows are computed at a time.
int64_t rows_together(int64_t channels, int64_t size, int64_t width, int64_t down) {
  return std::max<int64_t>(0, ROW_FLOATS / (channels * width * LANES) - size) / down + 1;
}

}  // namespace

Error convolve(Pool& pool, Floats x, Floats kernel, Last last, Floats y, Windows windows) {
  const Map map = map_of(x);
  const Kernel k = kernel_of(kernel);
  const Output out = output_of(y, nullptr, last);
  const int64_t width = (out.columns - 1) * windows.across + k.width, row = width * LANES;
  float* weights = weight_scratch.take(k.height * k.width * k.channels * ceil_div(k.filters, BLOCK) * BLOCK);
  pack_weights(k, 0, 0, 1, 1, false, weights);
  const int64_t together = rows_together(k.channels, k.height, width, windows.down), bands = ceil_div(out.rows, together);
  parallel_for(pool, out.slices() * bands, [&](int64_t task) {
    const int64_t s = task % out.slices(), first = task / out.slices() * together;
    const int64_t count = std::min(together, out.rows - first), high = (count - 1) * windows.down + k.height;
    float* rows = row_scratch.take(k.channels * high * row);
    for (int64_t c = 0; c < k.channels; ++c)
      pad_rows(map, {windows.top, windows.left, 1, 1}, s, c, first * windows.down, high, width, rows + c * high * row);
    int64_t taps[MOST_TAPS], number = 0;
    for (int64_t i = 0; i < k.height; ++i)
      for (int64_t j = 0; j < k.width; ++j) taps[number++] = i * row + j * LANES;
    const Products p{out, high * row, k.channels, windows.across * LANES, taps, number, out.batch, out.lanes(s)};
    for (int64_t r = 0; r < count; ++r)
      multiply_row(p, rows + r * windows.down * row, weights, out.columns,
                   (first + r) * out.columns * out.batch + s * LANES);
  });
  return nullptr;
}

// Row h of dx, h + top = n down + a, takes row n - m of the cotangent through row m down + a of the kernel. Columns alike.
Error input_gradient(Pool& pool, Floats cotangent, Floats kernel, Floats dx, Windows windows) {
  const Map g = map_of(cotangent);
  const Kernel k = kernel_of(kernel);
  const Output out = output_of(dx, nullptr);
  const int64_t down = windows.down, across = windows.across;
  const int64_t lead = ceil_div(k.height, down) - 1, before = ceil_div(k.width, across) - 1;  // zeros
  const int64_t width = (out.columns - 1 + windows.left) / across + 1 + before, row = width * LANES;
  float* weights = weight_scratch.take(k.height * k.width * k.filters * ceil_div(k.channels, BLOCK) * BLOCK);
  const float* of_phase[MOST_STEPS * MOST_STEPS];
  float* next = weights;
  for (int64_t phase = 0; phase < down * across; ++phase) {
    of_phase[phase] = next;
    next = pack_weights(k, phase / across, phase % across, down, across, true, next);
  }
  const int64_t together = down * rows_together(k.filters, lead + 1, width, 1), bands = ceil_div(out.rows, together);
  parallel_for(pool, out.slices() * bands, [&](int64_t task) {
    const int64_t s = task % out.slices(), first = task / out.slices() * together;
    const int64_t end = std::min(first + together, out.rows);
    const int64_t begin = (first + windows.top) / down, high = (end - 1 + windows.top) / down - begin + 1 + lead;
    float* rows = row_scratch.take(k.filters * high * row);
    for (int64_t f = 0; f < k.filters; ++f)
      pad_rows(g, {lead, before, 1, 1}, s, f, begin, high, width, rows + f * high * row);
    int64_t taps[MOST_TAPS];
    Products p{out, high * row, k.filters, LANES, taps, 0, across * out.batch, out.lanes(s)};
    for (int64_t h = first; h < end; ++h)
      for (int64_t b = 0; b < across; ++b) {
        const int64_t a = (h + windows.top) % down, column = (b - windows.left % across + across) % across;
        if (column >= out.columns) continue;
        p.count = 0;
        for (int64_t m = 0; m * down + a < k.height; ++m)
          for (int64_t n = 0; n * across + b < k.width; ++n) taps[p.count++] = -m * row - n * LANES;
        const int64_t above = (h + windows.top) / down - begin + lead, left = (column + windows.left) / across + before;
        multiply_row(p, rows + above * row + left * LANES, of_phase[a * across + b],
                     ceil_div(out.columns - column, across),
                     (h * out.columns + column) * out.batch + s * LANES);
      }
  });
  return nullptr;
}

namespace {

// --- the gradient of the kernel --------------------------------------------------------------------------------------

constexpr int CHANNELS = MANY_REGISTERS ? 4 : 2, FILTERS = 4;  // whose sums stay in registers
constexpr int64_t PIXELS = 48;            // of a slice at a time: enough that loading and storing the sums costs little
constexpr int64_t PIXELS_OF_PART = 256;   // of a part of the batch: enough that adding up the parts costs little
constexpr int64_t MOST_PARTS = 8;
constexpr int64_t MOST_SUMS = 1 << 20;    // floats that a thread, or all parts' gradients, may take

// Some rows of windows of `slices` slices, padded: pixels (channel, slice, row, column) and cotangents (filter, slice, row,
// column), both of LANES images.
struct Band {
  const float *x, *g;
  int64_t plane, row, of_slice;  // of x
  int64_t of_filter;             // of g
  int64_t slices, rows, columns;
  Windows windows;
};

// Adds the products of CHANNELS channels, at one tap, and FILTERS filters to sums (channel, filter, LANES).
inline void add_products(const Band& band, const float* x, const float* g, float* kept) {
  Vec sums[CHANNELS * FILTERS];
#pragma GCC unroll 16
  for (int i = 0; i < CHANNELS * FILTERS; ++i) sums[i] = load(kept + i * LANES);
  for (int64_t s = 0; s < band.slices; ++s)
    for (int64_t r = 0; r < band.rows; ++r) {
      const float* pixels = x + s * band.of_slice + r * band.windows.down * band.row;
      for (int64_t q = 0; q < band.columns; ++q, pixels += band.windows.across * LANES, g += LANES) {
        Vec v[FILTERS];
#pragma GCC unroll 16
        for (int f = 0; f < FILTERS; ++f) v[f] = load_once(g + f * band.of_filter);
#pragma GCC unroll 16
        for (int c = 0; c < CHANNELS; ++c) {
          const Vec pixel = load_once(pixels + c * band.plane);
#pragma GCC unroll 16
          for (int f = 0; f < FILTERS; ++f) sums[c * FILTERS + f] += pixel * v[f];
        }
      }
    }
#pragma GCC unroll 16
  for (int i = 0; i < CHANNELS * FILTERS; ++i) store(kept + i * LANES, sums[i], LANES);
}

// The gradient from the slices `begin` to `end` - 1, for the blocks of filters `first` to `last` - 1.
void kernel_part(const Map& map, const Map& g, const Windows& windows, int64_t height, int64_t width, int64_t begin,
                 int64_t end, int64_t first, int64_t last, float* dk) {
  const int64_t slices = end - begin, area = height * width, groups = ceil_div(map.channels, CHANNELS);
  const int64_t together = std::min(g.height, ceil_div(PIXELS, g.width * slices));
  const int64_t across = (g.width - 1) * windows.across + width, row = across * LANES;
  const int64_t most = (together - 1) * windows.down + height, count = (last - first) * FILTERS;
  constexpr int64_t OF_GROUP = CHANNELS * FILTERS * LANES;
  float* x = row_scratch.take(groups * CHANNELS * slices * most * row);
  float* values = cotangent_scratch.take(count * slices * together * g.width * LANES);
  float* sums = sum_scratch.take((last - first) * groups * area * OF_GROUP);  // (block, group, tap, ...)
  std::memset(sums, 0, (last - first) * groups * area * OF_GROUP * sizeof(float));
  for (int64_t top = 0; top < g.height; top += together) {
    const int64_t rows = std::min(together, g.height - top), high = (rows - 1) * windows.down + height;
    const Band band{x, values, slices * high * row, row, high * row, slices * rows * g.width * LANES, slices, rows, g.width,
                    windows};
    // Channels and filters that are none are zero.
    for (int64_t c = 0; c < groups * CHANNELS; ++c)
      for (int64_t s = 0; s < slices; ++s) {
        float* out = x + c * band.plane + s * band.of_slice;
        if (c < map.channels)
          pad_rows(map, {windows.top, windows.left, 1, 1}, begin + s, c, top * windows.down, high, across, out);
        else
          std::memset(out, 0, high * row * sizeof(float));
      }
    for (int64_t f = 0; f < count; ++f)
      for (int64_t s = 0; s < slices; ++s) {
        float* out = values + f * band.of_filter + s * rows * g.width * LANES;
        if (first * FILTERS + f < g.channels)
          pad_rows(g, {0, 0, 1, 1}, begin + s, first * FILTERS + f, top, rows, g.width, out);
        else
          std::memset(out, 0, rows * g.width * LANES * sizeof(float));
      }
    for (int64_t block = 0; block < last - first; ++block)
      for (int64_t k = 0; k < groups; ++k)
        for (int64_t t = 0; t < area; ++t)
          add_products(band, x + k * CHANNELS * band.plane + t / width * row + t % width * LANES,
                       values + block * FILTERS * band.of_filter, sums + ((block * groups + k) * area + t) * OF_GROUP);
  }
  for (int64_t f = first * FILTERS; f < std::min(last * FILTERS, g.channels); ++f)
    for (int64_t c = 0; c < map.channels; ++c)
      for (int64_t t = 0; t < area; ++t) {
        const float* sum = sums + (((f / FILTERS - first) * groups + c / CHANNELS) * area + t) * OF_GROUP;
        dk[(t * map.channels + c) * g.channels + f] = sum_of_lanes(load(sum + (c % CHANNELS * FILTERS + f % FILTERS) * LANES));
      }
}

}  // namespace

Error kernel_gradient(Pool& pool, Floats x, Floats cotangent, Floats dk, Windows windows) {
  const Map map = map_of(x), g = map_of(cotangent);
  const int64_t height = dk.shape[0], width = dk.shape[1], weights = height * width * map.channels * g.channels;
  const int64_t blocks = ceil_div(g.channels, FILTERS), sums = weights * LANES;
  // By parts of the batch, so that what a thread pads stays in its own cache. Filters are also cut if these are too few for
  // the threads, or the sums too many. That changes no sum.
  const int64_t enough = std::max<int64_t>(1, map.slices() * g.height * g.width / PIXELS_OF_PART);
  const int64_t parts = std::min({map.slices(), MOST_PARTS, enough, std::max<int64_t>(1, MOST_SUMS / weights)});
  const int64_t cuts = std::min(blocks, std::max(ceil_div(pool.num_threads(), parts), ceil_div(sums, MOST_SUMS)));
  float* partial = weight_scratch.take(parts * weights);
  parallel_for(pool, parts * cuts, [&](int64_t i) {
    const int64_t part = i / cuts, cut = i % cuts;
    kernel_part(map, g, windows, height, width, part * map.slices() / parts, (part + 1) * map.slices() / parts,
                cut * blocks / cuts, (cut + 1) * blocks / cuts, partial + part * weights);
  });
  for (int64_t i = 0; i < weights; ++i) {
    float sum = partial[i];
    for (int64_t part = 1; part < parts; ++part) sum += partial[part * weights + i];
    dk.data[i] = sum;
  }
  return nullptr;
}

}  // namespace fer::strided
