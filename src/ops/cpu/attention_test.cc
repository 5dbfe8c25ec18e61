// Attention against float64 for every ISA level and KV format, and the rules that keep it
// reproducible: chunking, page order, page size, threads and batch mates change no bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "ops/cpu/op_reference.h"

namespace yunqi {
namespace {

struct Case {
  int32_t query_heads = 4, kv_heads = 2, head_dim = 64, page_tokens = 32;
  KvFormat format = KvFormat::kF32;
  bool norms = false;
  int32_t rotary_dim = 64;
};

constexpr int64_t kPositions = 512;
constexpr float kEpsilon = 1e-6f;

// A sequence run through attention in chunks, on pages in an order of its own.
class Attention {
 public:
  Attention(std::string_view isa, const Case& c, int threads = 2)
      : case_(c), device_(test_device(isa, threads)) {
    layout_ = {c.kv_heads, c.head_dim, c.page_tokens, c.format};
    RopeSpec spec;
    spec.rotary_dim = c.rotary_dim;
    spec.max_positions = kPositions;
    rope_ = std::move(device_->prepare_rope(spec)).value();
    ops_ =
        std::move(device_->make_ops({256, 256, c.query_heads, c.head_dim, kPositions}, {})).value();
    TestRandom random(77);
    q_norm_ = random.values(static_cast<size_t>(c.head_dim), 2.0f);
    k_norm_ = random.values(static_cast<size_t>(c.head_dim), 2.0f);
    pages_.resize(static_cast<size_t>(kPositions / c.page_tokens));
    std::iota(pages_.begin(), pages_.end(), 0);
    // Two sequences' worth of pages, filled with rubbish that nobody may read.
    kv_ = std::move(device_->allocate(2 * pages_.size() * device_->kv_page_bytes(layout_))).value();
    std::memset(kv_.data(), 0xff, kv_.bytes());
  }

  int64_t width() const { return (case_.query_heads + 2 * case_.kv_heads) * case_.head_dim; }
  int64_t out_width() const { return case_.query_heads * case_.head_dim; }
  void set_pages(std::vector<int32_t> pages) { pages_ = std::move(pages); }

  // Rows [0, qkv.size() / width) of one sequence in chunks of these lengths.
  std::vector<float> run(const std::vector<float>& qkv, std::vector<int32_t> chunks) {
    std::vector<float> work = qkv, out(qkv.size() / static_cast<size_t>(width()) *
                                           static_cast<size_t>(out_width()),
                                       9.0f);
    int32_t done = 0;
    for (const int32_t rows : chunks) {
      step(work.data() + done * width(), rows, out.data() + done * out_width(),
           {{0, rows, done, pages_}});
      done += rows;
    }
    return out;
  }

  void step(float* qkv, int32_t rows, float* out, const std::vector<SequenceRun>& runs) {
    std::vector<Position> positions(static_cast<size_t>(rows));
    for (const SequenceRun& run : runs) {
      for (int32_t i = 0; i < run.rows; ++i) {
        const int32_t p = run.context + i;
        positions[static_cast<size_t>(run.first_row + i)] = {p, p, p};
      }
    }
    AttentionArgs args;
    args.query_heads = case_.query_heads;
    args.rope = rope_.get();
    if (case_.norms) {
      args.q_norm = q_norm_;
      args.k_norm = k_norm_;
    }
    args.norm_epsilon = kEpsilon;
    args.positions = positions;
    args.runs = runs;
    args.kv = {kv_.data(), device_->kv_page_bytes(layout_), layout_};
    ops_->attention({qkv, rows, width()}, args, {out, rows, out_width()});
  }

  std::vector<double> reference(const std::vector<float>& qkv) const {
    const int64_t rows = static_cast<int64_t>(qkv.size()) / width();
    std::vector<std::vector<double>> rotated(static_cast<size_t>(rows));
    for (int64_t r = 0; r < rows; ++r) {
      for (int32_t h = 0; h < case_.query_heads + case_.kv_heads; ++h) {
        const auto head =
            rotate(std::span(qkv).subspan(static_cast<size_t>(r * width() + h * case_.head_dim),
                                          static_cast<size_t>(case_.head_dim)),
                   r, h < case_.query_heads);
        auto& row = rotated[static_cast<size_t>(r)];
        row.insert(row.end(), head.begin(), head.end());
      }
    }
    std::vector<double> out;
    for (int64_t r = 0; r < rows; ++r) {
      for (int32_t h = 0; h < case_.query_heads; ++h) attend(qkv, rotated, r, h, out);
    }
    return out;
  }

