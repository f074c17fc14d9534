// The C++ kernels against loops in double precision, without Python and XLA: thousands of shapes in seconds, also under
// sanitizers and on other processors. Prints one line per fault, and exits 1 if there is any.
//
//   check_kernels [rounds]     rounds: drawn shapes for each way to convolve; by default 150
//
// Every buffer has exactly the size that its shape says, on the heap, so that AddressSanitizer sees each step too far.

#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "kernels.h"

namespace {

int faults = 0, compared = 0;
std::mt19937 random_bits(2022);

int64_t between(int64_t low, int64_t high) { return low + static_cast<int64_t>(random_bits() % (high - low + 1)); }

class Threads : public fer::Pool {
 public:
  explicit Threads(int count) {
    for (int i = 0; i < count; ++i) threads_.emplace_back([this] { work(); });
  }
  ~Threads() override {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
  }
  int64_t num_threads() const override { return static_cast<int64_t>(threads_.size()) + 1; }
  void schedule(void (*task)(void*), void* data) override {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      tasks_.emplace_back([=] { task(data); });
    }
    changed_.notify_one();
  }

 private:
  void work() {
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return ended_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
    }
  }
  std::vector<std::thread> threads_;
  std::deque<std::function<void()>> tasks_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
};

template <typename T>
struct Buffer {
  std::unique_ptr<T[]> data;
  std::vector<int64_t> shape;
  int64_t size = 1;

  explicit Buffer(std::vector<int64_t> of) : shape(std::move(of)) {
    for (int64_t n : shape) size *= n;
    data.reset(new T[size]);
    // What a kernel does not write is no number, or a place that no window has.
    for (int64_t i = 0; i < size; ++i) data[i] = sizeof(T) == 1 ? T(255) : T(std::nanf(""));
  }
  fer::Array<T> array() const {
    fer::Array<T> array{data.get(), static_cast<int64_t>(shape.size()), {}};
    for (size_t i = 0; i < shape.size(); ++i) array.shape[i] = shape[i];
    return array;
  }
  T& at(int64_t a, int64_t b, int64_t c, int64_t d) const {
    return data[((a * shape[1] + b) * shape[2] + c) * shape[3] + d];
  }
};
using Map = Buffer<float>;

// Whole numbers from -2 to 2 make many maxima equal; others none.
Map drawn(std::vector<int64_t> shape, bool whole) {
  Map map(std::move(shape));
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < map.size; ++i) map.data[i] = whole ? static_cast<float>(between(-2, 2)) : normal(random_bits);
  return map;
}

void expect(bool holds, const std::string& what) {
  ++compared;
  if (holds) return;
  if (++faults <= 20) std::printf("WRONG: %s\n", what.c_str());
}

// Each value within `error` of the largest expected.
void expect_near(const Map& found, const std::vector<double>& expected, double error, const std::string& what) {
  double largest = 1, worst = 0;
  for (double value : expected) largest = std::max(largest, std::fabs(value));
  for (int64_t i = 0; i < found.size; ++i) {
    const double off = std::fabs(found.data[i] - expected[i]);
    if (!(off <= worst)) worst = off;  // no number counts as wrong
  }
  expect(worst <= error * largest, what + ": off by " + std::to_string(worst) + " of " + std::to_string(largest));
}

struct Case {
  int64_t size, window, height, width, channels, filters, batch, before, after;
  bool whole;
  std::string name() const {
    char text[200];
    std::snprintf(text, sizeof text, "kernel %d window %d map %dx%d channels %d filters %d batch %d padding %d %d%s",
                  int(size), int(window), int(height), int(width), int(channels), int(filters), int(batch), int(before),
                  int(after), whole ? ", whole numbers" : "");
    return text;
  }
};

