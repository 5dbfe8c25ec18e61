// Tests of thread_pool.h: every index exactly once whatever the sizes, hot and cold pools, and
// misuse. Run under ThreadSanitizer too.
#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace yunqi {
namespace {

TEST(ThreadPool, CountsTheCaller) {
  EXPECT_EQ(ThreadPool(1).threads(), 1);
  EXPECT_EQ(ThreadPool(3).threads(), 3);
  EXPECT_EQ(ThreadPool().threads(), available_cores());
  EXPECT_EQ(ThreadPool(-5).threads(), 1);
}

TEST(ThreadPool, VisitsEveryIndexExactlyOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    for (const int64_t count : {0, 1, 2, 7, 64, 1000}) {
      for (const int64_t grain : {1, 2, 3, 64, 2000}) {
        std::vector<int> visits(static_cast<size_t>(count));
        std::atomic<bool> chunks_fit{true};
        pool.parallel_for(count, grain, [&](int64_t begin, int64_t end, int worker) {
          if (begin >= end || end - begin > grain || worker < 0 || worker >= threads) {
            chunks_fit.store(false);
          }
          for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
        });
        ASSERT_TRUE(chunks_fit.load());
        ASSERT_EQ(visits, std::vector<int>(static_cast<size_t>(count), 1))
            << threads << " threads, count " << count << ", grain " << grain;
      }
    }
  }
}

TEST(ThreadPool, AGrainBelowOneMeansOne) {
  ThreadPool pool(2);
  std::atomic<int64_t> sum{0};
  pool.parallel_for(10, 0, [&](int64_t begin, int64_t end, int) {
    EXPECT_EQ(end, begin + 1);
    sum += begin;
  });
  EXPECT_EQ(sum.load(), 45);
}

TEST(ThreadPool, SmallWorkStaysOnTheCaller) {
  ThreadPool pool(4);
  const auto caller = std::this_thread::get_id();
  int calls = 0;
  pool.parallel_for(8, 8, [&](int64_t begin, int64_t end, int worker) {
    ++calls;
    EXPECT_EQ(begin, 0);
    EXPECT_EQ(end, 8);
    EXPECT_EQ(worker, 0);
    EXPECT_EQ(std::this_thread::get_id(), caller);
  });
  EXPECT_EQ(calls, 1);
}

// One chunk can only end when another worker has begun the next: that needs real concurrency.
TEST(ThreadPool, WorkersRunAtTheSameTime) {
  ThreadPool pool(2);
  std::atomic<int> inside{0};
  std::atomic<int> workers_seen{0};
  pool.parallel_for(2, 1, [&](int64_t, int64_t, int worker) {
    workers_seen.fetch_or(1 << worker);
    inside.fetch_add(1);
    while (inside.load() < 2) std::this_thread::yield();
  });
  EXPECT_EQ(workers_seen.load(), 3);
}

// The caller runs out of work long before the other worker ends its chunk, and must wait for it.
TEST(ThreadPool, ReturnsOnlyWhenAllIsDone) {
  ThreadPool pool(2);
  for (int round = 0; round < 5; ++round) {
    std::atomic<int> inside{0};
    std::atomic<bool> slow_one_done{false};
    pool.parallel_for(2, 1, [&](int64_t, int64_t, int worker) {
      inside.fetch_add(1);
      while (inside.load() < 2) std::this_thread::yield();
      if (worker == 0) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      slow_one_done.store(true);
    });
    EXPECT_TRUE(slow_one_done.load());
  }
}

// While one worker is stuck in its first chunk, the others must take all the rest.
TEST(ThreadPool, ASlowWorkerKeepsOnlyItsOwnChunk) {
  ThreadPool pool(2);
  constexpr int kChunks = 100;
  std::atomic<int> finished{0};
  std::vector<int> owner(kChunks, -1);
  pool.parallel_for(kChunks, 1, [&](int64_t begin, int64_t, int worker) {
    owner[static_cast<size_t>(begin)] = worker;
    if (begin == 0) {
      while (finished.load() < kChunks - 1) std::this_thread::yield();
    } else {
      finished.fetch_add(1);
    }
  });
  for (int i = 1; i < kChunks; ++i) EXPECT_NE(owner[static_cast<size_t>(i)], owner[0]);
}

TEST(ThreadPool, AHundredThousandTinyRegions) {
  for (const int threads : {2, 4}) {
    ThreadPool pool(threads);
    std::vector<int64_t> counts(4);
    constexpr int kRegions = 50'000;
    for (int region = 0; region < kRegions; ++region) {
      pool.parallel_for(4, 1,
                        [&](int64_t begin, int64_t, int) { ++counts[static_cast<size_t>(begin)]; });
    }
    EXPECT_EQ(counts, std::vector<int64_t>(4, kRegions));
  }
}

// Idle long enough for the workers to fall asleep, so that each region has to wake them.
TEST(ThreadPool, SleepingWorkersWakeUp) {
  ThreadPool pool(2);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::atomic<int> inside{0};
    pool.parallel_for(2, 1, [&](int64_t, int64_t, int) {
      inside.fetch_add(1);
      while (inside.load() < 2) std::this_thread::yield();
    });
    EXPECT_EQ(inside.load(), 2);
  }
}

// Each index reads what its neighbours wrote one region before, on whatever worker.
TEST(ThreadPool, WritesOfARegionAreSeenByTheNext) {
  ThreadPool pool(4);
  constexpr size_t kSize = 256;
  std::vector<int64_t> now(kSize, 1), next(kSize);
  for (int round = 0; round < 40; ++round) {
    pool.parallel_for(kSize, 8, [&](int64_t begin, int64_t end, int) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        next[i] = now[(i + 1) % kSize] + now[(i + kSize - 1) % kSize];
      }
    });
    std::swap(now, next);
    ASSERT_EQ(now, std::vector<int64_t>(kSize, int64_t{2} << round));
  }
}

TEST(ThreadPool, ComesAndGoes) {
  for (int i = 0; i < 200; ++i) {
    ThreadPool pool(3);
    std::atomic<int> calls{0};
    if (i % 2 == 0) pool.parallel_for(5, 1, [&](int64_t, int64_t, int) { ++calls; });
    EXPECT_EQ(calls.load(), i % 2 == 0 ? 5 : 0);
  }
}

TEST(ThreadPoolDeathTest, NestedCallsAreABug) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto nest = [] {
    ThreadPool pool(2);
    pool.parallel_for(4, 1, [&](int64_t, int64_t, int) {
      pool.parallel_for(4, 1, [](int64_t, int64_t, int) {});
    });
  };
  EXPECT_DEATH(nest(), "runs already");
}

}  // namespace
}  // namespace yunqi
