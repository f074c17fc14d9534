// Batch normalisation of maps with the pooling and the ReLU after it, and its gradient, for CPU. Called by
// native/batch_norm.py.
//
// Maps are float32 (channels, height, width, batch). Memory limits the speed, not arithmetic: each channel is read as
// rarely as possible, and the gradient is the only output as large as the map. One thread computes each channel, in a
// fixed order, so that results do not depend on the number of threads.

#include "kernels.h"

namespace fer::batch_norm {

namespace {

struct Channel {
  const float* data;
  int64_t height, width, batch;
  const float* at(int64_t h, int64_t w) const { return data + (h * width + w) * batch; }
};

Channel channel_of(const Map& map, int64_t c) {
  return Channel{map.data + c * map.height * map.width * map.batch, map.height, map.width, map.batch};
}

// Two sums over pixels, added row by row in float32, then in double: a channel has 100,000 pixels and more.
struct Sums {
  Vec row[2] = {};
  double all[2] = {};
  void end_row() {
    for (int i = 0; i < 2; ++i) all[i] += sum_of_lanes(row[i]), row[i] = Vec{};
  }
};

}  // namespace

// sums(0, c), sums(1, c): of w (x - shift) and of w (x - shift)^2. weights: (batch,).
Error moments(Pool& pool, Floats x, Floats shifts, Floats weights, Floats sums) {
  const Map map = map_of(x);
  parallel_for(pool, map.channels, [&](int64_t c) {
    const Channel in = channel_of(map, c);
    const Vec shift = broadcast(shifts.data[c]);
    Sums total;
    for (int64_t h = 0; h < map.height; ++h, total.end_row())
      for (int64_t w = 0; w < map.width; ++w)
        for (int64_t s = 0; s < map.slices(); ++s) {
          const int lanes = map.lanes(s);
          fetch_ahead(in.at(h, w) + s * LANES);
          const Vec away = load(in.at(h, w) + s * LANES, lanes) - shift;
          const Vec weighted = away * load(weights.data + s * LANES, lanes);
          total.row[0] += weighted, total.row[1] += weighted * away;
        }
    for (int i = 0; i < 2; ++i) sums.data[i * map.channels + c] = static_cast<float>(total.all[i]);
  });
  return nullptr;
}

namespace {

// The first maximum of factor x + offset in each window.
template <int WINDOW>
void normalise_channel(const Map& map, int64_t c, float factor, float offset, const Output& out) {
  const Channel in = channel_of(map, c);
  const Vec f = broadcast(factor), o = broadcast(offset);
  for (int64_t r = 0; r < out.rows; ++r)
    for (int64_t q = 0; q < out.columns; ++q) {
      const float* corner = in.at(r * WINDOW, q * WINDOW);
      const int64_t to = ((c * out.rows + r) * out.columns + q) * out.batch;
      for (int64_t s = 0; s < map.slices(); ++s) {
        const int lanes = map.lanes(s);
        Vec best = load(corner + s * LANES, lanes) * f + o;
        IntVec place{};
#pragma GCC unroll 16
        for (int i = 1; i < WINDOW * WINDOW; ++i)
          keep_greater(load(corner + (i / WINDOW * in.width + i % WINDOW) * in.batch + s * LANES, lanes) * f + o, i, best,
                       place);
        out.finish(best, c, to + s * LANES, lanes);
        if (WINDOW > 1 && out.places) store(out.places + to + s * LANES, place, lanes);
      }
    }
}

}  // namespace

Error normalise(Pool& pool, Floats x, Floats factors, Floats offsets, Floats y, Bytes places, int64_t window,
                bool rectify) {
  const Map map = map_of(x);
  Output out = output_of(y, kept(places));
  out.rectify = rectify;
  const auto channel = window == 1 ? normalise_channel<1> : window == 2 ? normalise_channel<2> : normalise_channel<3>;
  if (window < 1 || window > 3) return "pooling windows of 1, 2 and 3 only";
  parallel_for(pool, map.channels, [&](int64_t c) { channel(map, c, factors.data[c], offsets.data[c], out); });
  return nullptr;
}

namespace {

// Where factor x + offset is above zero: what a ReLU lets pass, found again rather than kept.
struct Passing {
  Vec factor, offset;
  bool rectify;
  Passing(const Floats& factors, const Floats& offsets, int64_t c, bool rectify)
      : factor(broadcast(factors.data[c])), offset(broadcast(offsets.data[c])), rectify(rectify) {}
  Vec operator()(Vec cotangent, Vec x) const {
    return !rectify ? cotangent : x * factor + offset > Vec{} ? cotangent : Vec{};
  }
};

}  // namespace

// sums(0, c), sums(1, c): of the cotangent g, and of g (x - mean) where g's maximum lay.
Error gradient_sums(Pool& pool, Floats x, Floats means, Floats cotangent, Bytes places, Floats factors, Floats offsets,
                    Floats sums, int64_t window, bool rectify) {
  const Map map = map_of(x), g = map_of(cotangent);
  parallel_for(pool, map.channels, [&](int64_t c) {
    const Channel in = channel_of(map, c), from = channel_of(g, c);
    const uint8_t* chosen = places.data + (window > 1 ? from.data - g.data : 0);
    const Vec mean = broadcast(means.data[c]);
    const Passing passing(factors, offsets, c, rectify);
    Sums total;
    for (int64_t r = 0; r < g.height; ++r, total.end_row())
      for (int64_t q = 0; q < g.width; ++q)
        for (int64_t s = 0; s < g.slices(); ++s) {
          const int lanes = g.lanes(s);
          const int64_t at = (r * g.width + q) * g.batch + s * LANES;
          const float* corner = in.at(r * window, q * window) + s * LANES;
          fetch_ahead(corner), fetch_ahead(from.data + at);
          Vec value = load(corner, lanes);
          if (window > 1) {
            const IntVec place = load(chosen + at, lanes);
            for (int64_t i = 1; i < window * window; ++i) {
              const Vec other = load(corner + (i / window * in.width + i % window) * in.batch, lanes);
              value = place == static_cast<int32_t>(i) ? other : value;
            }
          }
          const Vec weight = passing(load(from.data + at, lanes), value);
          total.row[0] += weight, total.row[1] += weight * (value - mean);
        }
    for (int i = 0; i < 2; ++i) sums.data[i * map.channels + c] = static_cast<float>(total.all[i]);
  });
  return nullptr;
}

// dx = factor * (g at its place, else 0) + w (constant + slope (x - mean)).
Error input_gradient(Pool& pool, Floats x, Floats means, Floats weights, Floats cotangent, Bytes places, Floats factors,
                     Floats offsets, Floats constants, Floats slopes, Floats dx, int64_t window, bool rectify) {
  const Map map = map_of(x), g = map_of(cotangent);
  parallel_for(pool, map.channels, [&](int64_t c) {
    const Channel in = channel_of(map, c), from = channel_of(g, c);
    const uint8_t* chosen = places.data + (window > 1 ? from.data - g.data : 0);
    float* out = dx.data + (in.data - map.data);
    const Vec factor = broadcast(factors.data[c]), slope = broadcast(slopes.data[c]);
    const Vec constant = broadcast(constants.data[c]), mean = broadcast(means.data[c]);
    const Passing passing(factors, offsets, c, rectify);
    for (int64_t h = 0; h < map.height; ++h)
      for (int64_t w = 0; w < map.width; ++w) {
        const int64_t r = h / window, q = w / window;
        const bool inside = r < g.height && q < g.width;  // of a complete window
        const int32_t number = static_cast<int32_t>(h % window * window + w % window);
        const int64_t at = (r * g.width + q) * g.batch, to = (h * map.width + w) * map.batch;
        for (int64_t s = 0; s < map.slices(); ++s) {
          const int lanes = map.lanes(s);
          fetch_ahead(in.data + to + s * LANES), fetch_ahead(from.data + at + s * LANES);
          const Vec pixel = load(in.data + to + s * LANES, lanes), away = pixel - mean;
          Vec value = (away * slope + constant) * load(weights.data + s * LANES, lanes);
          if (inside) {
            const Vec mine = passing(load(from.data + at + s * LANES, lanes), pixel) * factor;
            value += window == 1 ? mine : load(chosen + at + s * LANES, lanes) == number ? mine : Vec{};
          }
          store(out + to + s * LANES, value, lanes);
        }
      }
  });
  return nullptr;
}

}  // namespace fer::batch_norm
