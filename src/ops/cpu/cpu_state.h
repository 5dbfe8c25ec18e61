// What a CPU device and its operations share: the kernel table and the compute pool.
#pragma once

#include <cstdint>
#include <mutex>

#include "base/thread_pool.h"
#include "ops/cpu/kernels.h"

namespace yunqi {

class CpuState {
 public:
  CpuState(const Kernels& table, int threads) : kernels(table), pool_(threads) {}

  const Kernels& kernels;
  int threads() const { return pool_.threads(); }

  // The pool serves one caller at a time; loading one model may meet the steps of another.
  template <typename Body>
  void parallel_for(int64_t count, int64_t grain, Body&& body) {
    const std::lock_guard<std::mutex> lock(mutex_);
    pool_.parallel_for(count, grain, body);
  }
  template <typename Use>
  auto with_pool(Use&& use) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return use(pool_);
  }

 private:
  std::mutex mutex_;
  ThreadPool pool_;
};

}  // namespace yunqi
