// The profiled device gives the bits of the device it wraps, and tells a step's operations apart.
#include "ops/profiled_device.h"

#include <gtest/gtest.h>

#include "ops/cpu/op_reference.h"

namespace yunqi {
namespace {

constexpr int64_t kRows = 3, kWidth = 64, kQkv = 96;
constexpr Numerics kNumerics{};

// One layer and the head, as a dense model runs them: 2 query heads on 1 KV head of 32.
std::vector<float> step(Device& device) {
  const auto matrix = [&](int64_t rows, int64_t columns, uint64_t seed) {
    const TestMatrix values = random_matrix(DType::kQ8_0, rows, columns, seed);
    const WeightSource part = values.source();
    return std::move(device.prepare({&part, 1}, {}, kNumerics)).value();
  };
  const auto table = matrix(16, kWidth, 1), qkv = matrix(kQkv + 32, kWidth, 2),
             out = matrix(kWidth, kWidth, 3), gate_up = matrix(2 * kQkv, kWidth, 4),
             down = matrix(kWidth, kQkv, 5);
  RopeSpec spec;
  spec.rotary_dim = 32;
  spec.max_positions = 32;
  const auto rope = std::move(device.prepare_rope(spec)).value();
  const KvLayout layout{1, 32, 32, KvFormat::kF16};
  const uint64_t page = device.kv_page_bytes(layout);
  const Buffer kv = std::move(device.allocate(page)).value();
  const auto ops = std::move(device.make_ops({kRows, kQkv, 2, 32, 32}, kNumerics)).value();
  const std::vector<float> norm(kWidth, 1.0f);
  std::vector<float> x(kRows * kWidth), wide(kRows * (kQkv + 32)), mid(kRows * kQkv), logits(16);
  const Matrix<float> hidden(x.data(), kRows, kWidth);
  const std::vector<int32_t> tokens = {1, 5, 9}, pages = {0}, last = {2};
  const std::vector<Position> positions = {{0, 0, 0}, {1, 1, 1}, {2, 2, 2}};
  const SequenceRun run{0, kRows, 0, pages};
  AttentionArgs args;
  args.query_heads = 2;
  args.rope = rope.get();
  args.positions = positions;
  args.runs = {&run, 1};
  args.kv = {kv.data(), page, layout};
  std::vector<float> picked(kWidth), attended(kRows * kWidth);

  ops->embed(*table, tokens, hidden);
  ops->norm_linear(hidden, {norm, 1e-6f}, *qkv, {wide.data(), kRows, kQkv + 32});
  ops->attention({wide.data(), kRows, kQkv + 32}, args, {attended.data(), kRows, kWidth});
  ops->linear_add({attended.data(), kRows, kWidth}, *out, hidden);
  ops->norm_gated_linear(hidden, {norm, 1e-6f}, *gate_up, {mid.data(), kRows, kQkv});
  ops->linear_add({mid.data(), kRows, kQkv}, *down, hidden);
  ops->gather_rows(hidden, last, {picked.data(), 1, kWidth});
  ops->norm_linear({picked.data(), 1, kWidth}, {norm, 1e-6f}, *table, {logits.data(), 1, 16});
  EXPECT_TRUE(ops->sync().is_ok());
  return logits;
}

TEST(ProfiledDeviceTest, CountsEachKindAndChangesNoBit) {
  const auto plain = test_device("generic", 1);
  ProfileTarget target;
  const auto profiled = make_profiled_device(*plain, target);
  const std::vector<float> want = step(*plain);
  EXPECT_EQ(step(*profiled), want);

  OpProfile profile;
  target.profile = &profile;
  EXPECT_EQ(step(*profiled), want);
  for (const OpKind kind : {OpKind::kEmbed, OpKind::kQkv, OpKind::kAttention, OpKind::kAttentionOut,
                            OpKind::kGateUp, OpKind::kDown, OpKind::kHead, OpKind::kOther}) {
    EXPECT_EQ(profile[kind].calls, 1) << op_kind_name(kind);
  }
  EXPECT_EQ(profile[OpKind::kQkv].operations, 2.0 * kRows * kWidth * (kQkv + 32));
  EXPECT_EQ(profile[OpKind::kDown].operations, 2.0 * kRows * kQkv * kWidth);
  EXPECT_EQ(profile[OpKind::kHead].operations, 2.0 * 16 * kWidth);
  EXPECT_EQ(profile[OpKind::kAttention].operations, 4.0 * 2 * 32 * (1 + 2 + 3));
  EXPECT_EQ(profile[OpKind::kAttention].bytes, 3.0 * 2 * 32 * 2);
}

}  // namespace
}  // namespace yunqi