 private:
  std::vector<double> rotate(std::span<const float> x, int64_t position, bool is_query) const {
    std::vector<double> head(x.begin(), x.end());
    if (case_.norms) head = reference_norm(x, is_query ? q_norm_ : k_norm_, kEpsilon);
    const int half = case_.rotary_dim / 2;
    std::vector<double> result = head;
    for (int i = 0; i < half; ++i) {
      const double angle =
          static_cast<double>(position) * std::pow(10000.0, -2.0 * i / case_.rotary_dim);
      const auto low = static_cast<size_t>(i), high = static_cast<size_t>(i + half);
      result[low] = head[low] * std::cos(angle) - head[high] * std::sin(angle);
      result[high] = head[high] * std::cos(angle) + head[low] * std::sin(angle);
    }
    return result;
  }

  void attend(const std::vector<float>& qkv, const std::vector<std::vector<double>>& rotated,
              int64_t r, int32_t h, std::vector<double>& out) const {
    const auto hd = static_cast<size_t>(case_.head_dim);
    const int32_t kv_head = h / (case_.query_heads / case_.kv_heads);
    std::vector<double> scores;
    double largest = -1e300, sum = 0;
    for (int64_t t = 0; t <= r; ++t) {
      double score = 0;
      for (size_t i = 0; i < hd; ++i) {
        score += rotated[static_cast<size_t>(r)][static_cast<size_t>(h) * hd + i] *
                 rotated[static_cast<size_t>(t)]
                        [static_cast<size_t>(case_.query_heads + kv_head) * hd + i];
      }
      scores.push_back(score / std::sqrt(static_cast<double>(hd)));
      largest = std::max(largest, scores.back());
    }
    for (double& score : scores) sum += score = std::exp(score - largest);
    for (size_t i = 0; i < hd; ++i) {
      double value = 0;
      for (int64_t t = 0; t <= r; ++t) {
        const size_t at = static_cast<size_t>(t * width()) +
                          static_cast<size_t>(case_.query_heads + case_.kv_heads + kv_head) * hd;
        value += scores[static_cast<size_t>(t)] * static_cast<double>(qkv[at + i]);
      }
      out.push_back(value / sum);
    }
  }

