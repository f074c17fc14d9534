// Convolution with 3 x 3 and 5 x 5 kernels by minimal filtering F(m, k) along the height alone, with its pooling and both
// gradients; for CPU. A strip of m rows of the output comes from t = m + k - 1 rows of the map. It needs t k products
// per column and pair of channels instead of m k^2: 2.5 times fewer for k = 5 and m = 4, half for k = 3 and m = 4.
// Filtering both axes (winograd.cc) saves more products, but its transforms pay only if each serves many filters.
//
// At each of the t places of a transformed strip a convolution along the width remains, whose sums stay in registers. A
// strip's transformed pixels and products stay in the second-level cache.

#include "kernels.h"
#include "minimal.h"

namespace fer::strips {

namespace {

thread_local Scratch pixel_scratch, product_scratch, cotangent_scratch, row_scratch, sum_scratch;

// The m whose strips cover a map of this height with the fewest products and do not cut a pooling window; 0 if none
// does.
int best_strip(int64_t size, int64_t height, int64_t window) {
  int best = 0;
  int64_t least = 0;
  for (int m = 2; m <= 4; ++m) {
    if (m % window || (size == 5 && m == 3)) continue;
    const int64_t products = ceil_div(height, m) * (m + size - 1);
    if (!best || products < least) best = m, least = products;
  }
  return best;
}

// T rows of one channel from row `top` on, counted without the lead: where each begins, and how far its pixels are apart.
template <int T>
struct Rows {
  const float* at[T];
  int64_t step[T];
  int lanes;

