// Max pooling with windows that may overlap or leave gaps, and its gradient, for CPU. Called by native/pooling.py.
//
// Each thread computes whole rows of the output, in a fixed order.

#include "kernels.h"

namespace fer::pooling {

Error max_pool(Pool& pool, Floats x, Floats y, Bytes places, int64_t height, int64_t width, Windows windows) {
  const Map map = map_of(x);
  const Output out = output_of(y, kept(places));
  const int64_t row = map.width * map.batch;
  parallel_for(pool, out.filters * out.rows, [&](int64_t i) {
    const int64_t c = i / out.rows, top = i % out.rows * windows.down - windows.top;
    const Inside rows(top, height, map.height);
    for (int64_t q = 0; q < out.columns; ++q) {
      const int64_t left = q * windows.across - windows.left;
      const Inside columns(left, width, map.width);
      const float* corner = map.data + ((c * map.height + top) * map.width + left) * map.batch;
      for (int64_t s = 0; s < out.slices(); ++s) {
        const int lanes = out.lanes(s);
        int32_t number = static_cast<int32_t>(rows.begin * width + columns.begin);
        Vec best = load(corner + rows.begin * row + columns.begin * map.batch + s * LANES, lanes);
        IntVec place = IntVec{} + number;
        for (int64_t a = rows.begin; a < rows.end; ++a) {
          number = static_cast<int32_t>(a * width + columns.begin);
          const float* pixels = corner + a * row + columns.begin * map.batch + s * LANES;
          for (int64_t b = columns.begin; b < columns.end; ++b, ++number, pixels += map.batch)
            keep_greater(load(pixels, lanes), number, best, place);
        }
        const int64_t to = (i * out.columns + q) * out.batch + s * LANES;
        store(out.values + to, best, lanes);
        if (out.places) store(out.places + to, place, lanes);
      }
    }
  });
  return nullptr;
}

Error input_gradient(Pool& pool, Floats cotangent, Bytes places, Floats dx, int64_t height, int64_t width,
                     Windows windows) {
  const Map g = map_of(cotangent);
  const Output out = output_of(dx, nullptr);
  parallel_for(pool, out.filters * out.rows, [&](int64_t i) {
    const int64_t c = i / out.rows, h = i % out.rows + windows.top;
    const Covering rows(h, height, windows.down, g.height);
    for (int64_t q = 0; q < out.columns; ++q) {
      const int64_t w = q + windows.left;
      const Covering columns(w, width, windows.across, g.width);
      for (int64_t s = 0; s < out.slices(); ++s) {
        const int lanes = out.lanes(s);
        Vec sum{};
        for (int64_t a = rows.first; a < rows.last; ++a)
          for (int64_t b = columns.first; b < columns.last; ++b) {
            const int64_t at = ((c * g.height + a) * g.width + b) * g.batch + s * LANES;
            const int32_t number = static_cast<int32_t>((h - a * windows.down) * width + w - b * windows.across);
            sum += load(places.data + at, lanes) == number ? load(g.data + at, lanes) : Vec{};
          }
        store(out.values + (i * out.columns + q) * out.batch + s * LANES, sum, lanes);
      }
    }
  });
  return nullptr;
}

}  // namespace fer::pooling
