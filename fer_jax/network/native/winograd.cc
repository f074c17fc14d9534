// Convolution with 3 x 3 kernels by Winograd's minimal filtering F(m x m, 3 x 3), with its pooling and both gradients; for
// CPU (Lavin & Gray 2016). A tile is t = m + 2 pixels wide and high. It gives m x m outputs with t^2 products per pair
// of channels instead of 9 m^2: 2.25, 3.24 and 4 times fewer for m = 2, 3, 4. m is chosen by how well its tiles cover
// the map; a pooling window must fit into a tile's output. (For 5 x 5 kernels strips.cc is faster.)
//
// Tiles are numbered over all slices of LANES images, the slices innermost. Each of the t^2 places of a transformed
// tile is a separate matrix product.

#include "kernels.h"
#include "minimal.h"

namespace fer::winograd {

namespace {

constexpr int K = 3;  // the kernel's size

// --- tiles -----------------------------------------------------------------------------------------------------------

struct Tiles {
  int64_t slices, rows, columns;
  int64_t count() const { return slices * rows * columns; }
  int64_t slice(int64_t t) const { return t % slices; }
  int64_t row(int64_t t) const { return t / slices / columns; }
  int64_t column(int64_t t) const { return t / slices % columns; }
};

// The m whose tiles cover a map of this size with the fewest products and do not cut a pooling window; 0 if none does.
int best_tile(int64_t height, int64_t width, int64_t window) {
  int best = 0;
  int64_t least = 0;
  for (int m = 2; m <= 4; ++m) {
    const int64_t t = m + K - 1, products = ceil_div(height, m) * ceil_div(width, m) * t * t;
    if (m % window == 0 && (!best || products < least)) best = m, least = products;
  }
  return best;
}

// SIZE x SIZE pixels from row `top` and column `left` on of an unpooled cotangent. All windows that the tile touches
// are unpooled whole, so that nothing in the loops depends on where the tile begins.
template <int SIZE, int WINDOW>
inline void unpooled_tile(const Pixels& x, int64_t plane, int lanes, int64_t top, int64_t left, Vec (&d)[SIZE][SIZE]) {
  constexpr int WINDOWS = (SIZE + WINDOW - 2) / WINDOW + 1;
  const Map& map = x.map;
  // Rounded down even if they are negative, by at most a kernel's width.
  const int64_t above = (top + 4 * WINDOW) / WINDOW - 4, before = (left + 4 * WINDOW) / WINDOW - 4;
  Vec whole[WINDOWS * WINDOW][WINDOWS * WINDOW];
  for (int r = 0; r < WINDOWS; ++r)
#pragma GCC unroll 4
    for (int q = 0; q < WINDOWS; ++q) {
      Vec value{};
      IntVec place{};
      if (above + r >= 0 && above + r < map.height && before + q >= 0 && before + q < map.width) {
        const int64_t at = plane + ((above + r) * map.width + before + q) * map.batch;
        value = load(map.data + at, lanes), place = load(x.places + at, lanes);
      }
#pragma GCC unroll 9
      for (int i = 0; i < WINDOW * WINDOW; ++i)
        whole[r * WINDOW + i / WINDOW][q * WINDOW + i % WINDOW] = place == i ? value : Vec{};
    }
  const int64_t down = top - above * WINDOW, right = left - before * WINDOW;
#pragma GCC unroll 6
  for (int i = 0; i < SIZE; ++i)
#pragma GCC unroll 6
    for (int j = 0; j < SIZE; ++j) d[i][j] = whole[down + i][right + j];
}

// SIZE x SIZE pixels from row `top` and column `left` on, counted with the lead; zero outside the map.
template <int SIZE>
inline void load_tile(const Pixels& x, int64_t slice, int64_t channel, int64_t top, int64_t left, Vec (&d)[SIZE][SIZE]) {
  const Map& map = x.map;
  const int lanes = map.lanes(slice);
  const int64_t row = map.width * map.batch;
  const int64_t plane = channel * map.height * row + slice * LANES;
  top -= x.lead, left -= x.lead;
  if (x.window > 1) {
    (x.window == 2 ? unpooled_tile<SIZE, 2> : unpooled_tile<SIZE, 3>)(x, plane, lanes, top, left, d);
    return;
  }
  const float* corner = map.data + plane + top * row + left * map.batch;
  if (lanes == LANES && top >= 0 && left >= 0 && top + SIZE <= map.height && left + SIZE <= map.width) {
#pragma GCC unroll 6
    for (int i = 0; i < SIZE; ++i)
#pragma GCC unroll 6
      for (int j = 0; j < SIZE; ++j) d[i][j] = load(corner + i * row + j * map.batch);
    return;
  }
  for (int i = 0; i < SIZE; ++i)
    for (int j = 0; j < SIZE; ++j) {
      const bool inside = top + i >= 0 && top + i < map.height && left + j >= 0 && left + j < map.width;
      d[i][j] = inside ? load(corner + i * row + j * map.batch, lanes) : Vec{};
    }
}

// --- weights ---------------------------------------------------------------------------------------------------------

// A step of a transposition: the lanes of `a` whose number has the bit STEP are swapped with the others of `b`.
template <int STEP>
inline void exchange(Vec& a, Vec& b) {
#if defined(__clang__)  // which knows no __builtin_shuffle, and makes shuffles of this
  Vec first, second;
  for (int l = 0; l < LANES; ++l) first[l] = l & STEP ? b[l - STEP] : a[l], second[l] = l & STEP ? b[l] : a[l + STEP];
#else
  IntVec low, high;
  for (int l = 0; l < LANES; ++l) low[l] = l & STEP ? LANES + l - STEP : l, high[l] = l & STEP ? LANES + l : l + STEP;
  const Vec first = __builtin_shuffle(a, b, low), second = __builtin_shuffle(a, b, high);
#endif
  a = first, b = second;
}

template <int STEP>
inline void transpose_step(Vec (&rows)[LANES]) {
#pragma GCC unroll 16
  for (int i = 0; i < LANES; ++i)
    if (!(i & STEP)) exchange<STEP>(rows[i], rows[i | STEP]);
}

inline void transpose(Vec (&rows)[LANES]) {
  if (LANES == 16) transpose_step<8 % LANES>(rows);
  transpose_step<4>(rows);
  transpose_step<2>(rows);
  transpose_step<1>(rows);
}

// The weights of LANES filters from `filter` on for a channel, reversed for a gradient, and transformed.
template <int M>
inline void transform_weights(const float* kernel, int64_t channels, int64_t filters, int64_t channel, int64_t filter,
                              bool turned, Vec (&u)[M + K - 1][M + K - 1]) {
  constexpr int T = M + K - 1;
  const int lanes = static_cast<int>(std::min<int64_t>(LANES, filters - filter));
  Vec half[K][T];
  for (int i = 0; i < K; ++i) {
    Vec g[K];
#pragma GCC unroll 3
    for (int j = 0; j < K; ++j) {
      const int at = turned ? K * K - 1 - (i * K + j) : i * K + j;
      g[j] = load(kernel + (at * channels + channel) * filters + filter, lanes);
    }
    Minimal<M, K>::weights(g, half[i]);
  }
#pragma GCC unroll 6
  for (int j = 0; j < T; ++j) {
    Vec column[K], done[T];
#pragma GCC unroll 3
    for (int i = 0; i < K; ++i) column[i] = half[i][j];
    Minimal<M, K>::weights(column, done);
#pragma GCC unroll 6
    for (int i = 0; i < T; ++i) u[i][j] = done[i];
  }
}

// kernel(i, j, c, f), transformed: (place, panel of LANES channels out, channel in, LANES). `transposed` is the kernel of the
// gradient, with in and out changed round.
template <int M>
const float* transformed_weights(Pool& pool, const float* kernel, int64_t channels, int64_t filters,
                                 bool transposed) {
  constexpr int T = M + K - 1;
  const int64_t ins = transposed ? filters : channels, outs = transposed ? channels : filters;
  const int64_t panels = ceil_div(outs, LANES), plane = panels * ins * LANES;
  float* transformed = weight_scratch.take(T * T * plane);
  parallel_for(pool, panels, [&](int64_t panel) {
    float* out = transformed + panel * ins * LANES;
    Vec u[T][T];
    if (!transposed) {
      for (int64_t in = 0; in < ins; ++in, out += LANES) {
        transform_weights<M>(kernel, channels, filters, in, panel * LANES, false, u);
        for (int p = 0; p < T * T; ++p) store(out + p * plane, u[p / T][p % T], LANES);
      }
      return;
    }
    const int64_t of_panel = std::min<int64_t>(LANES, outs - panel * LANES);
    for (int64_t in = 0; in < ins; in += LANES) {
      static thread_local Vec square[T * T][LANES];
      for (int64_t o = 0; o < LANES; ++o) {
        if (o < of_panel) transform_weights<M>(kernel, channels, filters, panel * LANES + o, in, true, u);
        for (int p = 0; p < T * T; ++p) square[p][o] = o < of_panel ? u[p / T][p % T] : Vec{};
      }
      for (int p = 0; p < T * T; ++p) {
        transpose(square[p]);
        for (int64_t i = 0; i < std::min<int64_t>(LANES, ins - in); ++i)
          store(out + p * plane + (in + i) * LANES, square[p][i], LANES);
      }
    }
  });
  return transformed;
}

// --- the convolution -------------------------------------------------------------------------------------------------

constexpr int64_t TOGETHER = 64;            // channels: their pixels stay in the first-level cache for all filters
constexpr int64_t PANELS = 64 / LANES;      // of filters at a time: their products stay in the second-level cache
constexpr int BLOCK = 4;                    // filters whose sums for a group of tiles stay in registers
constexpr int MANY = MANY_REGISTERS ? 6 : 3, FEW = MANY_REGISTERS ? 4 : 2;  // tiles of a group
thread_local Scratch pixel_scratch, product_scratch;

// products(f, t) += sum over c of weights(c, f) pixels(c, t), for one place, BLOCK filters and a group of tiles. The
// first time, = instead of +=.
template <int GROUP>
inline void multiply(const float* __restrict pixels, const float* __restrict weights, int64_t channels, bool first,
                     float* __restrict products) {
  Vec sums[BLOCK][GROUP] = {};
  if (!first)
#pragma GCC unroll 16
    for (int b = 0; b < BLOCK; ++b)
#pragma GCC unroll 16
      for (int t = 0; t < GROUP; ++t) sums[b][t] = load(products + (b * GROUP + t) * LANES);
  for (int64_t c = 0; c < channels; ++c, pixels += GROUP * LANES, weights += LANES) {
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

// A tile's outputs, pooled: row and column are the tile's.
template <int M>
inline void store_tile(const Vec (&y)[M][M], const Output& out, int64_t window, int64_t filter, int64_t slice, int64_t row,
                       int64_t column, int lanes) {
  const int64_t across = M / window, plane = filter * out.rows * out.columns * out.batch + slice * LANES;
  for (int64_t a = 0; a < across && row * across + a < out.rows; ++a)
    for (int64_t b = 0; b < across && column * across + b < out.columns; ++b) {
      const int64_t at = plane + ((row * across + a) * out.columns + column * across + b) * out.batch;
      Vec best = y[a * window][b * window];
      if (window > 1) {
        IntVec place{};
        for (int i = 1; i < window * window; ++i)
          keep_greater(y[a * window + i / window][b * window + i % window], i, best, place);
        if (out.places) store(out.places + at, place, lanes);
      }
      out.finish(best, filter, at, lanes);
    }
}

template <int M, int GROUP>
void convolve_group(const Pixels& x, int64_t channels, const Tiles& tiles, const float* weights, int64_t window,
                    const Output& out, int64_t group) {
  constexpr int T = M + K - 1;
  const int64_t panels = ceil_div(out.filters, LANES), weight_plane = panels * channels * LANES;
  const int64_t pixel_plane = channels * GROUP * LANES, product_plane = PANELS * LANES * GROUP * LANES;
  float* transformed = pixel_scratch.take(T * T * pixel_plane);  // (place, channel, tile)
  float* products = product_scratch.take(T * T * product_plane);  // (place, filter of PANELS panels, tile)
  // The last group repeats its last tile.
  const auto tile = [&](int64_t t) { return std::min(group * GROUP + t, tiles.count() - 1); };
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t t = 0; t < GROUP; ++t) {
      Vec d[T][T], v[T][T];
      load_tile<T>(x, tiles.slice(tile(t)), c, M * tiles.row(tile(t)), M * tiles.column(tile(t)), d);
      both_axes(d, v, Points<T>::pixels);
#pragma GCC unroll 36
      for (int p = 0; p < T * T; ++p)
        store(transformed + p * pixel_plane + (c * GROUP + t) * LANES, v[p / T][p % T], LANES);
    }
  for (int64_t panel = 0; panel < panels; panel += PANELS) {
    const int64_t filters = std::min(PANELS * LANES, out.filters - panel * LANES);
    for (int64_t p = 0; p < T * T; ++p)
      for (int64_t c = 0; c < channels; c += TOGETHER)
        for (int64_t f = 0; f < filters; f += BLOCK)
          multiply<GROUP>(transformed + p * pixel_plane + c * GROUP * LANES,
                          weights + p * weight_plane + ((panel + f / LANES) * channels + c) * LANES + f % LANES,
                          std::min(TOGETHER, channels - c), c == 0, products + p * product_plane + f * GROUP * LANES);
    for (int64_t f = 0; f < filters; ++f)
      for (int64_t t = 0; t < GROUP; ++t) {
        Vec m[T][T], y[M][M];
#pragma GCC unroll 36
        for (int p = 0; p < T * T; ++p) m[p / T][p % T] = load(products + p * product_plane + (f * GROUP + t) * LANES);
        both_axes(m, y, Minimal<M, K>::outputs);
        const int64_t slice = tiles.slice(tile(t));
        const int lanes = out.lanes(slice);
        store_tile<M>(y, out, window, panel * LANES + f, slice, tiles.row(tile(t)), tiles.column(tile(t)), lanes);
      }
  }
}

template <int M>
void convolve_tiles(Pool& pool, const Pixels& x, const float* kernel, int64_t channels, bool transposed,
                    int64_t window, const Output& out) {
  const Tiles tiles{out.slices(), ceil_div(out.rows * window, M), ceil_div(out.columns * window, M)};
  const float* weights = transposed ? transformed_weights<M>(pool, kernel, out.filters, channels, true)
                                    : transformed_weights<M>(pool, kernel, channels, out.filters, false);
  // Tiles that the busiest thread gets, by groups of a size.
  const int64_t threads = pool.num_threads();
  const auto busiest = [&](int64_t group) { return ceil_div(ceil_div(tiles.count(), group), threads) * group; };
  const bool many = busiest(MANY) <= busiest(FEW);
  parallel_for(pool, ceil_div(tiles.count(), many ? MANY : FEW), [&](int64_t group) {
    if (many)
      convolve_group<M, MANY>(x, channels, tiles, weights, window, out, group);
    else
      convolve_group<M, FEW>(x, channels, tiles, weights, window, out, group);
  });
}

// The instance of a template for m.
#define FOR_TILE(m, function) (m == 2 ? function<2> : m == 3 ? function<3> : function<4>)

// channels: of x. transposed: the convolution is that of the gradient.
Error convolve_map(Pool& pool, const Pixels& x, const Floats& kernel, int64_t channels, bool transposed, int64_t window,
                   const Output& out) {
  if (kernel.shape[0] != K) return "kernels of 3 only";
  const int m = window < 1 ? 0 : best_tile(out.rows * window, out.columns * window, window);
  if (m == 0) return "no tile for this pooling window";
  FOR_TILE(m, convolve_tiles)(pool, x, kernel.data, channels, transposed, window, out);
  return nullptr;
}

}  // namespace

Error convolve(Pool& pool, Floats x, Floats kernel, Last last, Floats y, Bytes places, int64_t before, int64_t after,
               int64_t window) {
  const Map map = map_of(x);
  const Output out = output_of(y, kept(places), last);
  return convolve_map(pool, Pixels{map, before}, kernel, map.channels, false, window, out);
}

Error input_gradient(Pool& pool, Floats cotangent, Bytes places, Floats kernel, Floats dx, int64_t before, int64_t after,
                     int64_t window) {
  const Map g = map_of(cotangent);
  // Row h of dx takes rows h - i + before of the cotangent, i = 0 ... size - 1.
  const Pixels pixels{g, K - 1 - before, places.data, window};
  return convolve_map(pool, pixels, kernel, g.channels, true, 1, output_of(dx, nullptr));
}

namespace {

// --- the gradient of the kernel --------------------------------------------------------------------------------------
//
// At each place, a product of pixels (channel, k) and cotangents (k, filter), where k counts tiles and images.

constexpr int OF_PIXELS = MANY_REGISTERS ? 6 : 3, OF_OUTPUTS = MANY_REGISTERS ? 4 : 2;  // sums in registers: channels, panels
constexpr int64_t TILES_TOGETHER = 8;   // whose cotangents stay in the first-level cache for all channels
// Transformed cotangents that are held at a time: about what a second-level cache and a part of the third take.
constexpr int64_t HELD_FLOATS = 4 << 20;

// products(c, f) += sum over k of pixels(c, k) cotangents(k, f), for OF_PIXELS channels and OUTPUTS panels of filters; the
// first time, =. row, panel: how far apart channels and panels are.
template <int OUTPUTS>
inline void multiply_rows(const float* pixels, int64_t row, int64_t channels, const float* cotangents, int64_t panel,
                          int64_t count, bool first, float* products, int64_t product_row) {
  Vec sums[OF_PIXELS][OUTPUTS] = {};
  const float* rows[OF_PIXELS];
  for (int i = 0; i < OF_PIXELS; ++i) rows[i] = pixels + std::min<int64_t>(i, channels - 1) * row;
  if (!first)
    for (int i = 0; i < std::min<int64_t>(OF_PIXELS, channels); ++i)
      for (int j = 0; j < OUTPUTS; ++j) sums[i][j] = load(products + i * product_row + j * LANES);
  for (int64_t k = 0; k < count; ++k) {
    Vec w[OUTPUTS];
#pragma GCC unroll 16
    for (int j = 0; j < OUTPUTS; ++j) w[j] = load_once(cotangents + j * panel + k * LANES);
#pragma GCC unroll 16
    for (int i = 0; i < OF_PIXELS; ++i) {
      const Vec pixel = broadcast(rows[i][k]);
#pragma GCC unroll 16
      for (int j = 0; j < OUTPUTS; ++j) sums[i][j] += pixel * w[j];
    }
  }
  for (int i = 0; i < std::min<int64_t>(OF_PIXELS, channels); ++i)
    for (int j = 0; j < OUTPUTS; ++j) store(products + i * product_row + j * LANES, sums[i][j], LANES);
}

// Transformed pixels, (place, channel, tile, LANES).
template <int T>
float* transformed_pixels(Pool& pool, const Pixels& x, int64_t channels, const Tiles& tiles, int64_t m) {
  const int64_t count = tiles.count();
  float* transformed = weight_scratch.take(T * T * channels * count * LANES);
  parallel_for(pool, channels, [&](int64_t c) {
    for (int64_t t = 0; t < count; ++t) {
      Vec d[T][T], v[T][T];
      load_tile<T>(x, tiles.slice(t), c, m * tiles.row(t), m * tiles.column(t), d);
      both_axes(d, v, Points<T>::pixels);
#pragma GCC unroll 36
      for (int p = 0; p < T * T; ++p) store(transformed + ((p * channels + c) * count + t) * LANES, v[p / T][p % T], LANES);
    }
  });
  return transformed;
}

// Transformed cotangents of the panels `begin` to `end` - 1, (place, panel, tile, image, LANES filters).
template <int M>
float* transformed_cotangents(Pool& pool, const Pixels& g, const Tiles& tiles, int64_t begin, int64_t end) {
  constexpr int T = M + K - 1;
  const int64_t panels = end - begin, panel_size = tiles.count() * LANES * LANES;
  float* transformed = pixel_scratch.take(T * T * panels * panel_size);
  const int64_t together = TILES_TOGETHER, parts = ceil_div(tiles.count(), together);
  parallel_for(pool, panels * parts, [&](int64_t i) {
    const int64_t panel = i / parts;
    static thread_local Vec square[T * T][LANES];
    for (int64_t t = i % parts * together; t < std::min((i % parts + 1) * together, tiles.count()); ++t) {
      for (int64_t f = 0; f < LANES; ++f) {
        const int64_t filter = (begin + panel) * LANES + f;
        Vec y[M][M], v[T][T] = {};
        if (filter < g.map.channels) {
          load_tile<M>(g, tiles.slice(t), filter, M * tiles.row(t), M * tiles.column(t), y);
          both_axes(y, v, Minimal<M, K>::cotangents);
        }
#pragma GCC unroll 36
        for (int p = 0; p < T * T; ++p) square[p][f] = v[p / T][p % T];
      }
      for (int p = 0; p < T * T; ++p) {
        float* out = transformed + (p * panels + panel) * panel_size + t * LANES * LANES;
        transpose(square[p]);
        for (int l = 0; l < LANES; ++l) store(out + l * LANES, square[p][l], LANES);
      }
    }
  });
  return transformed;
}

// The panels `begin` to `end` - 1 of dk.
template <int M>
void kernel_gradient_of(Pool& pool, const Pixels& g, const Tiles& tiles, const float* pixels, int64_t channels,
                        int64_t begin, int64_t end, float* dk) {
  constexpr int T = M + K - 1;
  const int64_t panels = end - begin, row = tiles.count() * LANES, panel_size = row * LANES, filters = g.map.channels;
  const float* cotangents = transformed_cotangents<M>(pool, g, tiles, begin, end);
  float* products = product_scratch.take(T * T * channels * panels * LANES);  // (place, channel, filter)
  const int64_t parts = ceil_div(panels, OF_OUTPUTS);
  parallel_for(pool, T * T * parts, [&](int64_t i) {
    const int64_t p = i / parts, panel = i % parts * OF_OUTPUTS, wide = std::min<int64_t>(OF_OUTPUTS, panels - panel);
    const auto product =
        wide == 4 ? multiply_rows<4> : wide == 3 ? multiply_rows<3> : wide == 2 ? multiply_rows<2> : multiply_rows<1>;
    for (int64_t k = 0; k < row; k += TILES_TOGETHER * LANES)
      for (int64_t c = 0; c < channels; c += OF_PIXELS)
        product(pixels + (p * channels + c) * row + k, row, channels - c,
                cotangents + (p * panels + panel) * panel_size + k * LANES, panel_size,
                std::min(TILES_TOGETHER * LANES, row - k), k == 0,
                products + ((p * channels + c) * panels + panel) * LANES, panels * LANES);
  });
  parallel_for(pool, channels, [&](int64_t c) {
    for (int64_t panel = 0; panel < panels; ++panel) {
      Vec u[T][T], half[T][K];
      for (int p = 0; p < T * T; ++p) u[p / T][p % T] = load(products + ((p * channels + c) * panels + panel) * LANES);
      for (int i = 0; i < T; ++i) Minimal<M, K>::weights_transposed(u[i], half[i]);
      const int64_t filter = (begin + panel) * LANES;
      const int lanes = static_cast<int>(std::min<int64_t>(LANES, filters - filter));
      for (int j = 0; j < K; ++j) {
        Vec column[T], done[K];
        for (int i = 0; i < T; ++i) column[i] = half[i][j];
        Minimal<M, K>::weights_transposed(column, done);
        for (int i = 0; i < K; ++i) store(dk + ((i * K + j) * channels + c) * filters + filter, done[i], lanes);
      }
    }
  });
}

template <int M>
void kernel_gradient_by(Pool& pool, const Map& x, const Pixels& g, int64_t before, float* dk) {
  constexpr int T = M + K - 1;
  const Tiles tiles{x.slices(), ceil_div(g.height(), M), ceil_div(g.width(), M)};
  const float* pixels = transformed_pixels<T>(pool, Pixels{x, before}, x.channels, tiles, M);
  const int64_t panels = ceil_div(g.map.channels, LANES), of_panel = T * T * tiles.count() * LANES * LANES;
  const int64_t together = std::max<int64_t>(1, HELD_FLOATS / of_panel / OF_OUTPUTS) * OF_OUTPUTS;
  for (int64_t begin = 0; begin < panels; begin += together)
    kernel_gradient_of<M>(pool, g, tiles, pixels, x.channels, begin, std::min(begin + together, panels), dk);
}

}  // namespace

Error kernel_gradient(Pool& pool, Floats x, Floats cotangent, Bytes places, Floats dk, int64_t before, int64_t after,
                      int64_t window) {
  const Pixels g{map_of(cotangent), 0, places.data, window};
  if (dk.shape[0] != K) return "kernels of 3 only";
  const int m = best_tile(g.height(), g.width(), 1);
  FOR_TILE(m, kernel_gradient_by)(pool, map_of(x), g, before, dk.data);
  return nullptr;
}

}  // namespace fer::winograd