// What a convolution does last: it adds the bias of each filter, and perhaps a map, and perhaps applies a ReLU.
struct Last {
  const Map biases, added;
  const bool rectify;
  Last(const Map& y, bool whole)
      : biases(drawn({y.shape[0]}, whole)), added(drawn(between(0, 1) ? y.shape : std::vector<int64_t>{1}, whole)),
        rectify(between(0, 1)) {}
  fer::Last given() const { return {biases.array(), added.array(), rectify}; }
  // at: in y, which has `of_filter` values for each filter.
  template <typename T>
  T operator()(T sum, int64_t at, int64_t of_filter) const {
    sum += biases.data[at / of_filter];
    if (added.shape.size() == 4) sum += added.data[at];
    return rectify && sum <= 0 ? 0 : sum;
  }
};

struct Way {
  const char* name;
  decltype(&fer::direct::convolve) convolve;
  decltype(&fer::direct::input_gradient) input_gradient;
  decltype(&fer::direct::kernel_gradient) kernel_gradient;
  double error;  // of the largest value: minimal filtering loses up to a digit more
};
const Way DIRECT{"direct", fer::direct::convolve, fer::direct::input_gradient, fer::direct::kernel_gradient, 3e-6};
const Way STRIPS{"strips", fer::strips::convolve, fer::strips::input_gradient, fer::strips::kernel_gradient, 1e-5};
const Way WINOGRAD{"winograd", fer::winograd::convolve, fer::winograd::input_gradient, fer::winograd::kernel_gradient, 1e-5};

void check_convolution(fer::Pool& pool, const Way& way, const Case& c) {
  const std::string name = std::string(way.name) + ", " + c.name();
  const int64_t grown = c.before + c.after - c.size + 1, rows = c.height + grown, columns = c.width + grown;
  const Map x = drawn({c.channels, c.height, c.width, c.batch}, c.whole);
  const Map kernel = drawn({c.size, c.size, c.channels, c.filters}, c.whole);
  const Map y({c.filters, rows / c.window, columns / c.window, c.batch});
  const Last last(y, c.whole);
  const Buffer<uint8_t> places(c.window > 1 ? y.shape : std::vector<int64_t>{1});
  fer::Error wrong = fer::wrong_shapes(x.array(), kernel.array(), y.array(), places.array(), c.before, c.after, c.window,
                                       c.window > 1);
  if (!wrong)
    wrong = way.convolve(pool, x.array(), kernel.array(), last.given(), y.array(), places.array(), c.before, c.after,
                         c.window);
  expect(!wrong, name + ": " + (wrong ? wrong : ""));
  if (wrong) return;

  std::vector<double> whole(c.filters * rows * columns * c.batch);  // before pooling
  const auto place = [&](int64_t f, int64_t h, int64_t w, int64_t b) { return ((f * rows + h) * columns + w) * c.batch + b; };
  // Every pixel of the output and weight of the kernel that meet a pixel of the map, at (row, column).
  const auto each_product = [&](const auto& add) {
    for (int64_t h = 0; h < rows; ++h)
      for (int64_t w = 0; w < columns; ++w)
        for (int64_t i = std::max<int64_t>(0, c.before - h); i < c.size && h + i - c.before < c.height; ++i)
          for (int64_t j = std::max<int64_t>(0, c.before - w); j < c.size && w + j - c.before < c.width; ++j)
            for (int64_t ch = 0; ch < c.channels; ++ch)
              for (int64_t f = 0; f < c.filters; ++f)
                add(((ch * c.height + h + i - c.before) * c.width + w + j - c.before) * c.batch,
                    ((i * c.size + j) * c.channels + ch) * c.filters + f, place(f, h, w, 0));
  };
  each_product([&](int64_t pixel, int64_t weight, int64_t out) {
    for (int64_t b = 0; b < c.batch; ++b) whole[out + b] += double(x.data[pixel + b]) * kernel.data[weight];
  });

  // The pooled values; each place is that of a value which rounding cannot tell from the largest, and with whole
  // numbers, which the direct way adds exactly, of the first.
  std::vector<double> pooled(y.size), apart(whole.size());
  const Map cotangent = drawn(y.shape, c.whole);
  double largest = 1;
  for (double value : whole) largest = std::max(largest, std::fabs(value));
  bool places_right = true;
  int64_t at = 0;
  for (int64_t f = 0; f < c.filters; ++f)
    for (int64_t h = 0; h < rows / c.window; ++h)
      for (int64_t w = 0; w < columns / c.window; ++w)
        for (int64_t b = 0; b < c.batch; ++b, ++at) {
          const auto of = [&](int64_t n) {
            return place(f, h * c.window + n / c.window, w * c.window + n % c.window, b);
          };
          int64_t first = 0;
          for (int64_t n = 1; n < c.window * c.window; ++n)
            if (whole[of(n)] > whole[of(first)]) first = n;
          pooled[at] = whole[of(first)];
          const int64_t chosen = c.window > 1 ? places.data[at] : 0;
          const bool exact = c.whole && &way == &DIRECT;
          const bool right = chosen < c.window * c.window &&
                             (exact ? chosen == first : whole[of(chosen)] >= pooled[at] - 2 * way.error * largest);
          places_right &= right;
          pooled[at] = last(pooled[at], at, y.size / c.filters);
          if (right) apart[of(chosen)] += cotangent.data[at];
        }
  expect(places_right, name + ": places");
  expect_near(y, pooled, way.error, name + ": values");
  if (!places_right) return;

  std::vector<double> of_x(x.size), of_kernel(kernel.size);
  each_product([&](int64_t pixel, int64_t weight, int64_t out) {
    double sum = 0;
    for (int64_t b = 0; b < c.batch; ++b) {
      of_x[pixel + b] += apart[out + b] * kernel.data[weight];
      sum += apart[out + b] * x.data[pixel + b];
    }
    of_kernel[weight] += sum;
  });
  const Map dx(x.shape), dk(kernel.shape);
  wrong = way.input_gradient(pool, cotangent.array(), places.array(), kernel.array(), dx.array(), c.before, c.after, c.window);
  expect(!wrong, name + ": " + (wrong ? wrong : ""));
  expect_near(dx, of_x, way.error, name + ": gradient of the map");
  wrong = way.kernel_gradient(pool, x.array(), cotangent.array(), places.array(), dk.array(), c.before, c.after, c.window);
  expect(!wrong, name + ": " + (wrong ? wrong : ""));
  expect_near(dk, of_kernel, way.error, name + ": gradient of the kernel");
}

