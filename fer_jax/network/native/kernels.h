// What calls.cc offers to XLA: one function for each call, defined in the file that its namespace names.

#pragma once

#include "maps.h"
#include "shapes.h"
#include "windows.h"

namespace fer {

// Convolution of stride 1 with its pooling: y and, where it has four axes, each maximum's place in its window. The gradients
// take the pooled map's cotangent. before, after: rows and columns of zeros around x. window: of the pooling, 1 for none.
// The gradients are those of what comes before `last`.
#define FER_CONVOLUTION                                                                                                \
  Error convolve(Pool&, Floats x, Floats kernel, Last last, Floats y, Bytes places, int64_t before, int64_t after,     \
                 int64_t window);                                                                                      \
  Error input_gradient(Pool&, Floats cotangent, Bytes places, Floats kernel, Floats dx, int64_t before, int64_t after, \
                       int64_t window);                                                                                \
  Error kernel_gradient(Pool&, Floats x, Floats cotangent, Bytes places, Floats dk, int64_t before, int64_t after,     \
                        int64_t window);

namespace direct {  // convolution.cc
FER_CONVOLUTION
}
namespace strips {
FER_CONVOLUTION
}
namespace winograd {
FER_CONVOLUTION
}
#undef FER_CONVOLUTION

// Convolutions whose windows move by any strides, without pooling. kernel: (size, size, channels) for the depthwise one,
// else (height, width, channels, filters).
#define FER_CONVOLUTION                                                                  \
  Error convolve(Pool&, Floats x, Floats kernel, Last last, Floats y, Windows windows);   \
  Error input_gradient(Pool&, Floats cotangent, Floats kernel, Floats dx, Windows windows); \
  Error kernel_gradient(Pool&, Floats x, Floats cotangent, Floats dk, Windows windows);

namespace depthwise {
FER_CONVOLUTION
}
namespace strided {
FER_CONVOLUTION
}
#undef FER_CONVOLUTION

namespace overlapping {
// `direct`'s convolution and kernel gradient with a pooling of any windows.
Error convolve(Pool&, Floats x, Floats kernel, Last last, Floats y, Bytes places, int64_t before, int64_t after,
               Pooling pooling);
Error kernel_gradient(Pool&, Floats x, Floats cotangent, Bytes places, Floats dk, int64_t before, int64_t after,
                      Pooling pooling);
}  // namespace overlapping

namespace pooling {
// The first maximum of each window of `height` x `width` places, and its place where that has four axes.
Error max_pool(Pool&, Floats x, Floats y, Bytes places, int64_t height, int64_t width, Windows windows);
Error input_gradient(Pool&, Floats cotangent, Bytes places, Floats dx, int64_t height, int64_t width, Windows windows);
}  // namespace pooling

namespace batch_norm {
// rectify: with a ReLU behind the pooling. Its gradient is that of factors x + offsets above zero.
Error moments(Pool&, Floats x, Floats shifts, Floats weights, Floats sums);
Error normalise(Pool&, Floats x, Floats factors, Floats offsets, Floats y, Bytes places, int64_t window, bool rectify);
Error gradient_sums(Pool&, Floats x, Floats means, Floats cotangent, Bytes places, Floats factors, Floats offsets,
                    Floats sums, int64_t window, bool rectify);
Error input_gradient(Pool&, Floats x, Floats means, Floats weights, Floats cotangent, Bytes places, Floats factors,
                     Floats offsets, Floats constants, Floats slopes, Floats dx, int64_t window, bool rectify);
}  // namespace batch_norm

}  // namespace fer
