// Opening GGUF files from disk: single, split, renamed, missing parts; fingerprints; and what
// write_gguf() writes, read again.
#include "checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "checkpoint/limits.h"
#include "checkpoint/test_files.h"
#include "tensor/quant.h"

namespace yunqi {
namespace {

using test::kGgmlF32;
using test::raw;
using test::RawGguf;
using test::TempFolder;
using test::tiny_gguf;
using testing::HasSubstr;

void expect_bad(const Path& path, std::string_view part, Code code = Code::kBadFile) {
  const Status status = Checkpoint::open(path).status();
  EXPECT_EQ(status.code(), code) << status.to_string();
  EXPECT_THAT(status.message(), HasSubstr(std::string(part)));
}

TEST(CheckpointOpen, GgufFile) {
  const TempFolder folder;
  const Path path = folder.write("model.gguf", tiny_gguf().bytes());
  const auto opened = Checkpoint::open(path);
  ASSERT_TRUE(opened.is_ok()) << opened.status().to_string();
  const Checkpoint& checkpoint = **opened;
  EXPECT_EQ(checkpoint.format(), "gguf");
  EXPECT_EQ(checkpoint.files().size(), 1u);
  EXPECT_EQ(checkpoint.tensors().size(), 4u);
  const Tensor* query = checkpoint.find("model.layers.0.self_attn.q_proj.weight");
  ASSERT_NE(query, nullptr);
  EXPECT_EQ(query->describe(), "[16, 32] q8_0");
  EXPECT_EQ(query->elements(), 512);
  EXPECT_NE(checkpoint.find("blk.0.something_new.weight"), nullptr) << "unknown names are kept";
  EXPECT_EQ(checkpoint.find("blk.0.attn_q.weight"), nullptr);
  std::vector<float> values(512);
  EXPECT_TRUE(dequantize(query->dtype, query->bytes, values).is_ok());
}

TEST(CheckpointOpen, OtherPathsAreNamed) {
  const TempFolder folder;
  expect_bad(folder / "absent.gguf", "no such file", Code::kNotFound);
  expect_bad(folder.write("weights.bin", "x"), "want a .gguf", Code::kUnsupported);
  expect_bad(folder.write("empty.gguf", ""), "empty.gguf");
  expect_bad(folder.write("not.gguf", "a text file"), "not.gguf: want the magic GGUF");
  expect_bad(folder.write("cut.gguf", "GGUF\3\0"), "cut.gguf: truncated at byte 4");
}

TEST(CheckpointOpen, FolderWithOneGguf) {
  const TempFolder folder;
  folder.write("model.gguf", tiny_gguf().bytes());
  folder.write("README.md", "x");
  EXPECT_TRUE(Checkpoint::open(folder.path()).is_ok());
  folder.write("other.gguf", tiny_gguf().bytes());
  expect_bad(folder.path(), "2 GGUF models", Code::kInvalidArgument);
}

// One of `count` parts: the first has the metadata, each has one tensor of its own.
RawGguf part_of_set(uint16_t index, uint16_t count) {
  RawGguf file = index == 0 ? test::tiny_metadata() : RawGguf();
  file.pair("split.no", GgufType::kU16, raw<uint16_t>(index));
  file.pair("split.count", GgufType::kU16, raw<uint16_t>(count));
  file.pair("split.tensors.count", GgufType::kI32, raw<int32_t>(count));
  if (index == 0) {
    file.tensor_with_data("token_embd.weight", {32, 8}, kGgmlF32, 1024);
  } else {
    file.tensor_with_data(fmt::format("blk.{}.attn_norm.weight", index), {32}, kGgmlF32, 128);
  }
  return file;
}

std::string part_name(int number, int count) {
  return fmt::format("model-{:05}-of-{:05}.gguf", number, count);
}

TEST(CheckpointSplit, AnyPartOpensAll) {
  const TempFolder folder;
  for (uint16_t i = 0; i < 3; ++i) {
    folder.write(part_name(i + 1, 3), part_of_set(i, 3).bytes());
  }
  for (int number = 1; number <= 3; ++number) {
    const auto opened = Checkpoint::open(folder / part_name(number, 3));
    ASSERT_TRUE(opened.is_ok()) << opened.status().to_string();
    EXPECT_EQ((*opened)->files().size(), 3u);
    EXPECT_EQ((*opened)->tensors().size(), 3u);
    EXPECT_NE((*opened)->find("model.layers.2.input_layernorm.weight"), nullptr);
    EXPECT_EQ((*opened)->config().find("hidden_size")->as_int(), 32);
  }
  EXPECT_TRUE(Checkpoint::open(folder.path()).is_ok()) << "a set is one model";
}

TEST(CheckpointSplit, MissingWrongAndRenamedParts) {
  const TempFolder folder;
  folder.write(part_name(1, 3), part_of_set(0, 3).bytes());
  folder.write(part_name(3, 3), part_of_set(2, 3).bytes());
  expect_bad(folder / part_name(3, 3), "model-00002-of-00003.gguf: part 2 of 3 is missing",
             Code::kNotFound);
  folder.write(part_name(2, 3), part_of_set(2, 3).bytes());
  expect_bad(folder / part_name(1, 3), "want part 2 of 3 of a split model, found split.no 3");
  folder.write(part_name(2, 3), part_of_set(1, 4).bytes());
  expect_bad(folder / part_name(1, 3), "found split.no 2 of 4");
  expect_bad(folder.write("renamed.gguf", part_of_set(0, 3).bytes()), "one of 3 parts");
  RawGguf twice = part_of_set(1, 3);
  twice.tensor_with_data("token_embd.weight", {32}, kGgmlF32, 128);
  folder.write(part_name(2, 3), twice.bytes());
  expect_bad(folder / part_name(1, 3), "split.tensors.count = 3 tensors in all parts, found 4");
  RawGguf other = test::RawGguf();
  other.pair("split.no", GgufType::kU16, raw<uint16_t>(1));
  other.pair("split.count", GgufType::kU16, raw<uint16_t>(3));
  other.tensor_with_data("blk.2.attn_norm.weight", {32}, kGgmlF32, 128);
  folder.write(part_name(2, 3), other.bytes());
  expect_bad(folder / part_name(1, 3), "stands in the checkpoint twice");
  expect_bad(folder.write("model-00001-of-09999.gguf", "x"), "at most 1024 parts", Code::kTooLarge);
}

TEST(CheckpointFingerprint, DependsOnEachByteOfASmallFile) {
  const TempFolder folder;
  const RawGguf source = tiny_gguf();
  const std::string bytes = source.bytes();
  const auto fingerprint = [&](const std::string& content) {
    const auto opened = Checkpoint::open(folder.write("model.gguf", content));
    return opened.is_ok() ? (*opened)->fingerprint() : opened.status().to_string();
  };
  const std::string first = fingerprint(bytes);
  EXPECT_EQ(first.size(), 64u);
  EXPECT_EQ(fingerprint(bytes), first);
  std::string changed = bytes;
  changed.back() ^= 1;
  EXPECT_NE(fingerprint(changed), first);
  RawGguf other = tiny_gguf();
  other.text("qwen3.rope.scaling.type", "linear");
  other.f32("qwen3.rope.scaling.factor", 2.0f);
  EXPECT_NE(fingerprint(other.bytes()), first) << "same tensors, other meaning";
}

TEST(CheckpointFingerprint, SamplesLargeTensorsToTheirLastByte) {
  const TempFolder folder;
  RawGguf source = tiny_gguf();
  source.tensor_with_data("large", {1 << 20}, kGgmlF32, 4 << 20);
  std::string bytes = source.bytes();
  const std::string first = Checkpoint::open(folder.write("a.gguf", bytes)).value()->fingerprint();
  bytes.back() ^= 1;
  EXPECT_NE(Checkpoint::open(folder.write("b.gguf", bytes)).value()->fingerprint(), first);
}

GgufTensorSource source_of(std::string name, DType dtype, std::vector<int64_t> shape, float value) {
  return {std::move(name), dtype, shape, [=](std::span<std::byte> out) {
            int64_t count = 1;
            for (const int64_t dimension : shape) count *= dimension;
            return quantize(dtype, std::vector<float>(static_cast<size_t>(count), value), out);
          }};
}

Json tiny_json_metadata() {
  return Json::object({
      {"general.architecture", "qwen2"},
      {"general.alignment", 64},
      {"qwen2.block_count", 2},
      {"qwen2.context_length", 128},
      {"qwen2.embedding_length", 256},
      {"qwen2.feed_forward_length", 512},
      {"qwen2.attention.head_count", 4},
      {"qwen2.attention.layer_norm_rms_epsilon", 1e-5},
      {"tokenizer.ggml.model", "gpt2"},
      {"tokenizer.ggml.tokens", Json::array({"x", "y"})},
      {"tokenizer.ggml.token_type", Json::array({1, 3})},
      {"test.minus", -5},
      {"test.large", int64_t{1} << 40},
      {"test.unsigned", ~uint64_t{0}},
      {"test.least", INT64_MIN},
      {"test.flags", Json::array({true, false})},
      {"test.reals", Json::array({1, 2.5})},
      {"test.longs", Json::array({1, int64_t{1} << 33})},
      {"test.empty", Json::array()},
  });
}

TEST(WriteGguf, ComesBackAsWritten) {
  const TempFolder folder;
  const std::vector<GgufTensorSource> tensors = {
      source_of("token_embd.weight", DType::kQ4_K, {3, 256}, 1.5f),
      source_of("output_norm.weight", DType::kF32, {3}, 2.0f),
      source_of("blk.1.ffn_up.weight", DType::kBF16, {2, 5}, 4.0f),
  };
  const Path path = folder / "out.gguf";
  const Status written = write_gguf(path, tiny_json_metadata(), tensors);
  ASSERT_TRUE(written.is_ok()) << written.to_string();
  EXPECT_FALSE(std::filesystem::exists(folder / "out.gguf.part"));
  EXPECT_EQ(std::filesystem::file_size(path) % 64, 0u) << "padded to the end";
  const auto opened = Checkpoint::open(path);
  ASSERT_TRUE(opened.is_ok()) << opened.status().to_string();
  const Checkpoint& checkpoint = **opened;
  EXPECT_EQ(checkpoint.config().find("rms_norm_eps")->as_double(), 1e-5);
  EXPECT_EQ(checkpoint.config().find("rope_theta")->as_double(), 10000.0);
  EXPECT_EQ(checkpoint.tokenizer().gguf_types, (std::vector<int32_t>{1, 3}));
  Json metadata = checkpoint.metadata();
  EXPECT_EQ(metadata.find("test.reals")->dump(), "[1.0,2.5]");
  metadata.set("test.reals", Json::array({1, 2.5}));
  EXPECT_EQ(metadata, tiny_json_metadata());
  const Tensor* norm = checkpoint.find("model.norm.weight");
  ASSERT_NE(norm, nullptr);
  std::vector<float> values(3);
  ASSERT_TRUE(dequantize(norm->dtype, norm->bytes, values).is_ok());
  EXPECT_EQ(values, (std::vector<float>{2, 2, 2}));
  EXPECT_EQ(checkpoint.find("model.layers.1.mlp.up_proj.weight")->describe(), "[2, 5] bf16");
}

TEST(WriteGguf, RefusesWhatGgufCannotHold) {
  const TempFolder folder;
  const Path path = folder / "out.gguf";
  const auto refuses = [&](const Json& metadata, std::vector<GgufTensorSource> tensors) {
    const Status status = write_gguf(path, metadata, tensors);
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << status.to_string();
  };
  for (const Json& value : {Json(), Json::object(), Json(1e300), Json::array({1, "x"}),
                            Json::array({-1, ~uint64_t{0}}), Json::array({nullptr})}) {
    refuses(Json::object({{"k", value}}), {});
  }
  refuses(Json::object({{"general.alignment", 3}}), {});
  refuses(Json::object({{"a\nb", 3}}), {});
  refuses(Json(3), {});
  const Json none = Json::object();
  refuses(none, {source_of("", DType::kF32, {1}, 0)});
  refuses(none, {source_of("t", DType::kF32, {}, 0)});
  refuses(none, {source_of("t", DType::kF32, {1, 1, 1, 1, 1}, 0)});
  refuses(none, {source_of("t", DType::kF32, {0}, 0)});
  refuses(none, {source_of("t", DType::kF32, {int64_t{1} << 62, 8}, 0)});
  refuses(none, {source_of("t", DType::kQ8_0, {2, 16}, 0)});
  refuses(none, {source_of("t", DType::kBool, {2}, 0)});
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(WriteGguf, AFailingSourceLeavesNothing) {
  const TempFolder folder;
  const GgufTensorSource failing = {
      "t", DType::kF32, {8}, [](std::span<std::byte>) { return error(Code::kCancelled, "stop"); }};
  EXPECT_EQ(write_gguf(folder / "out.gguf", Json::object(), {&failing, 1}).code(),
            Code::kCancelled);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace yunqi