  Rows(const Pixels& x, int64_t slice, int64_t channel, int64_t top) : lanes(x.map.lanes(slice)) {
    static const float zeros[LANES] = {};
    const Map& map = x.map;
    const float* first = map.data + channel * map.height * map.width * map.batch + slice * LANES;
    int64_t row = map.width * map.batch, pixel = map.batch;
    if (x.window > 1) {
      const int64_t begin = std::max<int64_t>(0, top) / x.window;
      const int64_t end = std::min(map.height, ceil_div(std::max<int64_t>(0, top + T), x.window));
      row = x.width() * LANES, pixel = LANES, lanes = LANES;
      float* apart = row_scratch.take((T + 2 * x.window) * row);
      unpool_rows(map, x.places, x.window, apart, row, pixel, slice, channel, begin, end);
      first = apart - begin * x.window * row;
    }
    for (int i = 0; i < T; ++i) {
      const bool inside = top + i >= 0 && top + i < x.height();
      at[i] = inside ? first + (top + i) * row : zeros;
      step[i] = inside ? pixel : 0;
    }
  }
  void load_column(int64_t column, Vec (&d)[T]) const {
#pragma GCC unroll 8
    for (int i = 0; i < T; ++i) d[i] = load(at[i] + column * step[i], lanes);
  }
};

// Writes the transformed strip of one channel, whose first row is `top`: (column, LANES) for each place, `place` floats
// apart, with zeros around it up to `width` columns.
template <int T>
void transform_strip(const Pixels& x, int64_t slice, int64_t channel, int64_t top, int64_t width, float* out,
                     int64_t place) {
  const Rows<T> rows(x, slice, channel, top - x.lead);
  const int64_t last = std::min(width, x.lead + x.width());
  for (int p = 0; p < T; ++p) {
    std::memset(out + p * place, 0, x.lead * LANES * sizeof(float));
    std::memset(out + p * place + last * LANES, 0, (width - last) * LANES * sizeof(float));
  }
  for (int64_t w = x.lead; w < last; ++w) {
    Vec d[T], v[T];
    rows.load_column(w - x.lead, d);
    Points<T>::pixels(d, v);
#pragma GCC unroll 8
    for (int p = 0; p < T; ++p) store(out + p * place + w * LANES, v[p], LANES);
  }
}

// kernel(i, j, c, f), transformed along i: (place, panel of LANES filters, channel, j, LANES).
template <int M, int K>
const float* transformed_weights(const float* kernel, int64_t channels, int64_t filters) {
  constexpr int T = M + K - 1;
  const int64_t panels = ceil_div(filters, LANES), place = panels * channels * K * LANES;
  float* transformed = weight_scratch.take(T * place);
  for (int64_t panel = 0; panel < panels; ++panel) {
    const int lanes = static_cast<int>(std::min<int64_t>(LANES, filters - panel * LANES));
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t j = 0; j < K; ++j) {
        Vec g[K], u[T];
#pragma GCC unroll 5
        for (int i = 0; i < K; ++i) g[i] = load(kernel + ((i * K + j) * channels + c) * filters + panel * LANES, lanes);
        Minimal<M, K>::weights(g, u);
#pragma GCC unroll 8
        for (int p = 0; p < T; ++p) store(transformed + p * place + ((panel * channels + c) * K + j) * LANES, u[p], LANES);
      }
  }
  return transformed;
}

// --- the convolution -------------------------------------------------------------------------------------------------

constexpr int BLOCK = MANY_REGISTERS ? 4 : 2, WIDEST = MANY_REGISTERS ? 6 : 4;  // filters and columns summed in registers

// products(f, w) = sum over c and j of weights(c, j, f) pixels(c, w + j), for BLOCK filters and COLUMNS columns.
template <int K, int COLUMNS>
void multiply(const float* pixels, int64_t of_channel, int64_t channels, const float* weights, float* products,
              int64_t of_filter) {
  Vec sums[COLUMNS][BLOCK] = {};
  for (int64_t c = 0; c < channels; ++c, pixels += of_channel)
#pragma GCC unroll 5
    for (int64_t j = 0; j < K; ++j, weights += LANES) {
      Vec w[BLOCK];
#pragma GCC unroll 16
      for (int b = 0; b < BLOCK; ++b) w[b] = broadcast(weights[b]);
#pragma GCC unroll 16
      for (int q = 0; q < COLUMNS; ++q) {
        const Vec pixel = load_once(pixels + (j + q) * LANES);
#pragma GCC unroll 16
        for (int b = 0; b < BLOCK; ++b) sums[q][b] += pixel * w[b];
      }
    }
#pragma GCC unroll 16
  for (int b = 0; b < BLOCK; ++b)
#pragma GCC unroll 16
    for (int q = 0; q < COLUMNS; ++q) store(products + b * of_filter + q * LANES, sums[q][b], LANES);
}

template <int K>
using Multiply = decltype(&multiply<K, 1>);
template <int K>
Multiply<K> multiply_of(int64_t columns) {
  static constexpr Multiply<K> ALL[] = {multiply<K, 1>, multiply<K, 2>, multiply<K, 3>, multiply<K, 4>
#if defined(__AVX512F__)
    , multiply<K, 5>, multiply<K, 6>
#endif
  };
  return ALL[columns - 1];
}

// Outputs of one filter in the columns `begin` to `end` - 1, counted before pooling, from products (place, column, LANES).
template <int M, int K, int WINDOW>
void store_outputs(const float* products, int64_t place, const Output& out, int64_t filter, int64_t slice, int64_t strip,
                   int64_t begin, int64_t end) {
  constexpr int T = M + K - 1;
  const int lanes = out.lanes(slice);
  const int64_t first = strip * (M / WINDOW), rows = std::min<int64_t>(M / WINDOW, out.rows - first);
  for (int64_t w = begin; w < end; w += WINDOW) {
    Vec y[WINDOW][M];
#pragma GCC unroll 3
    for (int b = 0; b < WINDOW; ++b) {
      Vec m[T];
#pragma GCC unroll 8
      for (int p = 0; p < T; ++p) m[p] = load(products + p * place + (w - begin + b) * LANES);
      Minimal<M, K>::outputs(m, y[b]);
    }
    for (int64_t a = 0; a < rows; ++a) {
      const int64_t at = ((filter * out.rows + first + a) * out.columns + w / WINDOW) * out.batch + slice * LANES;
      Vec best = y[0][a * WINDOW];
      IntVec number{};
#pragma GCC unroll 9
      for (int i = 1; i < WINDOW * WINDOW; ++i) keep_greater(y[i % WINDOW][a * WINDOW + i / WINDOW], i, best, number);
      out.finish(best, filter, at, lanes);
      if (WINDOW > 1 && out.places) store(out.places + at, number, lanes);
    }
  }
}

template <int M, int K, int WINDOW>
void convolve_strip(const Pixels& x, int64_t channels, const float* weights, const Output& out, int64_t slice,
                    int64_t strip) {
  constexpr int T = M + K - 1;
  // If a strip and its products fit into the first-level cache, it is finished a few columns and filters at a time, so
  // that both stay there. Otherwise each place's pixels are read once for all filters.
  constexpr int64_t FEW_FLOATS = 6 << 10;
  const int64_t columns = out.columns * WINDOW, width = columns + K - 1, filters = ceil_div(out.filters, BLOCK) * BLOCK;
  const int64_t of_channel = width * LANES, of_place = channels * of_channel;
  const int64_t weight_place = ceil_div(out.filters, LANES) * channels * K * LANES;
  const bool few = T * of_place <= FEW_FLOATS;
  const int64_t columns_together = few ? 6 : columns, filters_together = few ? BLOCK : filters;  // 6: whole windows
  const int64_t of_filter = columns_together * LANES, product_place = filters_together * of_filter;
  float* pixels = pixel_scratch.take(T * of_place);             // (place, channel, column)
  float* products = product_scratch.take(T * product_place);  // (place, filter, column)
  for (int64_t c = 0; c < channels; ++c)
    transform_strip<T>(x, slice, c, M * strip, width, pixels + c * of_channel, of_place);
  for (int64_t begin = 0; begin < columns; begin += columns_together) {
    const int64_t count = std::min(columns_together, columns - begin), parts = ceil_div(count, WIDEST);
    for (int64_t first = 0; first < filters; first += filters_together) {
      for (int p = 0; p < T; ++p)
        for (int64_t f = first; f < std::min(filters, first + filters_together); f += BLOCK)
          for (int64_t i = 0; i < parts; ++i) {
            const int64_t from = i * count / parts, to = (i + 1) * count / parts;
            multiply_of<K>(to - from)(pixels + p * of_place + (begin + from) * LANES, of_channel, channels,
                                      weights + p * weight_place + f / LANES * channels * K * LANES + f % LANES,
                                      products + p * product_place + (f - first) * of_filter + from * LANES, of_filter);
          }
      for (int64_t f = first; f < std::min(out.filters, first + filters_together); ++f)
        store_outputs<M, K, WINDOW>(products + (f - first) * of_filter, product_place, out, f, slice, strip, begin,
                                    begin + count);
    }
  }
}

template <int M, int K>
void convolve_strips(Pool& pool, const Pixels& x, const float* kernel, int64_t channels, int64_t window,
                     const Output& out) {
  const float* weights = transformed_weights<M, K>(kernel, channels, out.filters);
  const int64_t strips = ceil_div(out.rows * window, M);
  parallel_for(pool, out.slices() * strips, [&](int64_t i) {
    const int64_t slice = i / strips, strip = i % strips;
    if (window == 1) convolve_strip<M, K, 1>(x, channels, weights, out, slice, strip);
    if constexpr (M % 2 == 0)
      if (window == 2) convolve_strip<M, K, 2>(x, channels, weights, out, slice, strip);
    if constexpr (M % 3 == 0)
      if (window == 3) convolve_strip<M, K, 3>(x, channels, weights, out, slice, strip);
  });
}

// The instance of a template for m and k, in this order.
#define FOR_STRIP(m, k, function) \
  (k == 5 ? (m == 2 ? function<2, 5> : function<4, 5>) : m == 2 ? function<2, 3> : m == 3 ? function<3, 3> : function<4, 3>)

// kernel(i, j, c, f): (size, size, channels, filters) of the convolution that is computed here.
Error convolve_map(Pool& pool, const Pixels& x, const float* kernel, int64_t size, int64_t channels, int64_t window,
                   const Output& out) {
  if (size != 3 && size != 5) return "kernels of 3 and 5 only";
  const int m = window < 1 ? 0 : best_strip(size, out.rows * window, window);
  if (m == 0) return "no strip for this pooling window";
  FOR_STRIP(m, size, convolve_strips)(pool, x, kernel, channels, window, out);
  return nullptr;
}

}  // namespace

