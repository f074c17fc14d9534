// Which shapes of buffers belong together. The kernels themselves do not look again.

#pragma once

#include "maps.h"

namespace fer {

constexpr Error OTHER_SHAPES = "buffers whose shapes do not belong together";

template <typename T, typename... Sizes>
bool is(const Array<T>& array, Sizes... sizes) {
  const int64_t expected[] = {sizes...};
  if (array.axes != static_cast<int64_t>(sizeof...(sizes))) return false;
  for (size_t i = 0; i < sizeof...(sizes); ++i)
    if (array.shape[i] != expected[i]) return false;
  return true;
}

// Places have the pooled map's four axes, or are one element where nobody needs them.
inline bool fits(const Bytes& places, const Floats& y, bool needed) {
  return is(places, y.shape[0], y.shape[1], y.shape[2], y.shape[3]) || (!needed && places.axes == 1);
}

// Whether y is x after a pooling window of 1 to 3.
inline bool is_pooled(const Floats& y, const Floats& x, int64_t window) {
  return x.axes == 4 && window >= 1 && window <= 3 &&
         is(y, x.shape[0], x.shape[1] / window, x.shape[2] / window, x.shape[3]);
}

// What is wrong with the shapes of a convolution, its pooling, or their gradients; null if they belong together.
inline Error wrong_shapes(const Floats& x, const Floats& kernel, const Floats& y, const Bytes& places, int64_t before,
                          int64_t after, int64_t window, bool places_needed) {
  if (x.axes != 4 || kernel.axes != 4 || y.axes != 4) return "a map or kernel without four axes";
  if (window < 1 || window > 3) return "pooling windows of 1, 2 and 3 only";
  const int64_t size = kernel.shape[0];
  if (size != 1 && size != 3 && size != 5 && size != 7) return "kernels of 1, 3, 5 and 7 only";
  // The gradient takes size - 1 - before zeros before the cotangent.
  if (before < 0 || after < 0 || before >= size || after >= size) return "more padding than the kernel is wide, less one";
  const int64_t grown = before + after - size + 1, height = x.shape[1] + grown, width = x.shape[2] + grown;
  const bool fits_all = height >= 0 && width >= 0 && is(kernel, size, size, x.shape[0], y.shape[0]) &&
                        is(y, kernel.shape[3], height / window, width / window, x.shape[3]) &&
                        fits(places, y, places_needed);
  return fits_all ? nullptr : OTHER_SHAPES;
}

}  // namespace fer
