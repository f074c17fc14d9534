// Windows of a kernel or a pooling that move over a map by any strides, and the padded rows that they read.

#pragma once

#include "maps.h"

namespace fer {

// Windows begin `top` rows and `left` columns before the map, and are `down` rows and `across` columns apart.
struct Windows {
  int64_t top, left, down, across;
};

// Max pooling: windows of `height` x `width` places, numbered row by row.
struct Pooling {
  int64_t height, width;
  Windows windows;
};

// The part of a window of `size` from place `begin` of an axis that lies on the map.
struct Inside {
  int64_t begin, end;
  Inside(int64_t begin, int64_t size, int64_t length)
      : begin(std::max<int64_t>(0, -begin)), end(std::min(size, length - begin)) {}
};

// Which of `count` windows of `size`, each `step` after the one before, cover a place: first to last - 1.
struct Covering {
  int64_t first, last;
  Covering(int64_t place, int64_t size, int64_t step, int64_t count)
      : first(std::max<int64_t>(0, ceil_div(std::max<int64_t>(0, place - size + 1), step))),
        last(std::min(count, place / step + 1)) {}
};

// Rows `first` to `first + count` - 1 of a channel and slice, (row, column, LANES), zero where the map is not. The first
// row and column of the map lie at `top` and `left`, its others `down` and `across` apart.
inline void pad_rows(const Map& map, const Windows& lie, int64_t slice, int64_t channel, int64_t first, int64_t count,
                     int64_t width, float* out) {
  const int lanes = map.lanes(slice);
  const float* in = map.data + channel * map.height * map.width * map.batch + slice * LANES;
  const int64_t columns = std::min(map.width, ceil_div(std::max<int64_t>(0, width - lie.left), lie.across));
  const int64_t end = lie.left + (columns - 1) * lie.across + 1;
  for (int64_t i = first; i < first + count; ++i, out += width * LANES) {
    const int64_t h = (i - lie.top) / lie.down;
    if (i < lie.top || (i - lie.top) % lie.down || h >= map.height || columns == 0) {
      std::memset(out, 0, width * LANES * sizeof(float));
      continue;
    }
    if (lie.across > 1) {
      std::memset(out, 0, width * LANES * sizeof(float));
    } else {
      std::memset(out, 0, lie.left * LANES * sizeof(float));
      std::memset(out + end * LANES, 0, (width - end) * LANES * sizeof(float));
    }
    const float* from = in + h * map.width * map.batch;
    float* to = out + lie.left * LANES;
    for (int64_t w = 0; w < columns; ++w, from += map.batch, to += lie.across * LANES) store(to, load(from, lanes), LANES);
  }
}

}  // namespace fer
