// Convolution with 3 x 3 kernels by Winograd's minimal filtering F(m x m, 3 x 3), with its pooling and both gradients; for
// CPU (Lavin & Gray 2016). A tile is m + 2 pixels wide and high and gives m x m outputs with (m + 2)^2 products per pair of
// channels instead of 9 m^2: 1.8, 2.2 and 2.6 ... 4 times fewer for m = 2, 3, 4 (16 for 4, 25 for 9, 36 for 16 outputs).
// Which m is chosen by how well its tiles cover the map; a pooling window must fit into a tile's output.
//
// Tiles are numbered over all slices of LANES images, the slices innermost; each of the (m + 2)^2 places of a transformed
// tile is a matrix product of its own.

#include "lanes.h"

using namespace fer;

namespace {

// --- the transforms, along one axis, of arrays of vectors ------------------------------------------------------------
//
// From the points 0, 1, -1 and infinity for m = 2; 0, 1, -1, 2 and infinity for m = 3; 0, +-3/4, +-3/2 and infinity for
// m = 4, of which the last lose least to rounding among the ones that were tried (a third of what +-1, +-2 lose).

template <int M>
struct Minimal;

template <>
struct Minimal<2> {
  static constexpr float KERNEL[4][3] = {{1, 0, 0}, {0.5f, 0.5f, 0.5f}, {0.5f, -0.5f, 0.5f}, {0, 0, 1}};
  static void pixels(const Vec d[4], Vec v[4]) {
    v[0] = d[0] - d[2], v[1] = d[1] + d[2], v[2] = d[2] - d[1], v[3] = d[1] - d[3];
  }
  static void outputs(const Vec m[4], Vec y[2]) { y[0] = m[0] + m[1] + m[2], y[1] = m[1] - m[2] - m[3]; }
  static void cotangents(const Vec y[2], Vec v[4]) {
    v[0] = y[0], v[1] = y[0] + y[1], v[2] = y[0] - y[1], v[3] = -y[1];
  }
};

template <>
struct Minimal<3> {
  static constexpr float KERNEL[5][3] = {
      {0.5f, 0, 0}, {-0.5f, -0.5f, -0.5f}, {-1 / 6.f, 1 / 6.f, -1 / 6.f}, {1 / 6.f, 2 / 6.f, 4 / 6.f}, {0, 0, 1}};
  static void pixels(const Vec d[5], Vec v[5]) {
    v[3] = d[3] - d[1];
    v[0] = 2 * (d[0] - d[2]) + v[3];
    v[1] = d[3] - d[2] - 2 * d[1];
    v[2] = d[3] - 3 * d[2] + 2 * d[1];
    v[4] = d[4] - d[2] - 2 * v[3];
  }
  static void outputs(const Vec m[5], Vec y[3]) {
    const Vec sum = m[1] + m[2];
    y[0] = m[0] + sum + m[3], y[1] = m[1] - m[2] + 2 * m[3], y[2] = sum + 4 * m[3] + m[4];
  }
  static void cotangents(const Vec y[3], Vec v[5]) {
    const Vec even = y[0] + y[2];
    v[0] = y[0], v[1] = even + y[1], v[2] = even - y[1], v[3] = y[0] + 2 * y[1] + 4 * y[2], v[4] = y[2];
  }
};

template <>
struct Minimal<4> {
  static constexpr float A = 0.75f, B = 1.5f, A2 = A * A, B2 = B * B;
  static constexpr float OF_A = 1 / (2 * A2 * (A2 - B2)), OF_B = 1 / (2 * B2 * (B2 - A2));
  static constexpr float KERNEL[6][3] = {{1 / (A2 * B2), 0, 0},       {OF_A, A * OF_A, A2* OF_A}, {OF_A, -A* OF_A, A2* OF_A},
                                         {OF_B, B * OF_B, B2* OF_B}, {OF_B, -B* OF_B, B2* OF_B}, {0, 0, 1}};
  static void pixels(const Vec d[6], Vec v[6]) {
    const Vec even_a = d[4] - B2 * d[2], odd_a = A * (d[3] - B2 * d[1]);
    const Vec even_b = d[4] - A2 * d[2], odd_b = B * (d[3] - A2 * d[1]);
    v[0] = (A2 * B2) * d[0] - (A2 + B2) * d[2] + d[4];
    v[1] = even_a + odd_a, v[2] = even_a - odd_a, v[3] = even_b + odd_b, v[4] = even_b - odd_b;
    v[5] = (A2 * B2) * d[1] - (A2 + B2) * d[3] + d[5];
  }
  static void outputs(const Vec m[6], Vec y[4]) {
    const Vec sum_a = m[1] + m[2], sum_b = m[3] + m[4], less_a = m[1] - m[2], less_b = m[3] - m[4];
    y[0] = m[0] + sum_a + sum_b, y[1] = A * less_a + B * less_b;
    y[2] = A2 * sum_a + B2 * sum_b, y[3] = (A2 * A) * less_a + (B2 * B) * less_b + m[5];
  }
  static void cotangents(const Vec y[4], Vec v[6]) {
    const Vec even_a = y[0] + A2 * y[2], odd_a = A * (y[1] + A2 * y[3]);
    const Vec even_b = y[0] + B2 * y[2], odd_b = B * (y[1] + B2 * y[3]);
    v[0] = y[0], v[1] = even_a + odd_a, v[2] = even_a - odd_a, v[3] = even_b + odd_b, v[4] = even_b - odd_b, v[5] = y[3];
  }
};

template <int M>
void weights_of(const Vec g[3], Vec u[M + 2]) {
#pragma GCC unroll 6
  for (int i = 0; i < M + 2; ++i)
    u[i] = Minimal<M>::KERNEL[i][0] * g[0] + Minimal<M>::KERNEL[i][1] * g[1] + Minimal<M>::KERNEL[i][2] * g[2];
}
template <int M>
void weights_transposed(const Vec u[M + 2], Vec g[3]) {
#pragma GCC unroll 3
  for (int k = 0; k < 3; ++k) {
    g[k] = Minimal<M>::KERNEL[0][k] * u[0];
#pragma GCC unroll 6
    for (int i = 1; i < M + 2; ++i) g[k] += Minimal<M>::KERNEL[i][k] * u[i];
  }
}

// Both axes of a FROM x FROM array.
template <int FROM, int TO, typename F>
inline void both_axes(const Vec in[FROM][FROM], Vec out[TO][TO], F transform) {
  Vec half[FROM][TO];
#pragma GCC unroll 6
  for (int i = 0; i < FROM; ++i) transform(in[i], half[i]);
#pragma GCC unroll 6
  for (int j = 0; j < TO; ++j) {
    Vec column[FROM], done[TO];
#pragma GCC unroll 6
    for (int i = 0; i < FROM; ++i) column[i] = half[i][j];
    transform(column, done);
#pragma GCC unroll 6
    for (int i = 0; i < TO; ++i) out[i][j] = done[i];
  }
}

// --- tiles -----------------------------------------------------------------------------------------------------------

struct Tiles {
  int64_t slices, rows, columns;
  int64_t count() const { return slices * rows * columns; }
  int64_t slice(int64_t t) const { return t % slices; }
  int64_t row(int64_t t) const { return t / slices / columns; }
  int64_t column(int64_t t) const { return t / slices % columns; }
};

// The m whose tiles cover a map of this size with the fewest products, and do not cut a pooling window.
int best_tile(int64_t height, int64_t width, int64_t window) {
  int best = 0;
  int64_t least = 0;
  for (int m : {2, 3, 4}) {
    if (m % window) continue;
    const int64_t products = ceil_div(height, m) * ceil_div(width, m) * (m + 2) * (m + 2);
    if (!best || products < least) best = m, least = products;
  }
  return best;
}

// Where pixels are read: a map as it came in, or one that was packed. `lead` rows and columns of zeros come ahead.
struct Pixels {
  const float* data;
  int64_t slice, channel, row, pixel;  // how far apart
  int64_t height, width, lead, batch;
  int lanes(int64_t s) const { return static_cast<int>(std::min<int64_t>(LANES, batch - s * LANES)); }
};

Pixels pixels_of(const Map& map, int64_t lead) {
  const int64_t row = map.width * map.batch;
  return Pixels{map.data, LANES, map.height * row, row, map.batch, map.height, map.width, lead, map.batch};
}

// A cotangent, taken apart if it was pooled.
Pixels cotangents_of(ffi::ThreadPool& pool, const Map& map, const uint8_t* places, int64_t window, int64_t lead) {
  if (window == 1) return pixels_of(map, lead);
  const Packed packed = room_for(map, map.height * window, map.width * window, 0, 0, map_scratch);
  pack(pool, map, places, window, 0, packed);
  return Pixels{packed.data,   map.channels * packed.plane(), packed.plane(), packed.row(), LANES, packed.height,
                packed.width, lead,                          map.slices() * LANES};
}

// SIZE x SIZE pixels from row `top` and column `left` on, counted with the lead; zero outside the map.
template <int SIZE>
inline void load_tile(const Pixels& x, int64_t slice, int64_t channel, int64_t top, int64_t left, Vec (&d)[SIZE][SIZE]) {
  const int lanes = x.lanes(slice);
  top -= x.lead, left -= x.lead;
  const float* corner = x.data + slice * x.slice + channel * x.channel + top * x.row + left * x.pixel;
  if (lanes == LANES && top >= 0 && left >= 0 && top + SIZE <= x.height && left + SIZE <= x.width) {
#pragma GCC unroll 6
    for (int i = 0; i < SIZE; ++i)
#pragma GCC unroll 6
      for (int j = 0; j < SIZE; ++j) d[i][j] = load(corner + i * x.row + j * x.pixel);
    return;
  }
  for (int i = 0; i < SIZE; ++i)
    for (int j = 0; j < SIZE; ++j) {
      const bool inside = top + i >= 0 && top + i < x.height && left + j >= 0 && left + j < x.width;
      d[i][j] = inside ? load(corner + i * x.row + j * x.pixel, lanes) : Vec{};
    }
}

// --- weights ---------------------------------------------------------------------------------------------------------

// b with the lanes whose number has the bit STEP from a, STEP places down: half of a transposition.
template <int STEP>
inline void exchange(Vec& a, Vec& b) {
  IntVec low, high;
  for (int l = 0; l < LANES; ++l) low[l] = l & STEP ? LANES + l - STEP : l, high[l] = l & STEP ? LANES + l : l + STEP;
#if defined(__clang__)
  Vec first, second;
  for (int l = 0; l < LANES; ++l) first[l] = l & STEP ? b[l - STEP] : a[l], second[l] = l & STEP ? b[l] : a[l + STEP];
#else
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

// The nine weights of LANES filters from `filter` on for a channel, turned round for a gradient.
inline void load_kernel(const float* kernel, int64_t channels, int64_t filters, int64_t channel, int64_t filter, bool turned,
                        Vec (&g)[3][3]) {
  const int lanes = static_cast<int>(std::min<int64_t>(LANES, filters - filter));
#pragma GCC unroll 9
  for (int at = 0; at < 9; ++at)
    g[at / 3][at % 3] = load(kernel + ((turned ? 8 - at : at) * channels + channel) * filters + filter, lanes);
}

// kernel(i, j, c, f), transformed: (place, panel of LANES channels out, channel in, LANES). `transposed` is the kernel of the
// gradient, with in and out changed round.
template <int M>
const float* transformed_weights(ffi::ThreadPool& pool, const float* kernel, int64_t channels, int64_t filters,
                                 bool transposed) {
  constexpr int T = M + 2;
  const int64_t ins = transposed ? filters : channels, outs = transposed ? channels : filters;
  const int64_t panels = ceil_div(outs, LANES), plane = panels * ins * LANES;
  float* transformed = weight_scratch.take(T * T * plane);
  parallel_for(pool, panels, [&](int64_t panel) {
    Vec g[3][3], half[3][T], u[T][T];
    const auto transform = [&] {
#pragma GCC unroll 3
      for (int i = 0; i < 3; ++i) weights_of<M>(g[i], half[i]);
#pragma GCC unroll 6
      for (int j = 0; j < T; ++j) {
        const Vec column[3] = {half[0][j], half[1][j], half[2][j]};
        Vec done[T];
        weights_of<M>(column, done);
#pragma GCC unroll 6
        for (int i = 0; i < T; ++i) u[i][j] = done[i];
      }
    };
    float* out = transformed + panel * ins * LANES;
    if (!transposed) {
      for (int64_t in = 0; in < ins; ++in, out += LANES) {
        load_kernel(kernel, channels, filters, in, panel * LANES, false, g);
        transform();
        for (int p = 0; p < T * T; ++p) store(out + p * plane, u[p / T][p % T], LANES);
      }
      return;
    }
    const int64_t of_panel = std::min<int64_t>(LANES, outs - panel * LANES);
    for (int64_t in = 0; in < ins; in += LANES) {
      static thread_local Vec square[T * T][LANES];
      for (int64_t o = 0; o < LANES; ++o) {
        if (o < of_panel) {
          load_kernel(kernel, channels, filters, panel * LANES + o, in, true, g);
          transform();
        }
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

// products(f, t) += sum over c of weights(c, f) pixels(c, t), for one place, BLOCK filters and a group of tiles; the first
// time, = in place of +=.
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
      store(out.values + at, best, lanes);
    }
}

template <int M, int GROUP>
void convolve_group(const Pixels& x, int64_t channels, const Tiles& tiles, const float* weights, int64_t window,
                    const Output& out, int64_t group) {
  constexpr int T = M + 2;
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
      both_axes<T, T>(d, v, Minimal<M>::pixels);
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
        both_axes<T, M>(m, y, Minimal<M>::outputs);
        const int64_t slice = tiles.slice(tile(t));
        const int lanes = static_cast<int>(std::min<int64_t>(LANES, out.batch - slice * LANES));
        store_tile<M>(y, out, window, panel * LANES + f, slice, tiles.row(tile(t)), tiles.column(tile(t)), lanes);
      }
  }
}

template <int M>
void convolve_tiles(ffi::ThreadPool& pool, const Pixels& x, const float* kernel, int64_t channels, bool transposed,
                    int64_t window, const Output& out) {
  const Tiles tiles{ceil_div(out.batch, LANES), ceil_div(out.rows * window, M), ceil_div(out.columns * window, M)};
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

// channels: of x. transposed: the convolution is that of the gradient.
void convolve_map(ffi::ThreadPool& pool, const Pixels& x, const float* kernel, int64_t channels, bool transposed,
                  int64_t window, const Output& out) {
  const int m = best_tile(out.rows * window, out.columns * window, window);
  const auto convolve = m == 2 ? convolve_tiles<2> : m == 3 ? convolve_tiles<3> : convolve_tiles<4>;
  convolve(pool, x, kernel, channels, transposed, window, out);
}

ffi::Error convolve(ffi::ThreadPool pool, Floats x, Floats kernel, ffi::Result<Floats> y, ffi::Result<Bytes> places,
                    int64_t before, int64_t after, int64_t window) {
  if (window < 1 || window > 3) return ffi::Error::InvalidArgument("pooling windows of 1, 2 and 3 only");
  const Map map = map_of(x);
  const Output out = output_of(y, places->element_count() > 1 ? places->typed_data() : nullptr);
  convolve_map(pool, pixels_of(map, before), kernel.typed_data(), map.channels, false, window, out);
  return ffi::Error::Success();
}

ffi::Error input_gradient(ffi::ThreadPool pool, Floats cotangent, Bytes places, Floats kernel, ffi::Result<Floats> dx,
                          int64_t before, int64_t after, int64_t window) {
  const Map g = map_of(cotangent);
  // Row h of dx takes rows h - i + before of the cotangent, i = 0, 1, 2.
  const Pixels pixels = cotangents_of(pool, g, places.typed_data(), window, 2 - before);
  convolve_map(pool, pixels, kernel.typed_data(), g.channels, true, 1, output_of(dx, nullptr));
  return ffi::Error::Success();
}

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
template <int M>
float* transformed_pixels(ffi::ThreadPool& pool, const Pixels& x, int64_t channels, const Tiles& tiles) {
  constexpr int T = M + 2;
  const int64_t count = tiles.count();
  float* transformed = weight_scratch.take(T * T * channels * count * LANES);
  parallel_for(pool, channels, [&](int64_t c) {
    for (int64_t t = 0; t < count; ++t) {
      Vec d[T][T], v[T][T];
      load_tile<T>(x, tiles.slice(t), c, M * tiles.row(t), M * tiles.column(t), d);
      both_axes<T, T>(d, v, Minimal<M>::pixels);
#pragma GCC unroll 36
      for (int p = 0; p < T * T; ++p) store(transformed + ((p * channels + c) * count + t) * LANES, v[p / T][p % T], LANES);
    }
  });
  return transformed;
}

// Transformed cotangents of the panels `begin` to `end` - 1, (place, panel, tile, image, LANES filters).
template <int M>
float* transformed_cotangents(ffi::ThreadPool& pool, const Pixels& g, int64_t filters, const Tiles& tiles, int64_t begin,
                              int64_t end) {
  constexpr int T = M + 2;
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
        if (filter < filters) {
          load_tile<M>(g, tiles.slice(t), filter, M * tiles.row(t), M * tiles.column(t), y);
          both_axes<M, T>(y, v, Minimal<M>::cotangents);
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
void kernel_gradient_of(ffi::ThreadPool& pool, const Pixels& g, int64_t filters, const Tiles& tiles, const float* pixels,
                        int64_t channels, int64_t begin, int64_t end, float* dk) {
  constexpr int T = M + 2;
  const int64_t panels = end - begin, row = tiles.count() * LANES, panel_size = row * LANES;
  const float* cotangents = transformed_cotangents<M>(pool, g, filters, tiles, begin, end);
  float* products = product_scratch.take(T * T * channels * panels * LANES);  // (place, channel, filter)
  const int64_t parts = ceil_div(panels, OF_OUTPUTS);
  parallel_for(pool, T * T * parts, [&](int64_t i) {
    const int64_t p = i / parts, panel = i % parts * OF_OUTPUTS, wide = std::min<int64_t>(OF_OUTPUTS, panels - panel);
    const auto product = wide == 4 ? multiply_rows<4> : wide == 3 ? multiply_rows<3> : wide == 2 ? multiply_rows<2> : multiply_rows<1>;
    for (int64_t k = 0; k < row; k += TILES_TOGETHER * LANES)
      for (int64_t c = 0; c < channels; c += OF_PIXELS)
        product(pixels + (p * channels + c) * row + k, row, channels - c,
                cotangents + (p * panels + panel) * panel_size + k * LANES, panel_size,
                std::min(TILES_TOGETHER * LANES, row - k), k == 0,
                products + ((p * channels + c) * panels + panel) * LANES, panels * LANES);
  });
  parallel_for(pool, channels, [&](int64_t c) {
    for (int64_t panel = 0; panel < panels; ++panel) {
      Vec u[T][T], half[T][3];
      for (int p = 0; p < T * T; ++p) u[p / T][p % T] = load(products + ((p * channels + c) * panels + panel) * LANES);
      for (int i = 0; i < T; ++i) weights_transposed<M>(u[i], half[i]);
      const int64_t filter = (begin + panel) * LANES;
      const int lanes = static_cast<int>(std::min<int64_t>(LANES, filters - filter));
      for (int j = 0; j < 3; ++j) {
        Vec column[T], done[3];
        for (int i = 0; i < T; ++i) column[i] = half[i][j];
        weights_transposed<M>(column, done);
        for (int i = 0; i < 3; ++i) store(dk + ((i * 3 + j) * channels + c) * filters + filter, done[i], lanes);
      }
    }
  });
}

template <int M>
void kernel_gradient_by(ffi::ThreadPool& pool, const Map& x, const Map& g, const uint8_t* places, int64_t before,
                        int64_t window, float* dk) {
  constexpr int T = M + 2;
  const Pixels cotangents = cotangents_of(pool, g, places, window, 0);
  const Tiles tiles{x.slices(), ceil_div(cotangents.height, M), ceil_div(cotangents.width, M)};
  const float* pixels = transformed_pixels<M>(pool, pixels_of(x, before), x.channels, tiles);
  const int64_t panels = ceil_div(g.channels, LANES), of_panel = T * T * tiles.count() * LANES * LANES;
  const int64_t together = std::max<int64_t>(1, HELD_FLOATS / of_panel / OF_OUTPUTS) * OF_OUTPUTS;
  for (int64_t begin = 0; begin < panels; begin += together)
    kernel_gradient_of<M>(pool, cotangents, g.channels, tiles, pixels, x.channels, begin, std::min(begin + together, panels),
                          dk);
}

ffi::Error kernel_gradient(ffi::ThreadPool pool, Floats x, Floats cotangent, Bytes places, ffi::Result<Floats> dk,
                           int64_t before, int64_t after, int64_t window) {
  const Map map = map_of(x), g = map_of(cotangent);
  const int m = best_tile(g.height * window, g.width * window, 1);
  const auto gradient = m == 2 ? kernel_gradient_by<2> : m == 3 ? kernel_gradient_by<3> : kernel_gradient_by<4>;
  gradient(pool, map, g, places.typed_data(), before, window, dk->typed_data());
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