Case drawn_case(const Way& way, bool wide) {
  const int64_t sizes[] = {1, 3, 5, 7}, batches[] = {1, 2, 5, 15, 16, 17, 33};
  Case c{};
  c.size = &way == &WINOGRAD ? 3 : &way == &STRIPS ? sizes[between(1, 2)] : sizes[between(0, 3)];
  c.window = between(1, &way == &STRIPS && c.size == 5 ? 2 : 3);  // no strip of three rows for kernels of 5
  c.channels = wide ? between(14, 20) : between(1, 9), c.filters = wide ? between(14, 40) : between(1, 20);
  c.batch = wide ? batches[between(0, 4)] : batches[between(0, 6)];
  c.before = between(0, c.size - 1), c.after = between(0, c.size - 1);
  const int64_t least = std::max<int64_t>(1, c.window + c.size - 1 - c.before - c.after);  // at least one window
  c.height = least + between(0, wide ? 4 : 13), c.width = least + between(0, wide ? 4 : 13);
  c.whole = between(0, 3) == 0;
  return c;
}

// Windows drawn so that each holds a pixel of the map, and perhaps leaves out its last rows and columns.
struct Windowed {
  int64_t height, width, map_height, map_width, batch;
  fer::Windows windows;
  int64_t rows, columns;
  std::string name() const {
    char text[200];
    std::snprintf(text, sizeof text, "window %dx%d, %d and %d before, %d and %d apart, map %dx%d, output %dx%d batch %d",
                  int(height), int(width), int(windows.top), int(windows.left), int(windows.down), int(windows.across),
                  int(map_height), int(map_width), int(rows), int(columns), int(batch));
    return text;
  }
  // Every place of each window that holds a pixel: (row, column) of the output, place in the window, pixel.
  template <typename Each>
  void each_pixel(const Each& each) const {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t q = 0; q < columns; ++q)
        for (int64_t i = 0; i < height; ++i)
          for (int64_t j = 0; j < width; ++j) {
            const int64_t h = r * windows.down + i - windows.top, w = q * windows.across + j - windows.left;
            if (h >= 0 && h < map_height && w >= 0 && w < map_width) each(r, q, i, j, h, w);
          }
  }
};

