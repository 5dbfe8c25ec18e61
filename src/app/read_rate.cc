// See read_rate.h.
#include "app/read_rate.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread_pool.h"

namespace yunqi {
namespace {

constexpr size_t kBytes = size_t{512} << 20;
constexpr int64_t kLineWords = 8;  // 64 bytes

// Several streams at once, as decode reads several rows: one stream alone waits for memory.
uint64_t sum_lines(const uint64_t* words, int64_t lines) {
  constexpr int64_t kStreams = 4;
  const int64_t part = lines / kStreams;
  uint64_t lanes[kLineWords] = {};
  for (int64_t line = 0; line < part; ++line) {
    for (int64_t stream = 0; stream < kStreams; ++stream) {
      const uint64_t* at = words + (stream * part + line) * kLineWords;
      __builtin_prefetch(at + 32 * kLineWords);
      for (int64_t lane = 0; lane < kLineWords; ++lane) lanes[lane] += at[lane];
    }
  }
  uint64_t sum = 0;
  for (const uint64_t lane : lanes) sum += lane;
  return sum;
}

}  // namespace

double read_gb_per_s(int threads) {
  auto* const words = static_cast<uint64_t*>(map_memory(kBytes));
  if (words == nullptr) return 0;
  std::memset(words, 1, kBytes);
  ThreadPool pool(threads);
  std::vector<uint64_t> sums(static_cast<size_t>(pool.threads()) * kLineWords);
  double best = 0;
  for (int pass = 0; pass < 5; ++pass) {
    const int64_t start = system_clock().now_ns();
    const int64_t lines = static_cast<int64_t>(kBytes / 64);
    pool.parallel_for(lines, 1 << 14, [&](int64_t begin, int64_t end, int worker) {
      sums[static_cast<size_t>(worker * kLineWords)] +=
          sum_lines(words + begin * kLineWords, end - begin);
    });
    const double seconds = static_cast<double>(system_clock().now_ns() - start) / 1e9;
    best = std::max(best, static_cast<double>(kBytes) / seconds / 1e9);
  }
  unmap_memory(words, kBytes);
  uint64_t total = 0;
  for (const uint64_t sum : sums) total += sum;
  return total == 0 ? 0 : best;  // the sums are used, so that the reads can't be left out
}

}  // namespace yunqi
