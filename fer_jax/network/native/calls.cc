// The calls that XLA makes through its foreign function interface. They pass buffers and threads on to the kernels.

#include "xla/ffi/api/ffi.h"

#include "kernels.h"

namespace ffi = xla::ffi;

namespace {

using FloatBuffer = ffi::Buffer<ffi::F32>;
using ByteBuffer = ffi::Buffer<ffi::U8>;

class XlaPool : public fer::Pool {
 public:
  explicit XlaPool(ffi::ThreadPool& pool) : pool_(pool) {}
  int64_t num_threads() const override { return pool_.num_threads(); }
  void schedule(std::function<void()> task) override { pool_.Schedule(std::move(task)); }

 private:
  ffi::ThreadPool& pool_;
};

template <typename T, typename Buffer>
fer::Array<T> array_of(const Buffer& buffer) {
  fer::Array<T> array{buffer.typed_data(), 0, {}};
  for (const int64_t size : buffer.dimensions()) array.shape[array.axes++] = size;
  return array;
}
fer::Floats plain(FloatBuffer& buffer) { return array_of<float>(buffer); }
fer::Bytes plain(ByteBuffer& buffer) { return array_of<uint8_t>(buffer); }
template <typename Buffer>
auto plain(ffi::Result<Buffer>& result) {
  return plain(*result);
}
int64_t plain(int64_t attribute) { return attribute; }

template <typename Kernel, typename... Arguments>
ffi::Error call(Kernel kernel, ffi::ThreadPool& threads, Arguments&... arguments) {
  XlaPool pool(threads);
  const fer::Error error = kernel(pool, plain(arguments)...);
  return error ? ffi::Error::InvalidArgument(error) : ffi::Error::Success();
}

}  // namespace

// In the order of the kernel's arguments: inputs, outputs, and numbers.
#define FER_CALL(name, kernel, binding)                                                                                \
  XLA_FFI_DEFINE_HANDLER_SYMBOL(                                                                                       \
      name, [](ffi::ThreadPool pool, auto... arguments) { return call(kernel, pool, arguments...); }, binding)
#define FER_BIND ffi::Ffi::Bind().Ctx<ffi::ThreadPool>()
#define FER_READ Arg<FloatBuffer>()
#define FER_READ_PLACES Arg<ByteBuffer>()
#define FER_WRITE Ret<FloatBuffer>()
#define FER_WRITE_PLACES Ret<ByteBuffer>()
#define FER_WINDOW Attr<int64_t>("window")
#define FER_AROUND Attr<int64_t>("before").Attr<int64_t>("after").FER_WINDOW

#define FER_CONVOLUTION(prefix, way)                                                                                   \
  FER_CALL(prefix##_convolve, way::convolve,                                                                           \
           (FER_BIND.FER_READ.FER_READ.FER_WRITE.FER_WRITE_PLACES.FER_AROUND));                                        \
  FER_CALL(prefix##_input_gradient, way::input_gradient,                                                               \
           (FER_BIND.FER_READ.FER_READ_PLACES.FER_READ.FER_WRITE.FER_AROUND));                                         \
  FER_CALL(prefix##_kernel_gradient, way::kernel_gradient,                                                             \
           (FER_BIND.FER_READ.FER_READ.FER_READ_PLACES.FER_WRITE.FER_AROUND))

FER_CONVOLUTION(fer, fer::direct);
FER_CONVOLUTION(fer_strips, fer::strips);
FER_CONVOLUTION(fer_winograd, fer::winograd);

FER_CALL(fer_moments, fer::batch_norm::moments, (FER_BIND.FER_READ.FER_READ.FER_READ.FER_WRITE));
FER_CALL(fer_normalise, fer::batch_norm::normalise,
         (FER_BIND.FER_READ.FER_READ.FER_READ.FER_WRITE.FER_WRITE_PLACES.FER_WINDOW));
FER_CALL(fer_normalise_sums, fer::batch_norm::gradient_sums,
         (FER_BIND.FER_READ.FER_READ.FER_READ.FER_READ_PLACES.FER_WRITE.FER_WINDOW));
FER_CALL(fer_normalise_gradient, fer::batch_norm::input_gradient,
         (FER_BIND.FER_READ.FER_READ.FER_READ.FER_READ.FER_READ_PLACES.FER_READ.FER_READ.FER_READ.FER_WRITE.FER_WINDOW));