Error convolve(Pool& pool, Floats x, Floats kernel, Last last, Floats y, Bytes places, int64_t before, int64_t after,
               int64_t window) {
  const Map map = map_of(x);
  const Output out = output_of(y, kept(places), last);
  return convolve_map(pool, Pixels{map, before}, kernel.data, kernel.shape[0], map.channels, window, out);
}

Error input_gradient(Pool& pool, Floats cotangent, Bytes places, Floats kernel, Floats dx, int64_t before, int64_t after,
                     int64_t window) {
  const Map g = map_of(cotangent);
  const auto shape = kernel.shape;
  const int64_t size = shape[0], area = size * size, channels = shape[2], filters = shape[3];
  // The kernel of the gradient: channels and filters are swapped, and both axes are reversed.
  float* turned = sum_scratch.take(area * channels * filters);
  for (int64_t at = 0; at < area; ++at)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t f = 0; f < filters; ++f)
        turned[((area - 1 - at) * filters + f) * channels + c] = kernel.data[(at * channels + c) * filters + f];
  // Row h of dx takes rows h - i + before of the cotangent, i = 0 ... size - 1.
  const Pixels pixels{g, size - 1 - before, places.data, window};
  return convolve_map(pool, pixels, turned, size, g.channels, 1, output_of(dx, nullptr));
}

