// The safetensors container: what is accepted, and each way of being wrong. The names S1 to S8 are
// rows of the list of bad inputs (tests/badinput.tsv).
#include "checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/limits.h"
#include "checkpoint/test_files.h"

namespace yunqi {
namespace {

using test::bytes_of;
using test::safetensors_bytes;
using test::tensor_json;
using test::tiny_safetensors;
using testing::HasSubstr;

Status parse(const std::string& bytes) { return parse_safetensors(bytes_of(bytes)).status(); }
Status parse(const std::string& header, size_t data_bytes) {
  return parse(safetensors_bytes(header, std::string(data_bytes, 'x')));
}

std::string header_of(const std::vector<std::string>& entries) {
  return fmt::format("{{{}}}", fmt::join(entries, ","));
}

void expect_bad(const Status& status, std::string_view part, Code code = Code::kBadFile) {
  EXPECT_EQ(status.code(), code) << status.to_string();
  EXPECT_THAT(status.message(), HasSubstr(std::string(part)));
}

TEST(Safetensors, ReadsTypesShapesAndBytes) {
  const std::string bytes = tiny_safetensors();
  const auto file = parse_safetensors(bytes_of(bytes));
  ASSERT_TRUE(file.is_ok()) << file.status().to_string();
  ASSERT_EQ(file->tensors.size(), 4u);
  EXPECT_EQ(file->tensors[0].name, "b");
  EXPECT_EQ(file->tensors[0].describe(), "[2, 3] bf16");
  EXPECT_EQ(file->tensors[1].bytes.size(), 8u);
  EXPECT_EQ(static_cast<char>(file->tensors[1].bytes[0]), 'c');
  EXPECT_EQ(file->tensors[2].bytes.size(), 0u);
  EXPECT_EQ(file->tensors[3].describe(), "[] i32");
  EXPECT_EQ(file->tensors[3].elements(), 1);
  EXPECT_EQ(file->metadata.dump(), R"({"format":"pt"})");
}

TEST(Safetensors, EveryTypeNameOfOursIsRead) {
  const std::vector<std::pair<std::string, DType>> names = {
      {"F64", DType::kF64},   {"F32", DType::kF32},        {"F16", DType::kF16},
      {"BF16", DType::kBF16}, {"F8_E4M3", DType::kF8E4M3}, {"I64", DType::kI64},
      {"I32", DType::kI32},   {"I16", DType::kI16},        {"I8", DType::kI8},
      {"U8", DType::kU8},     {"BOOL", DType::kBool},
  };
  for (const auto& [name, dtype] : names) {
    const uint64_t size = *dtype_bytes(dtype, 3);
    const auto bytes = safetensors_bytes(header_of({tensor_json("t", name, "[3]", 0, size)}),
                                         std::string(size, 'x'));
    const auto file = parse_safetensors(bytes_of(bytes));
    ASSERT_TRUE(file.is_ok()) << name;
    EXPECT_EQ(file->tensors[0].dtype, dtype);
  }
}

TEST(Safetensors, S1HeaderLength) {
  expect_bad(parse(test::raw<uint64_t>(100) + "{}"), "truncated");
  expect_bad(parse(test::raw(~uint64_t{0}) + "{}"), "at most 100000000", Code::kTooLarge);
  expect_bad(parse(test::raw<uint64_t>(kMaxSafetensorsHeaderBytes) + "{}"), "truncated");
  expect_bad(parse(test::raw<uint64_t>(kMaxSafetensorsHeaderBytes + 1) + "{}"), "found 100000001",
             Code::kTooLarge);
  expect_bad(parse(std::string("\1\0", 2)), "truncated");
  expect_bad(parse("", 0), "does not begin with {");
  expect_bad(parse(" {}", 0), "does not begin with {");
  expect_bad(parse("{}{}", 0), "header:");
  EXPECT_TRUE(parse("{}   ", 0).is_ok());
}

TEST(Safetensors, S2ManyTinyTensorsMeetTheLimit) {
  const auto many = [](uint64_t count) {
    std::vector<std::string> entries;
    for (uint64_t i = 0; i < count; ++i) {
      entries.push_back(tensor_json(std::to_string(i), "U8", "[1]", i, i + 1));
    }
    return header_of(entries);
  };
  EXPECT_TRUE(parse(many(kMaxTensorsPerFile), kMaxTensorsPerFile).is_ok());
  expect_bad(parse(many(kMaxTensorsPerFile + 1), kMaxTensorsPerFile + 1), "at most 65536 tensors",
             Code::kTooLarge);
  expect_bad(parse(many(300'000), 300'000), "header:");
}

TEST(Safetensors, S3ShapesThatWrap) {
  for (const std::string_view shape :
       {"[4294967296,4294967296,2]", "[9223372036854775807,4]", "[18446744073709551615]",
        "[4611686018427387905,4]", "[-1]", "[1.0]", "[\"1\"]", "3", "{}"}) {
    const Status status = parse(header_of({tensor_json("t", "F32", shape, 0, 4)}), 4);
    expect_bad(status, "t");
  }
}

TEST(Safetensors, RankAtItsLimitAndOneOver) {
  EXPECT_TRUE(parse(header_of({tensor_json("t", "U8", "[1,1,1,1,1]", 0, 1)}), 1).is_ok());
  expect_bad(parse(header_of({tensor_json("t", "U8", "[1,1,1,1,1,1]", 0, 1)}), 1),
             "at most 5 dimensions", Code::kTooLarge);
}

TEST(Safetensors, S4OffsetsMustFillTheShape) {
  expect_bad(parse(header_of({tensor_json("t", "F32", "[2]", 0, 7)}), 7), "does not fill");
  expect_bad(parse(header_of({tensor_json("t", "F32", "[2]", 0, 9)}), 9), "does not fill");
  expect_bad(parse(header_of({tensor_json("t", "F32", "[2]", 8, 0)}), 8), "does not fill");
  expect_bad(parse(header_of({tensor_json("t", "F32", "[2]", 0, 8)}), 7), "truncated");
  expect_bad(parse(R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}})", 1), "integer");
  expect_bad(parse(R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", 1), "data_offsets");
}

TEST(Safetensors, S5DuplicateNames) {
  const std::string twice =
      header_of({tensor_json("t", "U8", "[1]", 0, 1), tensor_json("t", "U8", "[1]", 1, 2)});
  expect_bad(parse(twice, 2), "twice");
  expect_bad(parse(R"({"t":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1),
             "twice");
}

TEST(Safetensors, S6EmptyTensorsLieAtBoundaries) {
  const std::string a = tensor_json("a", "U8", "[4]", 0, 4);
  const std::string b = tensor_json("b", "U8", "[4]", 4, 8);
  for (const uint64_t at : {0u, 4u, 8u}) {
    const std::string empty = tensor_json("e", "F32", "[0,3]", at, at);
    EXPECT_TRUE(parse(header_of({a, empty, b}), 8).is_ok()) << at;
  }
  for (const uint64_t at : {1u, 7u, 9u}) {
    const std::string empty = tensor_json("e", "F32", "[0,3]", at, at);
    expect_bad(parse(header_of({a, empty, b}), 8), "want data offset");
  }
}

TEST(Safetensors, S7TypeNames) {
  expect_bad(parse(header_of({tensor_json("t", "F33", "[1]", 0, 4)}), 4),
             R"(no element type is called "F33")");
  expect_bad(parse(header_of({tensor_json("t", "f32", "[1]", 0, 4)}), 4), "no element type");
  expect_bad(parse(header_of({tensor_json("t", "F8_E5M2", "[1]", 0, 1)}), 1), "F8_E5M2",
             Code::kUnsupported);
  expect_bad(parse(R"({"t":{"dtype":1,"shape":[1],"data_offsets":[0,1]}})", 1), "dtype");
}

TEST(Safetensors, S8TheFileIsCoveredExactly) {
  const std::string a = tensor_json("a", "U8", "[4]", 0, 4);
  expect_bad(parse(header_of({a}), 5), "1 bytes after the last tensor");
  expect_bad(parse(header_of({a, tensor_json("b", "U8", "[4]", 5, 9)}), 9), "a gap");
  expect_bad(parse(header_of({a, tensor_json("b", "U8", "[4]", 3, 7)}), 7), "overlaps");
  expect_bad(parse(header_of({a, tensor_json("b", "U8", "[4]", 0, 4)}), 4), "overlaps");
  expect_bad(parse("{}", 1), "belong to nothing");
}

TEST(Safetensors, EntriesHaveExactlyTheirFields) {
  expect_bad(parse(R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":0}})", 1), "object");
  expect_bad(parse(R"({"t":{"dtype":"U8","data_offsets":[0,1],"x":0}})", 1), "shape");
  expect_bad(parse(R"({"t":[]})", 0), "object");
  expect_bad(parse(R"({"__metadata__":{"a":1}})", 0), "object of strings");
  expect_bad(parse(R"({"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1), "names of 1");
  const std::string longest(kMaxTensorNameBytes, 'n');
  EXPECT_TRUE(parse(header_of({tensor_json(longest, "U8", "[1]", 0, 1)}), 1).is_ok());
  expect_bad(parse(header_of({tensor_json(longest + "n", "U8", "[1]", 0, 1)}), 1), "512 bytes");
}

TEST(Safetensors, EveryPrefixIsRefused) {
  const std::string bytes = tiny_safetensors();
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_EQ(parse(bytes.substr(0, size)).code(), Code::kBadFile) << size;
  }
}

}  // namespace
}  // namespace yunqi
