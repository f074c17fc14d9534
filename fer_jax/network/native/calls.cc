// The calls that XLA makes through its foreign function interface. They check what they are given, and pass buffers and
// threads on to the kernels.
//
// XLA's interface in C is used as it is: its wrapper in C++ (ffi.h) takes longer to compile than all kernels together.

#include "xla/ffi/api/c_api.h"

#include "kernels.h"

namespace {

XLA_FFI_Error* error(const XLA_FFI_Api* api, XLA_FFI_Error_Code code, const char* message) {
  XLA_FFI_Error_Create_Args args{XLA_FFI_Error_Create_Args_STRUCT_SIZE, nullptr, message, code};
  return api->XLA_FFI_Error_Create(&args);
}

class XlaPool : public fer::Pool {
 public:
  XlaPool(const XLA_FFI_Api* api, XLA_FFI_ExecutionContext* context) : api_(api), context_(context) {}
  int64_t num_threads() const override {
    int64_t threads = 1;
    XLA_FFI_ThreadPool_NumThreads_Args args{XLA_FFI_ThreadPool_NumThreads_Args_STRUCT_SIZE, nullptr, context_, &threads};
    failed(api_->XLA_FFI_ThreadPool_NumThreads(&args));
    return threads;
  }
  void schedule(void (*task)(void*), void* data) override {
    XLA_FFI_ThreadPool_Schedule_Args args{XLA_FFI_ThreadPool_Schedule_Args_STRUCT_SIZE, nullptr, context_, task, data};
    if (failed(api_->XLA_FFI_ThreadPool_Schedule(&args))) task(data);  // without threads, on this one
  }

 private:
  bool failed(XLA_FFI_Error* error) const {
    if (!error) return false;
    XLA_FFI_Error_Destroy_Args args{XLA_FFI_Error_Destroy_Args_STRUCT_SIZE, nullptr, error};
    api_->XLA_FFI_Error_Destroy(&args);
    return true;
  }
  const XLA_FFI_Api* api_;
  XLA_FFI_ExecutionContext* context_;
};

// One call's arguments, results and numbers, taken in turn: arguments first, then results.
class Frame {
 public:
  explicit Frame(XLA_FFI_CallFrame* frame) : frame_(frame) {}

  fer::Floats floats() { return next<float>(XLA_FFI_DataType_F32); }
  fer::Bytes bytes() { return next<uint8_t>(XLA_FFI_DataType_U8); }
  int64_t number(const char* name) {
    for (int64_t i = 0; i < frame_->attrs.size; ++i) {
      const XLA_FFI_ByteSpan& span = *frame_->attrs.names[i];
      if (span.len != std::strlen(name) || std::memcmp(span.ptr, name, span.len)) continue;
      const auto* scalar = static_cast<const XLA_FFI_Scalar*>(frame_->attrs.attrs[i]);
      if (frame_->attrs.types[i] != XLA_FFI_AttrType_SCALAR || scalar->dtype != XLA_FFI_DataType_S64) break;
      return *static_cast<const int64_t*>(scalar->value);
    }
    wrong_ = "a number is missing, or no int64";
    return 1;
  }
  // What is wrong with what was taken; null if nothing is and nothing is left over.
  fer::Error wrong() const {
    return wrong_ || taken_ == frame_->args.size + frame_->rets.size ? wrong_ : "too many buffers";
  }

 private:
  template <typename T>
  fer::Array<T> next(XLA_FFI_DataType type) {
    const int64_t at = taken_++, inputs = frame_->args.size;
    fer::Array<T> array{nullptr, 0, {}};
    if (at >= inputs + frame_->rets.size) {
      wrong_ = "too few buffers";
      return array;
    }
    const auto* buffer = static_cast<const XLA_FFI_Buffer*>(at < inputs ? frame_->args.args[at]
                                                                        : frame_->rets.rets[at - inputs]);
    if (buffer->dtype != type || buffer->rank > 4) {
      wrong_ = "a buffer of another type, or of more than four axes";
      return array;
    }
    array.data = static_cast<T*>(buffer->data), array.axes = buffer->rank;
    for (int64_t i = 0; i < buffer->rank; ++i) array.shape[i] = buffer->dims[i];
    return array;
  }

