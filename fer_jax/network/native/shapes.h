// Which shapes of buffers belong together. The kernels themselves do not look again.

#pragma once

#include "windows.h"

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

// A bias for each filter of y, and a map like y or one element where nothing is added.
inline bool fits(const Last& last, const Floats& y) {
  const bool map = is(last.added, y.shape[0], y.shape[1], y.shape[2], y.shape[3]);
  return is(last.biases, y.shape[0]) && (map || last.added.axes == 1);
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

// Bounds of the kernels and poolings whose windows move by any strides.
constexpr int64_t MOST_TAPS = 256, MOST_STEPS = 8;

// What is wrong with windows of `height` x `width` places on the map x, one for each place of y; null if nothing is. Each
// window must hold a pixel of the map.
inline Error wrong_windows(const Floats& x, const Floats& y, int64_t height, int64_t width, const Windows& windows) {
  if (x.axes != 4 || y.axes != 4) return "a map without four axes";
  const auto fits = [](int64_t size, int64_t before, int64_t step, int64_t length, int64_t count) {
    return size >= 1 && before >= 0 && before < size && step >= 1 && step <= MOST_STEPS && count >= 1 &&
           (count - 1) * step - before < length;
  };
  if (!fits(height, windows.top, windows.down, x.shape[1], y.shape[1]) ||
      !fits(width, windows.left, windows.across, x.shape[2], y.shape[2]) || height * width > MOST_TAPS)
    return "windows that do not lie on the map";
  return x.shape[3] == y.shape[3] ? nullptr : OTHER_SHAPES;
}

// The same for a convolution of stride 1, padded by `before` and `after`, and the pooling of its map.
inline Error wrong_pooled(const Floats& x, const Floats& kernel, const Floats& y, const Bytes& places, int64_t before,
                          int64_t after, const Pooling& pooling, bool places_needed) {
  if (x.axes != 4 || kernel.axes != 4 || y.axes != 4) return "a map or kernel without four axes";
  const int64_t size = kernel.shape[0], grown = before + after - size + 1;
  const Floats map{nullptr, 4, {y.shape[0], x.shape[1] + grown, x.shape[2] + grown, x.shape[3]}};
  // A convolution without pooling has a map of these sides.
  if (Error wrong = wrong_shapes(x, kernel, map, Bytes{nullptr, 1, {1}}, before, after, 1, false)) return wrong;
  if (map.shape[1] < 1 || map.shape[2] < 1) return OTHER_SHAPES;
  if (Error wrong = wrong_windows(map, y, pooling.height, pooling.width, pooling.windows)) return wrong;
  return fits(places, y, places_needed) ? nullptr : OTHER_SHAPES;
}

// The same for a convolution with strides: y is the map of filters, of channels if it is depthwise.
inline Error wrong_convolution(const Floats& x, const Floats& kernel, const Floats& y, const Windows& windows,
                               bool depthwise) {
  if (x.axes != 4 || y.axes != 4 || kernel.axes != (depthwise ? 3 : 4)) return "a map or kernel of other axes";
  const int64_t height = kernel.shape[0], width = kernel.shape[1];
  if (Error wrong = wrong_windows(x, y, height, width, windows)) return wrong;
  if (!depthwise) return is(kernel, height, width, x.shape[0], y.shape[0]) ? nullptr : OTHER_SHAPES;
  return is(kernel, height, height, x.shape[0]) && y.shape[0] == x.shape[0] ? nullptr : OTHER_SHAPES;
}

}  // namespace fer
