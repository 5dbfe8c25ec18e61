// The compute pool: fork-join over output ranges. Sized from cores, affinity and cgroup quota by
// its owner; workers spin briefly between regions, then sleep. One caller at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

#include "base/cores.h"

namespace yunqi {

class ThreadPool {
 public:
  // `threads` counts the caller; 0 means available_cores().
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  // Calls body(begin, end, worker) over disjoint chunks of [0, count), each at most `grain` long
  // but the remainder; chunks are claimed dynamically, so a stolen core costs its share only.
  // Returns when all are done. `worker` is in [0, threads()). Nested calls are a bug (YQ_CHECK).
  // The body is borrowed for the call; no allocation happens here.
  template <typename Body>
  void parallel_for(int64_t count, int64_t grain, Body&& body) {
    run(count, grain, &body, [](void* context, int64_t begin, int64_t end, int worker) {
      (*static_cast<std::remove_reference_t<Body>*>(context))(begin, end, worker);
    });
  }

 private:
  using Function = void (*)(void* context, int64_t begin, int64_t end, int worker);
  void run(int64_t count, int64_t grain, void* context, Function function);

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace yunqi
