// XLA's threads, and per-thread memory that is kept between calls.
//
// The kernels include this header, so it includes little: the standard library's threads take a second to compile, and are
// in threads.cc.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace fer {

// XLA's threads.
class Pool {
 public:
  virtual ~Pool() = default;
  virtual int64_t num_threads() const = 0;
  // Calls task(data) once, on any thread, now or later.
  virtual void schedule(void (*task)(void*), void* data) = 0;
};

// There is too little memory: thrown by Scratch, passed on by parallel_for, caught by calls.cc.
struct OutOfMemory {};

namespace detail {
void parallel_for(Pool& pool, int64_t count, void (*task)(const void*, int64_t), const void* closure);
}

// task(0) ... task(count - 1) on XLA's threads and on this one. Never waits for a task that no thread has begun,
// because all of XLA's threads may be in calls like this one. Throws OutOfMemory, after the last task, if a task did.
template <typename Task>
void parallel_for(Pool& pool, int64_t count, const Task& task) {
  detail::parallel_for(
      pool, count, [](const void* closure, int64_t i) { (*static_cast<const Task*>(closure))(i); }, &task);
}

// Memory of the calling thread, kept between calls: fresh pages would cost more than some of these convolutions.
class Scratch {
 public:
  // At least so many floats, with any content. Throws OutOfMemory.
  float* take(size_t floats) {
    if (floats > size_) grow(floats);
    return memory_;
  }
  ~Scratch();

 private:
  void grow(size_t floats);
  float* memory_ = nullptr;
  size_t size_ = 0;
};
inline thread_local Scratch map_scratch, weight_scratch;

}  // namespace fer