  XLA_FFI_CallFrame* frame_;
  int64_t taken_ = 0;
  fer::Error wrong_ = nullptr;
};

// Answers XLA's question for the interface's version, and runs a kernel. `kernel` takes the pool and the frame.
template <typename Kernel>
XLA_FFI_Error* answer(XLA_FFI_CallFrame* frame, const Kernel& kernel) {
  if (frame->extension_start && frame->extension_start->type == XLA_FFI_Extension_Metadata) {
    XLA_FFI_Metadata* metadata = reinterpret_cast<XLA_FFI_Metadata_Extension*>(frame->extension_start)->metadata;
    metadata->api_version = {XLA_FFI_Api_Version_STRUCT_SIZE, nullptr, XLA_FFI_API_MAJOR, XLA_FFI_API_MINOR};
    metadata->traits = 0;
    metadata->state_type_id = XLA_FFI_UNKNOWN_TYPE_ID;
    return nullptr;
  }
  if (frame->stage != XLA_FFI_ExecutionStage_EXECUTE) return nullptr;
  XlaPool pool(frame->api, frame->ctx);
  Frame given(frame);
  try {
    const fer::Error wrong = kernel(pool, given);
    return wrong ? error(frame->api, XLA_FFI_Error_Code_INVALID_ARGUMENT, wrong) : nullptr;
  } catch (const fer::OutOfMemory&) {
    return error(frame->api, XLA_FFI_Error_Code_RESOURCE_EXHAUSTED, "too little memory for a convolution or batch norm");
  }
}

fer::Windows windows_of(Frame& given) {
  return {given.number("top"), given.number("left"), given.number("down"), given.number("across")};
}

fer::Last last_of(Frame& given) { return {given.floats(), given.floats(), given.number("rectify") != 0}; }

XLA_FFI_Error* with_strides(XLA_FFI_CallFrame* frame, decltype(fer::strided::convolve) kernel, bool depthwise) {
  return answer(frame, [&](fer::Pool& pool, Frame& given) -> fer::Error {
    const fer::Floats x = given.floats(), weights = given.floats();
    const fer::Last last = last_of(given);
    const fer::Floats y = given.floats();
    const fer::Windows windows = windows_of(given);
    if (fer::Error wrong = given.wrong()) return wrong;
    if (fer::Error wrong = fer::wrong_convolution(x, weights, y, windows, depthwise)) return wrong;
    return fer::fits(last, y) ? kernel(pool, x, weights, last, y, windows) : fer::OTHER_SHAPES;
  });
}

// A gradient of a convolution with strides: the order of what it is given differs, and which of that it fills.
XLA_FFI_Error* gradient_with_strides(XLA_FFI_CallFrame* frame, decltype(fer::strided::input_gradient) kernel, bool of_kernel,
                                     bool depthwise) {
  return answer(frame, [&](fer::Pool& pool, Frame& given) -> fer::Error {
    const fer::Floats a = given.floats(), b = given.floats(), c = given.floats();
    const fer::Windows windows = windows_of(given);
    if (fer::Error wrong = given.wrong()) return wrong;
    const fer::Floats &x = of_kernel ? a : c, &weights = of_kernel ? c : b, &y = of_kernel ? b : a;
    if (fer::Error wrong = fer::wrong_convolution(x, weights, y, windows, depthwise)) return wrong;
    return kernel(pool, a, b, c, windows);
  });
}

using Convolve = decltype(fer::direct::convolve);
using InputGradient = decltype(fer::direct::input_gradient);
using KernelGradient = decltype(fer::direct::kernel_gradient);

XLA_FFI_Error* convolve(XLA_FFI_CallFrame* frame, Convolve kernel) {
  return answer(frame, [&](fer::Pool& pool, Frame& given) -> fer::Error {
    const fer::Floats x = given.floats(), weights = given.floats();
    const fer::Last last = last_of(given);
    const fer::Floats y = given.floats();
    const fer::Bytes places = given.bytes();
    const int64_t before = given.number("before"), after = given.number("after"), window = given.number("window");
    if (fer::Error wrong = given.wrong()) return wrong;
    if (fer::Error wrong = fer::wrong_shapes(x, weights, y, places, before, after, window, false)) return wrong;
    return fer::fits(last, y) ? kernel(pool, x, weights, last, y, places, before, after, window) : fer::OTHER_SHAPES;
  });
}

XLA_FFI_Error* input_gradient(XLA_FFI_CallFrame* frame, InputGradient kernel) {
  return answer(frame, [&](fer::Pool& pool, Frame& given) -> fer::Error {
    const fer::Floats cotangent = given.floats();
    const fer::Bytes places = given.bytes();
    const fer::Floats weights = given.floats(), dx = given.floats();
    const int64_t before = given.number("before"), after = given.number("after"), window = given.number("window");
    if (fer::Error wrong = given.wrong()) return wrong;
    if (fer::Error wrong = fer::wrong_shapes(dx, weights, cotangent, places, before, after, window, window > 1)) return wrong;
    return kernel(pool, cotangent, places, weights, dx, before, after, window);
  });
}

XLA_FFI_Error* kernel_gradient(XLA_FFI_CallFrame* frame, KernelGradient kernel) {
  return answer(frame, [&](fer::Pool& pool, Frame& given) -> fer::Error {
    const fer::Floats x = given.floats(), cotangent = given.floats();
    const fer::Bytes places = given.bytes();
    const fer::Floats dk = given.floats();
    const int64_t before = given.number("before"), after = given.number("after"), window = given.number("window");
    if (fer::Error wrong = given.wrong()) return wrong;
    if (fer::Error wrong = fer::wrong_shapes(x, dk, cotangent, places, before, after, window, window > 1)) return wrong;
    return kernel(pool, x, cotangent, places, dk, before, after, window);
  });
}

}  // namespace

