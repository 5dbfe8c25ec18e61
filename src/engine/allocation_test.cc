// A step allocates nothing once its request has run for a while. This file replaces the program's
// operator new with one that counts, on the thread that asks for it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <new>

#include "engine/engine_core.h"
#include "engine/fake_executor.h"

namespace {
thread_local bool counting = false;
thread_local int allocations = 0;

void* counted(size_t bytes) {
  if (counting) ++allocations;
  return std::malloc(bytes == 0 ? 1 : bytes);
}
void* counted(size_t bytes, std::align_val_t alignment) {
  if (counting) ++allocations;
  const auto unit = static_cast<size_t>(alignment);
  return std::aligned_alloc(unit, (bytes + unit - 1) / unit * unit);
}
}  // namespace

void* operator new(size_t bytes) { return counted(bytes); }
void* operator new[](size_t bytes) { return counted(bytes); }
void* operator new(size_t bytes, std::align_val_t alignment) { return counted(bytes, alignment); }
void* operator new[](size_t bytes, std::align_val_t alignment) { return counted(bytes, alignment); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

namespace yunqi {
namespace {

ExecutorLimits test_limits() {
  ExecutorLimits limits;
  limits.max_rows = 64;
  limits.max_logit_rows = 32;
  limits.vocab = 300;
  limits.max_context = 2048;
  limits.pages = 1024;
  limits.page_tokens = 8;
  return limits;
}

// Masks a little, never stops.
class EvenGuard final : public TokenGuard {
 public:
  std::span<const uint64_t> mask() override { return bits_; }
  GuardVerdict accept(int32_t) override { return {}; }

 private:
  const std::vector<uint64_t> bits_ = std::vector<uint64_t>(5, 0x5555555555555555u);
};

EngineRequest request_of(int32_t salt) {
  EngineRequest request;
  for (int32_t i = 0; i < 20 + salt; ++i) request.prompt.push_back((salt * 13 + i * 7) % 300);
  request.max_tokens = 1500;
  request.sampling.seed = static_cast<uint64_t>(salt);
  request.sampling.temperature = salt % 3 == 0 ? 0.0f : 0.9f;
  request.sampling.top_k = salt % 2 == 0 ? 20 : 0;
  request.sampling.top_p = salt % 4 < 2 ? 0.9f : 1.0f;
  request.sampling.repetition_penalty = salt % 5 == 0 ? 1.1f : 1.0f;
  request.sampling.frequency_penalty = salt % 5 == 1 ? 0.2f : 0.0f;
  if (salt % 4 == 3) request.guard = std::make_unique<EvenGuard>();
  request.flow.id = static_cast<uint64_t>(salt % 3);
  return request;
}

TEST(AllocationTest, StepsAllocateNothingAfterWarmUp) {
  EngineCore core(std::make_unique<FakeExecutor>(test_limits()), {}, system_clock(), nullptr);
  std::vector<std::shared_ptr<TokenStream>> streams;
  for (int32_t salt = 0; salt < 12; ++salt) {
    streams.push_back(core.submit(request_of(salt)).value());
  }
  const auto read = [&] {
    for (const auto& stream : streams) {
      while (stream->try_next()) {
      }
    }
  };
  for (int i = 0; i < 100; ++i) {
    core.step();
    read();
  }
  for (int i = 0; i < 600; ++i) {
    allocations = 0;
    counting = true;
    const bool ran = core.step();
    counting = false;
    ASSERT_TRUE(ran);
    ASSERT_EQ(allocations, 0) << "in step " << i;
    read();
  }
}

TEST(AllocationTest, TheCounterCounts) {
  counting = true;
  allocations = 0;
  const auto one = std::make_unique<int>(1);
  counting = false;
  EXPECT_EQ(allocations, *one);
}

}  // namespace
}  // namespace yunqi