Windowed drawn_windows(int64_t height, int64_t width) {
  const int64_t batches[] = {1, 5, 15, 16, 17, 33};
  Windowed w{height, width, between(1, 14), between(1, 22), batches[between(0, 5)], {}, 0, 0};
  w.windows = {between(0, height - 1), between(0, width - 1), between(1, 4), between(1, 4)};
  w.rows = between(1, (w.map_height + w.windows.top - 1) / w.windows.down + 1);
  w.columns = (w.map_width + w.windows.left - 1) / w.windows.across + 1;
  return w;
}

// Convolution with strides, depthwise or of all channels, and its gradients.
void check_strides(fer::Pool& pool, const Windowed& w, int64_t channels, int64_t filters, bool depthwise) {
  const std::string name = std::string(depthwise ? "depthwise, " : "strided, ") + w.name() + ", channels " +
                           std::to_string(channels) + " filters " + std::to_string(filters);
  if (depthwise) filters = channels;
  const Map x = drawn({channels, w.map_height, w.map_width, w.batch}, false);
  const Map kernel = depthwise ? drawn({w.height, w.width, channels}, false)
                               : drawn({w.height, w.width, channels, filters}, false);
  const Map y({filters, w.rows, w.columns, w.batch}), cotangent = drawn(y.shape, false), dx(x.shape), dk(kernel.shape);
  const Last last(y, false);
  fer::Error wrong = fer::wrong_convolution(x.array(), kernel.array(), y.array(), w.windows, depthwise);
  expect(!wrong, name + ": " + (wrong ? wrong : ""));
  if (wrong) return;
  const auto convolve = depthwise ? fer::depthwise::convolve : fer::strided::convolve;
  const auto input_gradient = depthwise ? fer::depthwise::input_gradient : fer::strided::input_gradient;
  const auto kernel_gradient = depthwise ? fer::depthwise::kernel_gradient : fer::strided::kernel_gradient;
  wrong = convolve(pool, x.array(), kernel.array(), last.given(), y.array(), w.windows);
  if (!wrong) wrong = input_gradient(pool, cotangent.array(), kernel.array(), dx.array(), w.windows);
  if (!wrong) wrong = kernel_gradient(pool, x.array(), cotangent.array(), dk.array(), w.windows);
  expect(!wrong, name + ": " + (wrong ? wrong : ""));

  std::vector<double> values(y.size), of_x(x.size), of_kernel(dk.size);
  w.each_pixel([&](int64_t r, int64_t q, int64_t i, int64_t j, int64_t h, int64_t v) {
    for (int64_t f = 0; f < filters; ++f)
      for (int64_t c = depthwise ? f : 0; c < (depthwise ? f + 1 : channels); ++c) {
        const int64_t k = depthwise ? (i * w.width + j) * channels + c : ((i * w.width + j) * channels + c) * filters + f;
        const int64_t from = &x.at(c, h, v, 0) - x.data.get(), to = &y.at(f, r, q, 0) - y.data.get();
        for (int64_t b = 0; b < w.batch; ++b) {
          values[to + b] += double(x.data[from + b]) * kernel.data[k];
          of_x[from + b] += double(cotangent.data[to + b]) * kernel.data[k];
          of_kernel[k] += double(cotangent.data[to + b]) * x.data[from + b];
        }
      }
  });
  for (int64_t i = 0; i < y.size; ++i) values[i] = last(values[i], i, y.size / filters);
  expect_near(y, values, DIRECT.error, name + ": values");
  expect_near(dx, of_x, DIRECT.error, name + ": gradient of the map");
  expect_near(dk, of_kernel, DIRECT.error, name + ": gradient of the kernel");
}