#define FER_CALL(name, body) \
  extern "C" XLA_FFI_Error* name(XLA_FFI_CallFrame* frame) { return body; }
#define FER_CONVOLUTION(prefix, way)                                                    \
  FER_CALL(prefix##_convolve, convolve(frame, fer::way::convolve))                      \
  FER_CALL(prefix##_input_gradient, input_gradient(frame, fer::way::input_gradient))    \
  FER_CALL(prefix##_kernel_gradient, kernel_gradient(frame, fer::way::kernel_gradient))

FER_CONVOLUTION(fer, direct)
FER_CONVOLUTION(fer_strips, strips)
FER_CONVOLUTION(fer_winograd, winograd)

#define FER_WITH_STRIDES(prefix, way, depthwise)                                                                  \
  FER_CALL(prefix##_convolve, with_strides(frame, fer::way::convolve, depthwise))                                 \
  FER_CALL(prefix##_input_gradient, gradient_with_strides(frame, fer::way::input_gradient, false, depthwise))     \
  FER_CALL(prefix##_kernel_gradient, gradient_with_strides(frame, fer::way::kernel_gradient, true, depthwise))

FER_WITH_STRIDES(fer_depthwise, depthwise, true)
FER_WITH_STRIDES(fer_strided, strided, false)

FER_CALL(fer_pooled_convolve, answer(frame, [](fer::Pool& pool, Frame& given) -> fer::Error {
  const fer::Floats x = given.floats(), weights = given.floats();
  const fer::Last last = last_of(given);
  const fer::Floats y = given.floats();
  const fer::Bytes places = given.bytes();
  const int64_t before = given.number("before"), after = given.number("after");
  const fer::Pooling pooling{given.number("height"), given.number("width"), windows_of(given)};
  if (fer::Error wrong = given.wrong()) return wrong;
  if (fer::Error wrong = fer::wrong_pooled(x, weights, y, places, before, after, pooling, false)) return wrong;
  return fer::fits(last, y) ? fer::overlapping::convolve(pool, x, weights, last, y, places, before, after, pooling)
                            : fer::OTHER_SHAPES;
}))
FER_CALL(fer_pooled_kernel_gradient, answer(frame, [](fer::Pool& pool, Frame& given) -> fer::Error {
  const fer::Floats x = given.floats(), cotangent = given.floats();
  const fer::Bytes places = given.bytes();
  const fer::Floats dk = given.floats();
  const int64_t before = given.number("before"), after = given.number("after");
  const fer::Pooling pooling{given.number("height"), given.number("width"), windows_of(given)};
  if (fer::Error wrong = given.wrong()) return wrong;
  if (fer::Error wrong = fer::wrong_pooled(x, dk, cotangent, places, before, after, pooling, true)) return wrong;
  return fer::overlapping::kernel_gradient(pool, x, cotangent, places, dk, before, after, pooling);
}))

FER_CALL(fer_max_pool, answer(frame, [](fer::Pool& pool, Frame& given) -> fer::Error {
  const fer::Floats x = given.floats(), y = given.floats();
  const fer::Bytes places = given.bytes();
  const int64_t height = given.number("height"), width = given.number("width");
  const fer::Windows windows = windows_of(given);
  if (fer::Error wrong = given.wrong()) return wrong;
  if (fer::Error wrong = fer::wrong_windows(x, y, height, width, windows)) return wrong;
  const bool fits = x.shape[0] == y.shape[0] && fer::fits(places, y, false);
  return fits ? fer::pooling::max_pool(pool, x, y, places, height, width, windows) : fer::OTHER_SHAPES;
}))
FER_CALL(fer_max_pool_gradient, answer(frame, [](fer::Pool& pool, Frame& given) -> fer::Error {
  const fer::Floats cotangent = given.floats();
  const fer::Bytes places = given.bytes();
  const fer::Floats dx = given.floats();
  const int64_t height = given.number("height"), width = given.number("width");
  const fer::Windows windows = windows_of(given);
  if (fer::Error wrong = given.wrong()) return wrong;
  if (fer::Error wrong = fer::wrong_windows(dx, cotangent, height, width, windows)) return wrong;
  const bool fits = dx.shape[0] == cotangent.shape[0] && fer::fits(places, cotangent, true);
  return fits ? fer::pooling::input_gradient(pool, cotangent, places, dx, height, width, windows) : fer::OTHER_SHAPES;
}))

FER_CALL(fer_moments, answer(frame, [](fer::Pool& pool, Frame& given) -> fer::Error {
  const fer::Floats x = given.floats(), shifts = given.floats(), weights = given.floats(), sums = given.floats();
  if (fer::Error wrong = given.wrong()) return wrong;
  const bool fits = x.axes == 4 && fer::is(shifts, x.shape[0]) && fer::is(weights, x.shape[3]) &&
                    fer::is(sums, 2, x.shape[0]);
  return fits ? fer::batch_norm::moments(pool, x, shifts, weights, sums) : fer::OTHER_SHAPES;
}))
FER_CALL(fer_normalise, answer(frame, [](fer::Pool& pool, Frame& given) -> fer::Error {
  const fer::Floats x = given.floats(), factors = given.floats(), offsets = given.floats(), y = given.floats();
  const fer::Bytes places = given.bytes();
  const int64_t window = given.number("window");
  const bool rectify = given.number("rectify");
  if (fer::Error wrong = given.wrong()) return wrong;
  const bool fits = fer::is_pooled(y, x, window) && fer::is(factors, x.shape[0]) && fer::is(offsets, x.shape[0]) &&
                    fer::fits(places, y, false);
  return fits ? fer::batch_norm::normalise(pool, x, factors, offsets, y, places, window, rectify) : fer::OTHER_SHAPES;
}))
FER_CALL(fer_normalise_sums, answer(frame, [](fer::Pool& pool, Frame& given) -> fer::Error {
  const fer::Floats x = given.floats(), means = given.floats(), cotangent = given.floats();
  const fer::Bytes places = given.bytes();
  const fer::Floats factors = given.floats(), offsets = given.floats(), sums = given.floats();
  const int64_t window = given.number("window");
  const bool rectify = given.number("rectify");
  if (fer::Error wrong = given.wrong()) return wrong;
  const bool fits = fer::is_pooled(cotangent, x, window) && fer::is(means, x.shape[0]) &&
                    fer::is(factors, x.shape[0]) && fer::is(offsets, x.shape[0]) &&
                    fer::is(sums, 2, x.shape[0]) && fer::fits(places, cotangent, window > 1);
  return fits ? fer::batch_norm::gradient_sums(pool, x, means, cotangent, places, factors, offsets, sums, window, rectify)
              : fer::OTHER_SHAPES;
}))
FER_CALL(fer_normalise_gradient, answer(frame, [](fer::Pool& pool, Frame& given) -> fer::Error {
  const fer::Floats x = given.floats(), means = given.floats(), weights = given.floats(), cotangent = given.floats();
  const fer::Bytes places = given.bytes();
  const fer::Floats factors = given.floats(), offsets = given.floats(), constants = given.floats();
  const fer::Floats slopes = given.floats(), dx = given.floats();
  const int64_t window = given.number("window");
  const bool rectify = given.number("rectify");
  if (fer::Error wrong = given.wrong()) return wrong;
  const int64_t channels = x.shape[0];
  const bool fits = fer::is_pooled(cotangent, x, window) && fer::fits(places, cotangent, window > 1) &&
                    fer::is(means, channels) && fer::is(weights, x.shape[3]) && fer::is(factors, channels) &&
                    fer::is(offsets, channels) && fer::is(constants, channels) && fer::is(slopes, channels) &&
                    fer::is(dx, channels, x.shape[1], x.shape[2], x.shape[3]);
  return fits ? fer::batch_norm::input_gradient(pool, x, means, weights, cotangent, places, factors, offsets, constants,
                                                slopes, dx, window, rectify)
              : fer::OTHER_SHAPES;
}))
