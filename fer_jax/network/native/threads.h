// XLA's threads, and per-thread memory that is kept between calls.

#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace fer {

// XLA's threads. Only calls.cc includes XLA's header, which takes seconds to compile.
class Pool {
 public:
  virtual ~Pool() = default;
  virtual int64_t num_threads() const = 0;
  virtual void schedule(std::function<void()> task) = 0;
};

// task(0) ... task(count - 1) on XLA's threads and on this one. Never waits for a task that no thread has begun,
// because all of XLA's threads may be in calls like this one.
template <typename Task>
void parallel_for(Pool& pool, int64_t count, const Task& task) {
  struct Shared {
    std::atomic<int64_t> next{0}, done{0};
    std::mutex mutex;
    std::condition_variable finished;
  };
  auto shared = std::make_shared<Shared>();
  auto work = [shared, count, &task] {
    int64_t mine = 0;
    for (int64_t i; (i = shared->next.fetch_add(1)) < count; ++mine) task(i);
    if (mine && shared->done.fetch_add(mine) + mine == count) {
      std::lock_guard<std::mutex> lock(shared->mutex);
      shared->finished.notify_all();
    }
  };
  const int64_t helpers = std::min<int64_t>(pool.num_threads() - 1, count - 1);
  for (int64_t i = 0; i < helpers; ++i) pool.schedule([work] { work(); });
  work();
  for (int spin = 0; spin < 2000 && shared->done.load() != count; ++spin) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  std::unique_lock<std::mutex> lock(shared->mutex);
  shared->finished.wait(lock, [&] { return shared->done.load() == count; });
}

// Memory of the calling thread, kept between calls: fresh pages would cost more than some of these convolutions.
class Scratch {
 public:
  float* take(size_t floats) {
    if (floats > size_) {
      std::free(memory_);
      size_ = floats;
      const size_t bytes = (floats * sizeof(float) + PAGE - 1) / PAGE * PAGE;
      memory_ = static_cast<float*>(std::aligned_alloc(PAGE, bytes));
#if defined(__linux__)
      madvise(memory_, bytes, MADV_HUGEPAGE);  // fewer TLB misses; a hint, no more
#endif
    }
    return memory_;
  }
  ~Scratch() { std::free(memory_); }

 private:
  static constexpr size_t PAGE = 2 << 20;
  float* memory_ = nullptr;
  size_t size_ = 0;
};
inline thread_local Scratch map_scratch, weight_scratch;

}  // namespace fer
