// The GGUF container: what is accepted, and each way of being wrong. The names G1 to G25 are rows
// of the list of bad inputs (tests/badinput.tsv).
#include "checkpoint/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "checkpoint/limits.h"
#include "checkpoint/test_files.h"

namespace yunqi {
namespace {

using test::bytes_of;
using test::kGgmlF32;
using test::kGgmlQ4_K;
using test::kGgmlQ8_0;
using test::raw;
using test::raw_text;
using test::RawGguf;
using test::tiny_gguf;
using testing::HasSubstr;

Status parse(const std::string& bytes) { return parse_gguf(bytes_of(bytes)).status(); }
Status parse(const RawGguf& file) { return parse(file.bytes()); }

void expect_bad(const RawGguf& file, std::string_view part, Code code = Code::kBadFile) {
  const Status status = parse(file);
  EXPECT_EQ(status.code(), code) << status.to_string();
  EXPECT_THAT(status.message(), HasSubstr(std::string(part)));
}

TEST(Gguf, ReadsVersionsTypesShapesAndBytes) {
  for (const uint32_t version : {2u, 3u}) {
    RawGguf source = tiny_gguf();
    source.version = version;
    const std::string bytes = source.bytes();
    const auto file = parse_gguf(bytes_of(bytes));
    ASSERT_TRUE(file.is_ok()) << file.status().to_string();
    EXPECT_EQ(file->version, version);
    EXPECT_EQ(file->alignment, 32u);
    ASSERT_EQ(file->tensors.size(), 4u);
    const GgufTensor& first = file->tensors[0];
    EXPECT_EQ(first.name, "token_embd.weight");
    EXPECT_EQ(first.dtype, DType::kQ8_0);
    EXPECT_EQ(first.shape, (std::vector<int64_t>{8, 32}));
    EXPECT_EQ(first.bytes.size(), 8u * 34u);
    EXPECT_EQ(static_cast<char>(first.bytes[3]), 21);
  }
}

TEST(Gguf, RefusesOtherVersionsByName) {
  RawGguf file = tiny_gguf();
  file.version = 1;
  expect_bad(file, "version 1", Code::kUnsupported);
  file.version = 4;
  expect_bad(file, "found 4");
  file.version = 0;
  expect_bad(file, "found 0");
  file.version = 0x03000000;
  expect_bad(file, "big-endian", Code::kUnsupported);
  EXPECT_THAT(parse("GGML1234").message(), HasSubstr("no GGUF file"));
}

TEST(Gguf, G1KeyCountBeyondTheFile) {
  RawGguf file = tiny_gguf();
  for (const uint64_t count : {uint64_t{1} << 40, ~uint64_t{0}, uint64_t{100'000}}) {
    file.pair_count = count;
    expect_bad(file, "truncated");
  }
}

TEST(Gguf, KeyCountAtItsLimitAndOneOver) {
  RawGguf file;
  for (uint64_t i = 0; i < kMaxGgufKeys; ++i) {
    file.pair(fmt::format("{}", i), GgufType::kBool, raw<uint8_t>(1));
  }
  EXPECT_TRUE(parse(file).is_ok());
  file.pair("more", GgufType::kBool, raw<uint8_t>(1));
  expect_bad(file, "at most 65536 keys", Code::kTooLarge);
}

TEST(Gguf, KeyLengthAtItsLimitAndOneOver) {
  RawGguf file;
  file.u32(std::string(kMaxGgufKeyBytes, 'k'), 1);
  EXPECT_TRUE(parse(file).is_ok());
  file.u32(std::string(kMaxGgufKeyBytes + 1, 'k'), 1);
  expect_bad(file, "65535 bytes");
}

TEST(Gguf, KeysAndNamesAreOneLineOfText) {
  for (const std::string_view name : {"", "a\nb", "\x7f", "\xff\xfe"}) {
    RawGguf file;
    file.u32(name, 1);
    expect_bad(file, "of text");
    RawGguf other;
    other.tensor_with_data(name, {32}, kGgmlF32, 128);
    expect_bad(other, "of text");
  }
}

TEST(Gguf, G2RanksAndDimensions) {
  RawGguf file;
  file.tensor_with_data("t", {2, 2, 2, 2}, kGgmlF32, 64);
  EXPECT_TRUE(parse(file).is_ok());
  file = {};
  file.tensor_with_data("t", {2, 2, 2, 2, 1}, kGgmlF32, 64);
  expect_bad(file, "found 5");
  file = {};
  file.tensor_with_data("t", {}, kGgmlF32, 64);
  file.data.append(64, ' ');
  expect_bad(file, "found 0");
  file = {};
  file.tensor_with_data("t", {32, 0}, kGgmlF32, 0);
  expect_bad(file, "not representable");
}

TEST(Gguf, G3TensorCountBeyondTheFile) {
  RawGguf file = tiny_gguf();
  file.tensor_count = 60'000;
  expect_bad(file, "truncated");
  file.tensor_count = ~uint64_t{0};
  expect_bad(file, "at most 65536 tensors", Code::kTooLarge);
}

TEST(Gguf, TensorCountAtItsLimitAndOneOver) {
  RawGguf file;
  for (uint64_t i = 0; i < kMaxTensorsPerFile; ++i) {
    file.tensor(fmt::format("{}", i), {8}, kGgmlF32, i * 32);
  }
  file.data.assign(kMaxTensorsPerFile * 32, '\0');
  EXPECT_TRUE(parse(file).is_ok()) << parse(file).to_string();
  file.tensor("more", {8}, kGgmlF32, file.data.size());
  file.data.append(32, '\0');
  expect_bad(file, "at most 65536 tensors", Code::kTooLarge);
}

TEST(Gguf, G4G5SumsThatWrap) {
  RawGguf file;
  const uint64_t half = uint64_t{1} << 60;  // elements of 4 bytes: 2^62 bytes each
  for (int i = 0; i < 4; ++i) {
    file.tensor(fmt::format("t{}", i), {half}, kGgmlF32, static_cast<uint64_t>(i) * (half * 4));
  }
  file.data.assign(64, '\0');
  expect_bad(file, "truncated: tensor t0");
}

TEST(Gguf, G6G7G8SizesThatWrap) {
  const std::vector<std::pair<std::vector<uint64_t>, uint32_t>> cases = {
      {{(uint64_t{1} << 42) + 1, uint64_t{1} << 42}, kGgmlF32},
      {{(uint64_t{1} << 62) - 1}, kGgmlF32},
      {{~uint64_t{0}}, kGgmlF32},
      {{uint64_t{1} << 63}, kGgmlF32},
      {{uint64_t{1} << 32, uint64_t{1} << 31, 2}, kGgmlF32},
      {{(uint64_t{1} << 62) + 32, 2}, kGgmlQ8_0},
      {{uint64_t{1} << 62}, kGgmlQ8_0},
  };
  for (const auto& [dimensions, type] : cases) {
    RawGguf file;
    file.tensor("t", dimensions, type, 0);
    file.data.assign(64, '\0');
    expect_bad(file, "tensor t");
    EXPECT_THAT(parse(file).message(),
                testing::AnyOf(HasSubstr("representable"), HasSubstr("truncated")));
  }
}

TEST(Gguf, RowsMustBeWholeBlocks) {
  RawGguf file;
  file.tensor_with_data("t", {16, 2}, kGgmlQ8_0, 34);
  expect_bad(file, "no whole blocks");
  file = {};
  file.tensor_with_data("t", {256, 2}, kGgmlQ4_K, 288);
  EXPECT_TRUE(parse(file).is_ok());
}

TEST(Gguf, G9Alignment) {
  for (const uint32_t good : {1u, 8u, 64u, 4096u, 1u << 20}) {
    RawGguf file;
    file.alignment = good;
    file.u32("general.alignment", good);
    file.tensor_with_data("a", {3}, kGgmlF32, 12);
    file.tensor_with_data("b", {3}, kGgmlF32, 12);
    EXPECT_TRUE(parse(file).is_ok()) << good << parse(file).to_string();
  }
  for (const uint32_t bad : {0u, 3u, 1u << 21, 1u << 31, ~0u}) {
    RawGguf file;
    file.u32("general.alignment", bad);
    file.tensor_with_data("a", {3}, kGgmlF32, 12);
    expect_bad(file, "power of two");
  }
  RawGguf file;
  file.pair("general.alignment", GgufType::kU64, raw<uint64_t>(32));
  expect_bad(file, "want u32, found u64");
  file = {};
  file.text("general.alignment", "32");
  expect_bad(file, "want u32, found string");
}

TEST(Gguf, G10TextLengths) {
  for (const uint64_t length : {uint64_t{1} << 63, ~uint64_t{0}, ~uint64_t{0} - 7, uint64_t{9}}) {
    RawGguf file;
    file.pair("k", GgufType::kText, raw(length) + "8 bytes.");
    expect_bad(file, "truncated");
  }
}

TEST(Gguf, G11ArrayLengthsAndNesting) {
  for (const uint64_t count : {~uint64_t{0}, uint64_t{1} << 61, uint64_t{1} << 32, uint64_t{3}}) {
    for (const GgufType type : {GgufType::kF32, GgufType::kText, GgufType::kU64, GgufType::kU8}) {
      RawGguf file;
      file.array("k", type, count, "ab");
      EXPECT_EQ(parse(file).code(), Code::kBadFile) << count << gguf_type_name(type);
    }
  }
  RawGguf file;
  file.array("k", GgufType::kArray, 1, raw<uint32_t>(0) + raw<uint64_t>(0));
  expect_bad(file, "arrays of arrays");
}

TEST(Gguf, G13TypeNumbers) {
  for (const uint32_t bad : {4u, 5u, 31u, 41u, 0x7fffffffu, 0xffffffffu}) {
    RawGguf file;
    file.tensor_with_data("t", {32}, bad, 128);
    expect_bad(file, "no tensor type has the number");
  }
  RawGguf file;
  file.tensor_with_data("t", {256}, 16, 66);
  expect_bad(file, "IQ2_XXS is not supported", Code::kUnsupported);
  for (const uint32_t bad : {13u, 0xffffffffu}) {
    file = {};
    file.pairs.push_back(raw_text("k") + raw(bad) + raw<uint64_t>(0));
    expect_bad(file, "no value type has the number");
  }
}

TEST(Gguf, G14Duplicates) {
  RawGguf file = tiny_gguf();
  file.u32("tokenizer.ggml.eos_token_id", 4);
  expect_bad(file, "tokenizer.ggml.eos_token_id stands in the file twice");
  file = tiny_gguf();
  file.tensor_with_data("output_norm.weight", {32}, kGgmlF32, 128);
  expect_bad(file, "output_norm.weight stands in the file twice");
}

TEST(Gguf, G15DataPastTheEnd) {
  RawGguf file = tiny_gguf();
  file.data.pop_back();
  expect_bad(file, "truncated: tensor blk.0.something_new.weight");
  file = {};
  file.tensor("t", {32}, kGgmlF32, ~uint64_t{0} - 31);
  file.data.assign(128, '\0');
  expect_bad(file, "tensor t");
}

TEST(Gguf, G16TensorsTileTheData) {
  const auto two_at = [](uint64_t a, uint64_t b, size_t size) {
    RawGguf file;
    file.tensor("a", {3}, kGgmlF32, a);
    file.tensor("b", {3}, kGgmlF32, b);
    file.data.assign(size, '\0');
    return file;
  };
  EXPECT_TRUE(parse(two_at(0, 32, 44)).is_ok());
  EXPECT_TRUE(parse(two_at(32, 0, 44)).is_ok()) << "any order in the table";
  EXPECT_TRUE(parse(two_at(0, 32, 64)).is_ok()) << "padded at the end";
  EXPECT_TRUE(parse(two_at(0, 32, 44 + 31)).is_ok());
  expect_bad(two_at(0, 32, 44 + 32), "after the last tensor");
  expect_bad(two_at(0, 0, 64), "overlaps");
  expect_bad(two_at(0, 8, 64), "overlaps");
  expect_bad(two_at(0, 64, 96), "a gap");
  expect_bad(two_at(0, 12, 64), "misaligned");
  expect_bad(two_at(32, 64, 96), "a gap");
}

TEST(Gguf, AFileWithoutTensorsMayEndUnpadded) {
  RawGguf file;
  file.u32("k", 1);
  EXPECT_TRUE(parse(file).is_ok());
  file.data.assign(200, '\0');
  expect_bad(file, "after the last tensor");
}

TEST(Gguf, G21EveryPrefixIsRefused) {
  const std::string bytes = tiny_gguf().bytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    const Status status = parse(bytes.substr(0, size));
    ASSERT_EQ(status.code(), Code::kBadFile) << size;
    ASSERT_THAT(status.message(), HasSubstr("truncated")) << size;
  }
}

TEST(GgufMetadata, G12ReadsAreTyped) {
  RawGguf file;
  file.array("bytes", GgufType::kU8, 4, "abcd");
  file.u32("number", 7);
  file.pair("minus", GgufType::kI8, raw<int8_t>(-3));
  file.pair("large", GgufType::kU64, raw(~uint64_t{0}));
  file.f32("half", 0.5f);
  file.f32("small", 1e-6f);
  file.f32("infinite", std::numeric_limits<float>::infinity());
  file.texts("texts", {"x", ""});
  const std::string bytes = file.bytes();
  const auto parsed = parse_gguf(bytes_of(bytes));
  ASSERT_TRUE(parsed.is_ok()) << parsed.status().to_string();
  const GgufMetadata& metadata = parsed->metadata;
  EXPECT_EQ(metadata.integer("number", 0, 9).value(), 7);
  EXPECT_EQ(metadata.integer("minus", -9, 9).value(), -3);
  EXPECT_EQ(metadata.integer("absent", 0, 9).value(), std::nullopt);
  EXPECT_EQ(metadata.real("half").value(), 0.5);
  EXPECT_EQ(metadata.real("small").value(), 1e-6);
  EXPECT_EQ(metadata.texts("texts", 2).value(), (std::vector<std::string_view>{"x", ""}));
  EXPECT_EQ(metadata.texts("texts", 1).status().code(), Code::kTooLarge);
  EXPECT_EQ(metadata.integer("number", 0, 6).status().code(), Code::kBadFile);
  EXPECT_EQ(metadata.integer("number", 8, 9).status().code(), Code::kBadFile);
  EXPECT_EQ(metadata.integer("large", 0, INT64_MAX).status().code(), Code::kBadFile);
  EXPECT_EQ(metadata.real("infinite").status().code(), Code::kBadFile);
  EXPECT_THAT(metadata.int32s("bytes", 9).status().message(),
              HasSubstr("want an array of i32, found array of 4 u8"));
  EXPECT_THAT(metadata.text("number").status().message(), HasSubstr("want string, found u32"));
  EXPECT_THAT(metadata.integer("half", 0, 1).status().message(), HasSubstr("found f32"));
  EXPECT_THAT(metadata.real("number").status().message(), HasSubstr("found u32"));
  EXPECT_THAT(metadata.texts("bytes", 9).status().message(), HasSubstr("array of string"));
}

TEST(Gguf, TypeNumbersReadBothWays) {
  EXPECT_EQ(ggml_type_of(DType::kF32), 0u);
  EXPECT_EQ(ggml_type_of(DType::kQ4_K), 12u);
  EXPECT_EQ(ggml_type_of(DType::kBF16), 30u);
  EXPECT_EQ(ggml_type_of(DType::kF8E4M3), std::nullopt);
  EXPECT_EQ(ggml_type_of(DType::kBool), std::nullopt);
}

}  // namespace
}  // namespace yunqi