// The first of equal maxima takes the gradient.
void check_max_pool(fer::Pool& pool, const Windowed& w, int64_t channels, bool whole) {
  const std::string name = "max pool, " + w.name() + (whole ? ", whole numbers" : "");
  const Map x = drawn({channels, w.map_height, w.map_width, w.batch}, whole);
  const Map y({channels, w.rows, w.columns, w.batch}), cotangent = drawn(y.shape, false), dx(x.shape);
  const Buffer<uint8_t> places(y.shape), none({1});
  fer::Error wrong = fer::wrong_windows(x.array(), y.array(), w.height, w.width, w.windows);
  if (!wrong) wrong = fer::pooling::max_pool(pool, x.array(), y.array(), none.array(), w.height, w.width, w.windows);
  if (!wrong) wrong = fer::pooling::max_pool(pool, x.array(), y.array(), places.array(), w.height, w.width, w.windows);
  if (!wrong)
    wrong = fer::pooling::input_gradient(pool, cotangent.array(), places.array(), dx.array(), w.height, w.width, w.windows);
  expect(!wrong, name + ": " + (wrong ? wrong : ""));
  if (wrong) return;
  std::vector<double> values(y.size, -INFINITY), of_x(x.size);
  std::vector<int64_t> number(y.size), from(y.size);
  w.each_pixel([&](int64_t r, int64_t q, int64_t i, int64_t j, int64_t h, int64_t v) {
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t b = 0; b < w.batch; ++b) {
        const int64_t to = &y.at(c, r, q, b) - y.data.get(), pixel = &x.at(c, h, v, b) - x.data.get();
        if (x.data[pixel] > values[to]) values[to] = x.data[pixel], number[to] = i * w.width + j, from[to] = pixel;
      }
  });
  bool places_right = true;
  for (int64_t i = 0; i < y.size; ++i) places_right &= places.data[i] == number[i], of_x[from[i]] += cotangent.data[i];
  expect(places_right, name + ": places");
  expect_near(y, values, 0, name + ": values");
  expect_near(dx, of_x, DIRECT.error, name + ": gradient of the map");
}

