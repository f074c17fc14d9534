// XLA's threads, and per-thread memory that is kept between calls.

#include "threads.h"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace fer {

namespace {

// One parallel_for. Helpers may begin after it has ended, so each holds a share of this.
struct Work {
  std::atomic<int64_t> next{0}, done{0};
  std::atomic<bool> out_of_memory{false};
  std::mutex mutex;
  std::condition_variable finished;
  int64_t count;
  void (*task)(const void*, int64_t);
  const void* closure;

  void help() {
    int64_t mine = 0;
    for (int64_t i; (i = next.fetch_add(1)) < count; ++mine) try {
        if (!out_of_memory.load()) task(closure, i);
      } catch (const OutOfMemory&) {
        out_of_memory.store(true);
      }
    if (mine && done.fetch_add(mine) + mine == count) {
      std::lock_guard<std::mutex> lock(mutex);
      finished.notify_all();
    }
  }
};

}  // namespace

void detail::parallel_for(Pool& pool, int64_t count, void (*task)(const void*, int64_t), const void* closure) {
  auto work = std::make_shared<Work>();
  work->count = count, work->task = task, work->closure = closure;
  const int64_t helpers = std::min<int64_t>(pool.num_threads() - 1, count - 1);
  for (int64_t i = 0; i < helpers; ++i)
    pool.schedule(
        [](void* data) {
          std::unique_ptr<std::shared_ptr<Work>> share(static_cast<std::shared_ptr<Work>*>(data));
          (*share)->help();
        },
        new std::shared_ptr<Work>(work));
  work->help();
  for (int spin = 0; spin < 2000 && work->done.load() != count; ++spin) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  {
    std::unique_lock<std::mutex> lock(work->mutex);
    work->finished.wait(lock, [&] { return work->done.load() == count; });
  }
  if (work->out_of_memory.load()) throw OutOfMemory{};
}

void Scratch::grow(size_t floats) {
  constexpr size_t PAGE = 2 << 20;
  std::free(memory_);
  memory_ = nullptr, size_ = 0;
  if (floats > (SIZE_MAX - PAGE) / sizeof(float)) throw OutOfMemory{};
  const size_t bytes = (floats * sizeof(float) + PAGE - 1) / PAGE * PAGE;
  memory_ = static_cast<float*>(std::aligned_alloc(PAGE, bytes));
  if (!memory_) throw OutOfMemory{};
  size_ = floats;
#if defined(__linux__)
  madvise(memory_, bytes, MADV_HUGEPAGE);  // fewer TLB misses; a hint, no more
#endif
}

Scratch::~Scratch() { std::free(memory_); }

}  // namespace fer