  Case case_;
  std::unique_ptr<Device> device_;
  KvLayout layout_;
  std::unique_ptr<RopeTable> rope_;
  std::unique_ptr<Ops> ops_;
  std::vector<float> q_norm_, k_norm_;
  std::vector<int32_t> pages_;
  Buffer kv_;
};

class AttentionTest : public testing::TestWithParam<std::string_view> {};

TEST_P(AttentionTest, MatchesFloat64) {
  const Case cases[] = {
      {},
      {14, 2, 64, 32, KvFormat::kF16},
      {14, 2, 64, 32, KvFormat::kInt8},
      {4, 4, 128, 16, KvFormat::kF32, true, 128},
      {8, 1, 128, 64, KvFormat::kF16, true, 128},
      {3, 3, 40, 8, KvFormat::kF32, true, 24},
      {2, 1, 16, 32, KvFormat::kInt8, false, 16},
  };
  for (const Case& c : cases) {
    Attention attention(GetParam(), c);
    const auto qkv = TestRandom(3).values(static_cast<size_t>(75 * attention.width()), 2.0f);
    const double bound = c.format == KvFormat::kF32   ? 3e-6
                         : c.format == KvFormat::kF16 ? 2e-3
                                                      : 3e-2;
    EXPECT_LE(relative_error(attention.run(qkv, {75}), attention.reference(qkv)), bound)
        << c.query_heads << "/" << c.kv_heads << " heads of " << c.head_dim;
  }
}

// Keys of Qwen2.5 have large biases in a few channels that turn slowly with the position: what
// tells tokens apart is small beside them.
TEST_P(AttentionTest, Int8KeepsSmallDifferencesOfLargeKeys) {
  const Case c{4, 2, 64, 32, KvFormat::kInt8};
  Attention attention(GetParam(), c);
  const int64_t rows = 75, width = attention.width();
  auto qkv = TestRandom(9).values(static_cast<size_t>(rows * width), 2.0f);
  for (int64_t row = 0; row < rows; ++row) {
    for (const int64_t channel : {28, 31, 61}) {
      for (int64_t head = 0; head < 2; ++head) {
        qkv[static_cast<size_t>(row * width + (4 + head) * 64 + channel)] += 80.0f;
      }
    }
  }
  EXPECT_LE(relative_error(attention.run(qkv, {75}), attention.reference(qkv)), 3e-2);
}

TEST_P(AttentionTest, ChunksPagesAndThreadsChangeNoBit) {
  for (const KvFormat format : {KvFormat::kF32, KvFormat::kF16, KvFormat::kInt8}) {
    const Case c{14, 2, 64, 32, format, true, 64};
    Attention attention(GetParam(), c, 1);
    const int32_t rows = 131;
    const auto qkv = TestRandom(4).values(static_cast<size_t>(rows * attention.width()), 2.0f);
    const auto want = attention.run(qkv, {rows});
    const auto expect_same = [&](const std::vector<float>& got, const char* what) {
      EXPECT_EQ(std::memcmp(got.data(), want.data(), want.size() * sizeof(float)), 0) << what;
    };
    expect_same(attention.run(qkv, std::vector<int32_t>(static_cast<size_t>(rows), 1)), "ones");
    expect_same(attention.run(qkv, {64, 67}), "64 + 67");
    expect_same(attention.run(qkv, {7, 50, 1, 32, 41}), "odd chunks");
    attention.set_pages({15, 3, 9, 0, 12, 30, 31, 1});
    expect_same(attention.run(qkv, {100, 31}), "other pages");
    for (const int threads : {2, 3}) {
      Attention other(GetParam(), c, threads);
      expect_same(other.run(qkv, {90, 1, 40}), "threads");
    }
    for (const int32_t page_tokens : {8, 16, 64}) {
      Case pages = c;
      pages.page_tokens = page_tokens;
      Attention other(GetParam(), pages);
      expect_same(other.run(qkv, {77, 54}), "page size");
    }
  }
}

TEST_P(AttentionTest, BatchMatesChangeNoBit) {
  const Case c{6, 2, 32, 32, KvFormat::kF16, false, 32};
  Attention alone(GetParam(), c);
  const auto width = alone.width(), out_width = alone.out_width();
  const auto first = TestRandom(5).values(static_cast<size_t>(40 * width));
  const auto second = TestRandom(6).values(static_cast<size_t>(70 * width));
  const auto want_first = alone.run(first, {40}), want_second = alone.run(second, {70});

  Attention both(GetParam(), c);
  const std::vector<int32_t> pages_a = {2, 5, 8}, pages_b = {20, 1, 7};
  const auto rows_of = [&](const std::vector<float>& from, int64_t begin, int64_t count) {
    return std::vector<float>(from.begin() + begin * width, from.begin() + (begin + count) * width);
  };
  std::vector<float> got_first, got_second;
  // (rows of the first, rows of the second) per step.
  int32_t done_a = 0, done_b = 0;
  for (const auto& [a, b] : {std::pair{30, 1}, {1, 33}, {9, 36}}) {
    auto step = rows_of(second, done_b, b);
    const auto rows_a = rows_of(first, done_a, a);
    step.insert(step.end(), rows_a.begin(), rows_a.end());
    std::vector<float> out(static_cast<size_t>((a + b) * out_width));
    both.step(step.data(), a + b, out.data(), {{0, b, done_b, pages_b}, {b, a, done_a, pages_a}});
    got_second.insert(got_second.end(), out.begin(), out.begin() + b * out_width);
    got_first.insert(got_first.end(), out.begin() + b * out_width, out.end());
    done_a += a;
    done_b += b;
  }
  EXPECT_EQ(got_first, want_first);
  EXPECT_EQ(got_second, want_second);
}

TEST_P(AttentionTest, CopiedPageReadsTheSame) {
  const auto device = test_device(GetParam(), 1);
  const KvLayout layout{2, 64, 32, KvFormat::kInt8};
  const uint64_t bytes = device->kv_page_bytes(layout);
  EXPECT_EQ(bytes % 64, 0u);
  auto buffer = std::move(device->allocate(3 * bytes)).value();
  for (size_t i = 0; i < bytes; ++i) buffer.data()[bytes + i] = static_cast<std::byte>(i * 7);
  auto ops = std::move(device->make_ops({1, 32, 1, 64, 32}, {})).value();
  ops->copy_page({buffer.data(), bytes, layout}, 1, 2);
  EXPECT_EQ(std::memcmp(buffer.data() + bytes, buffer.data() + 2 * bytes, bytes), 0);
  EXPECT_EQ(buffer.data()[bytes - 1], std::byte{0});
}

INSTANTIATE_TEST_SUITE_P(Isa, AttentionTest, testing::ValuesIn(cpu_isa_levels()),
                         [](const auto& level) { return std::string(level.param); });

}  // namespace
}  // namespace yunqi