// A convolution and its pooling in one call, bit for bit what the two calls give. Each of them is compared above.
void check_overlapping(fer::Pool& pool, int64_t size, int64_t channels, int64_t filters, bool whole) {
  Windowed w = drawn_windows(between(1, 6), between(1, 6));  // on the map of the convolution
  const int64_t before = between(0, size - 1), after = between(0, size - 1), grown = size - 1 - before - after;
  if (w.map_height + grown < 1 || w.map_width + grown < 1) return;
  const fer::Pooling pooling{w.height, w.width, w.windows};
  const std::string name = "overlapping, kernel " + std::to_string(size) + ", " + w.name() + (whole ? ", whole numbers" : "");
  const Map x = drawn({channels, w.map_height + grown, w.map_width + grown, w.batch}, whole);
  const Map kernel = drawn({size, size, channels, filters}, whole), dk(kernel.shape), dk_apart(kernel.shape);
  const Map y({filters, w.rows, w.columns, w.batch}), y_apart(y.shape), alone(y.shape), cotangent = drawn(y.shape, whole);
  const Map map({filters, w.map_height, w.map_width, w.batch}), of_map(map.shape);
  const Buffer<uint8_t> places(y.shape), places_apart(y.shape), none({1});
  fer::Error wrong = fer::wrong_pooled(x.array(), kernel.array(), y.array(), places.array(), before, after, pooling, true);
  namespace overlapping = fer::overlapping;
  const Last last(y, whole);
  const auto convolve = [&](const Map& to, const Buffer<uint8_t>& chosen) {
    return overlapping::convolve(pool, x.array(), kernel.array(), last.given(), to.array(), chosen.array(), before, after,
                                 pooling);
  };
  if (!wrong) wrong = convolve(alone, none);
  if (!wrong) wrong = convolve(y, places);
  if (!wrong)
    wrong = overlapping::kernel_gradient(pool, x.array(), cotangent.array(), places.array(), dk.array(), before, after, pooling);
  expect(!wrong, name + ": " + (wrong ? wrong : ""));
  if (wrong) return;
  const Map zeros({filters}), no_map({1});
  std::fill_n(zeros.data.get(), filters, 0.0f);
  const fer::Last nothing{zeros.array(), no_map.array(), false};
  fer::direct::convolve(pool, x.array(), kernel.array(), nothing, map.array(), none.array(), before, after, 1);
  fer::pooling::max_pool(pool, map.array(), y_apart.array(), places_apart.array(), w.height, w.width, w.windows);
  fer::pooling::input_gradient(pool, cotangent.array(), places_apart.array(), of_map.array(), w.height, w.width, w.windows);
  fer::direct::kernel_gradient(pool, x.array(), of_map.array(), none.array(), dk_apart.array(), before, after, 1);
  for (int64_t i = 0; i < y.size; ++i) y_apart.data[i] = last(y_apart.data[i], i, y.size / filters);
  const auto same = [](const Map& a, const Map& b) { return !std::memcmp(a.data.get(), b.data.get(), a.size * sizeof(float)); };
  expect(same(y, y_apart) && same(alone, y_apart), name + ": values");
  expect(!std::memcmp(places.data.get(), places_apart.data.get(), places.size), name + ": places");
  expect(same(dk, dk_apart), name + ": gradient of the kernel");
}

// Batch norm with pooling: statistics, values, and the two halves of the gradient.
void check_batch_norm(fer::Pool& pool, int64_t window, int64_t height, int64_t width, int64_t channels, int64_t batch,
                      bool rectify) {
  const std::string name = std::string("batch norm") + (rectify ? " with ReLU" : "") + ", window " +
                           std::to_string(window) + " map " + std::to_string(height) + "x" + std::to_string(width) + " channels " + std::to_string(channels) + " batch " +
                           std::to_string(batch);
  constexpr double ERROR = 3e-6;
  const Map x = drawn({channels, height, width, batch}, false), shift = drawn({channels}, false);
  const Map factor = drawn({channels}, false), offset = drawn({channels}, false), mean = drawn({channels}, false);
  const Map constant = drawn({channels}, false), slope = drawn({channels}, false), weight({batch});
  for (int64_t b = 0; b < batch; ++b) weight.data[b] = b % 3 == 1 ? 0 : 1;
  const Map sums({2, channels}), y({channels, height / window, width / window, batch});
  const Buffer<uint8_t> places(window > 1 ? y.shape : std::vector<int64_t>{1});
  const Map cotangent = drawn(y.shape, false), gradient_sums({2, channels}), dx(x.shape);
  fer::Error wrong = fer::batch_norm::moments(pool, x.array(), shift.array(), weight.array(), sums.array());
  if (!wrong) wrong = fer::batch_norm::normalise(pool, x.array(), factor.array(), offset.array(), y.array(), places.array(), window,
                                                   rectify);
  if (!wrong)
    wrong = fer::batch_norm::gradient_sums(pool, x.array(), mean.array(), cotangent.array(), places.array(), factor.array(),
                                           offset.array(), gradient_sums.array(), window, rectify);
  if (!wrong)
    wrong = fer::batch_norm::input_gradient(pool, x.array(), mean.array(), weight.array(), cotangent.array(), places.array(),
                                            factor.array(), offset.array(), constant.array(), slope.array(), dx.array(),
                                            window, rectify);
  expect(!wrong, name + ": " + (wrong ? wrong : ""));

  std::vector<double> moments(2 * channels), values(y.size), of_g(2 * channels), of_x(x.size);
  bool places_right = true;
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t h = 0; h < height; ++h)
      for (int64_t w = 0; w < width; ++w)
        for (int64_t b = 0; b < batch; ++b) {
          const double away = double(x.at(c, h, w, b)) - shift.data[c], from_mean = double(x.at(c, h, w, b)) - mean.data[c];
          moments[c] += weight.data[b] * away, moments[channels + c] += weight.data[b] * away * away;
          of_x[&x.at(c, h, w, b) - x.data.get()] = weight.data[b] * (constant.data[c] + slope.data[c] * from_mean);
        }
    for (int64_t h = 0; h < height / window; ++h)
      for (int64_t w = 0; w < width / window; ++w)
        for (int64_t b = 0; b < batch; ++b) {
          const int64_t at = &y.at(c, h, w, b) - y.data.get(), chosen = window > 1 ? places.data[at] : 0;
          const auto of = [&](int64_t n) -> float& { return x.at(c, h * window + n / window, w * window + n % window, b); };
          int64_t best = 0;
          for (int64_t n = 1; n < window * window; ++n)
            if (double(of(n)) * factor.data[c] > double(of(best)) * factor.data[c]) best = n;
          values[at] = double(of(best)) * factor.data[c] + offset.data[c];
          places_right &= chosen < window * window &&
                          double(of(chosen)) * factor.data[c] + offset.data[c] >= values[at] - 1e-5;
          if (rectify && values[at] <= 0) {
            values[at] = 0;
            continue;
          }
          if (!places_right) continue;
          of_g[c] += cotangent.data[at], of_g[channels + c] += cotangent.data[at] * (double(of(chosen)) - mean.data[c]);
          of_x[&of(chosen) - x.data.get()] += double(factor.data[c]) * cotangent.data[at];
        }
  }
  expect(places_right, name + ": places");
  expect_near(sums, moments, ERROR, name + ": moments");
  expect_near(y, values, ERROR, name + ": values");
  if (!places_right) return;
  expect_near(gradient_sums, of_g, ERROR, name + ": sums of the gradient");
  expect_near(dx, of_x, ERROR, name + ": gradient of the map");
}