namespace {

// --- the gradient of the kernel --------------------------------------------------------------------------------------
//
// At each place, the gradient of a row of weights, from the transformed pixels and the transformed cotangents.

constexpr int64_t MOST_PARTS = 8;       // of the batch, whose sums are added up in the end
constexpr int64_t MOST_SUMS = 1 << 20;  // floats that a thread, or all parts' gradients, may take

// The transformed cotangents of `count` strips of a slice, (place, strip, column, FILTERS, LANES), for the filters from
// `filter` on; zero for filters that are none.
template <int M, int K, int FILTERS>
void transform_cotangents(const Pixels& g, int64_t slice, int64_t strip, int64_t count, int64_t filter, float* out) {
  constexpr int T = M + K - 1;
  const int64_t columns = g.width(), of_strip = columns * FILTERS * LANES;
  for (int64_t s = 0; s < count; ++s)
    for (int64_t f = 0; f < FILTERS; ++f) {
      float* first = out + s * of_strip + f * LANES;
      if (filter + f >= g.map.channels) {
        for (int p = 0; p < T; ++p)
          for (int64_t w = 0; w < columns; ++w) store(first + p * count * of_strip + w * FILTERS * LANES, Vec{}, LANES);
        continue;
      }
      const Rows<M> rows(g, slice, filter + f, (strip + s) * M);
      for (int64_t w = 0; w < columns; ++w) {
        Vec y[M], v[T];
        rows.load_column(w, y);
        Minimal<M, K>::cotangents(y, v);
#pragma GCC unroll 8
        for (int p = 0; p < T; ++p) store(first + p * count * of_strip + w * FILTERS * LANES, v[p], LANES);
      }
    }
}

// The gradient from the slices `begin` to `end` - 1, for the blocks of filters `first` to `last` - 1. A few strips are
// transformed at a time and stay in the second-level cache, the pixels for all filters and the cotangents for all
// channels. The sums wait in memory meanwhile.
template <int M, int K, int CHANNELS, int FILTERS>
void kernel_part(const Map& map, const Pixels& g, int64_t before, int64_t begin, int64_t end, int64_t first, int64_t last,
                 float* dk) {
  constexpr int T = M + K - 1;
  // Enough that loading and storing the sums costs little.
  constexpr int64_t PIXELS = 64, OF_GROUP = CHANNELS * K * FILTERS * LANES;
  const int64_t strips = ceil_div(g.height(), M), columns = g.width(), groups = ceil_div(map.channels, CHANNELS);
  const int64_t together = std::min(strips, std::max<int64_t>(1, PIXELS / columns));
  Packed x{nullptr, groups * CHANNELS, together, columns + K - 1, 0, 0};  // strips as the rows of one map for each place
  const int64_t place = x.channels * x.plane(), of_block = T * groups * OF_GROUP;
  x.data = pixel_scratch.take(T * place);
  float* cotangents = cotangent_scratch.take(T * together * columns * FILTERS * LANES);
  float* sums = sum_scratch.take((last - first) * of_block);  // (block, place, group of channels, ...)
  if (x.channels > map.channels) std::memset(x.data, 0, T * place * sizeof(float));  // for channels that are none
  std::memset(sums, 0, (last - first) * of_block * sizeof(float));
  for (int64_t slice = begin; slice < end; ++slice)
    for (int64_t strip = 0; strip < strips; strip += together) {
      const int64_t count = std::min(together, strips - strip);
      for (int64_t c = 0; c < map.channels; ++c)
        for (int64_t s = 0; s < count; ++s)
          transform_strip<T>(Pixels{map, before}, slice, c, (strip + s) * M, x.width, x.data + c * x.plane() + s * x.row(),
                             place);
      for (int64_t block = first; block < last; ++block) {
        transform_cotangents<M, K, FILTERS>(g, slice, strip, count, block * FILTERS, cotangents);
        for (int p = 0; p < T; ++p)
          for (int64_t k = 0; k < groups; ++k)
            kernel_row<K, CHANNELS, FILTERS>(x, x.data + p * place + k * CHANNELS * x.plane(),
                                             cotangents + p * count * columns * FILTERS * LANES, count, columns,
                                             sums + (block - first) * of_block + (p * groups + k) * OF_GROUP);
      }
    }
  for (int64_t f = first * FILTERS; f < std::min(last * FILTERS, g.map.channels); ++f)
    for (int64_t c = 0; c < map.channels; ++c)
      for (int64_t j = 0; j < K; ++j) {
        const float* sum = sums + (f / FILTERS - first) * of_block + c / CHANNELS * OF_GROUP +
                           ((c % CHANNELS * K + j) * FILTERS + f % FILTERS) * LANES;
        Vec u[T], weights[K];
#pragma GCC unroll 8
        for (int p = 0; p < T; ++p) u[p] = load(sum + p * groups * OF_GROUP);
        Minimal<M, K>::weights_transposed(u, weights);
#pragma GCC unroll 5
        for (int i = 0; i < K; ++i) dk[((i * K + j) * map.channels + c) * g.map.channels + f] = sum_of_lanes(weights[i]);
      }
}

template <int M, int K>
void kernel_gradient_by(Pool& pool, const Map& map, const Pixels& g, int64_t before, float* dk) {
  constexpr int CHANNELS = MANY_REGISTERS && K == 3 ? 2 : 1, FILTERS = MANY_REGISTERS || K == 3 ? 4 : 2;
  const int64_t weights = K * K * map.channels * g.map.channels, blocks = ceil_div(g.map.channels, FILTERS);
  const int64_t sums = (M + K - 1) * K * map.channels * g.map.channels * LANES;
  // By parts of the batch, so that what a thread transforms stays in its own cache. Filters are also cut if these are
  // too few for the threads, or the sums too many. That changes no sum.
  const int64_t parts = std::min({map.slices(), MOST_PARTS, std::max<int64_t>(1, MOST_SUMS / weights)});
  const int64_t cuts = std::min(blocks, std::max(ceil_div(pool.num_threads(), parts), ceil_div(sums, MOST_SUMS)));
  float* partial = product_scratch.take(parts * weights);
  parallel_for(pool, parts * cuts, [&](int64_t i) {
    const int64_t part = i / cuts, cut = i % cuts;
    kernel_part<M, K, CHANNELS, FILTERS>(map, g, before, part * map.slices() / parts, (part + 1) * map.slices() / parts,
                                         cut * blocks / cuts, (cut + 1) * blocks / cuts, partial + part * weights);
  });
  for (int64_t i = 0; i < weights; ++i) {
    float sum = partial[i];
    for (int64_t part = 1; part < parts; ++part) sum += partial[part * weights + i];
    dk[i] = sum;
  }
}

}  // namespace

Error kernel_gradient(Pool& pool, Floats x, Floats cotangent, Bytes places, Floats dk, int64_t before, int64_t after,
                      int64_t window) {
  const Pixels g{map_of(cotangent), 0, places.data, window};
  const int64_t size = dk.shape[0];
  if (size != 3 && size != 5) return "kernels of 3 and 5 only";
  const int m = best_strip(size, g.height(), 1);
  FOR_STRIP(m, size, kernel_gradient_by)(pool, map_of(x), g, before, dk.data);
  return nullptr;
}

}  // namespace fer::strips