void check_refusals() {
  const Map x({2, 6, 6, 4}), kernel({3, 3, 2, 5}), y({5, 10, 10, 4}), other({5, 9, 10, 4});
  const Buffer<uint8_t> none({1});
  const auto wrong = [&](const Map& out, int64_t before, int64_t after, int64_t window, bool needed) {
    return fer::wrong_shapes(x.array(), kernel.array(), out.array(), none.array(), before, after, window, needed);
  };
  expect(!wrong(Map({5, 8, 8, 4}), 2, 2, 1, false), "padding of 2 suits a kernel of 3");
  expect(wrong(y, 3, 3, 1, false), "padding of 3 for a kernel of 3 is refused");
  expect(wrong(y, -1, 7, 1, false), "negative padding is refused");
  expect(wrong(other, 2, 2, 1, false), "a map of another height is refused");
  expect(wrong(Map({5, 1, 1, 4}), 1, 1, 4, false), "a window of 4 is refused");
  expect(wrong(Map({5, 3, 3, 4}), 1, 1, 2, true), "a gradient without places is refused");
  expect(wrong(Map({4, 6, 6, 4}), 1, 1, 1, false), "another number of filters is refused");
  const auto strides = [&](const Map& out, fer::Windows windows) {
    return fer::wrong_convolution(x.array(), kernel.array(), out.array(), windows, false);
  };
  expect(!strides(Map({5, 3, 3, 4}), {1, 1, 2, 2}), "strides of 2 on 6 pixels give 3");
  expect(strides(Map({5, 5, 3, 4}), {1, 1, 2, 2}), "a window below the map is refused");
  expect(strides(Map({5, 3, 3, 4}), {3, 1, 2, 2}), "a window above the map is refused");
  expect(strides(Map({5, 3, 3, 4}), {1, 1, 0, 2}), "windows in one place are refused");
  expect(strides(Map({4, 3, 3, 4}), {1, 1, 2, 2}), "another number of filters is refused with strides too");
  expect(fer::wrong_convolution(x.array(), kernel.array(), Map({2, 3, 3, 4}).array(), {1, 1, 2, 2}, true),
         "a depthwise kernel with filters is refused");
}

void check_memory(fer::Pool& pool) {
  bool thrown = false;
  fer::Scratch scratch;
  try {
    scratch.take(size_t(1) << 46);
  } catch (const fer::OutOfMemory&) {
    thrown = true;
  }
  expect(thrown, "Scratch throws where memory is lacking");
  scratch.take(100)[99] = 1;  // and is usable afterwards
  for (int64_t thrower = 0; thrower < 40; thrower += 13) {
    thrown = false;
    try {
      fer::parallel_for(pool, 40, [&](int64_t i) {
        if (i == thrower) throw fer::OutOfMemory{};
      });
    } catch (const fer::OutOfMemory&) {
      thrown = true;
    }
    expect(thrown, "parallel_for passes it on");
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 150;
  Threads pool(2);
  for (const Way* way : {&DIRECT, &STRIPS, &WINOGRAD})
    for (int i = 0; i < rounds; ++i) check_convolution(pool, *way, drawn_case(*way, i % 10 == 9));
  // Layers of the papers, narrower where a loop has the same form: all strips, tiles, blocks and cuts.
  for (const Case& c : {Case{5, 2, 14, 14, 9, 10, 17, 2, 2, false}, Case{3, 3, 12, 12, 17, 36, 17, 1, 1, false},
                        Case{5, 2, 22, 22, 6, 7, 18, 0, 0, false}, Case{3, 2, 23, 23, 9, 20, 17, 0, 0, false},
                        Case{3, 1, 6, 6, 70, 68, 5, 1, 1, false}})
    check_convolution(pool, c.size == 5 ? STRIPS : WINOGRAD, c);
  check_convolution(pool, STRIPS, {5, 1, 3, 4, 210, 203, 1, 2, 2, false});  // more sums than a thread may hold
  check_convolution(pool, STRIPS, {3, 2, 8, 8, 2, 3, 150, 1, 1, false});    // more slices than parts kept apart
  check_convolution(pool, WINOGRAD, {3, 1, 20, 20, 2, 160, 40, 1, 1, false});  // more cotangents than are held at a time
  for (int i = 0; i < rounds; ++i) {
    const int64_t window = between(1, 3);
    check_batch_norm(pool, window, window + between(0, 9), window + between(0, 9), between(1, 5), between(1, 40),
                     i % 2);
  }
  for (int i = 0; i < rounds; ++i) {
    const int64_t size = 2 * between(1, 3) + 1;
    check_strides(pool, drawn_windows(size, size), between(1, 5), 0, true);
    check_strides(pool, drawn_windows(between(1, 5), between(1, 5)), between(1, 11), between(1, 11), false);
    check_max_pool(pool, drawn_windows(between(1, 6), between(1, 6)), between(1, 3), i % 2);
    check_overlapping(pool, size, between(1, 4), between(1, 11), i % 2);
    check_overlapping(pool, 1, between(1, 9), between(1, 5), i % 2);
  }
  // More rows than are padded at a time; more pixels, sums and slices than a part of the batch has.
  check_strides(pool, {3, 3, 41, 37, 17, {1, 1, 1, 1}, 41, 37}, 2, 0, true);
  check_strides(pool, {3, 3, 40, 31, 70, {1, 1, 2, 2}, 20, 16}, 17, 21, false);
  check_strides(pool, {3, 3, 5, 5, 17, {0, 0, 2, 2}, 2, 2}, 90, 90, false);
  check_refusals();
  check_memory(pool);
  std::printf("%d comparisons, %d faults, %d lanes\n", compared, faults, fer::LANES);
  return faults ? 1 : 0;
}
