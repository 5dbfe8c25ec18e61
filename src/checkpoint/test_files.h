// Small weight files for tests, also wrong ones: a GGUF file built field by field, a safetensors
// file from a header, and a folder that removes itself.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/gguf.h"

namespace yunqi::test {

template <typename T>
std::string raw(T number) {
  std::string out(sizeof(T), '\0');
  std::memcpy(out.data(), &number, sizeof(T));
  return out;
}
inline std::string raw_text(std::string_view text) {
  return raw<uint64_t>(text.size()) + std::string(text);
}
inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// Writes whatever it is told, right or wrong.
struct RawGguf {
  uint32_t version = 3;
  std::vector<std::string> pairs, tensors;  // already in their binary form
  std::string data;
  uint64_t alignment = 32;  // of the data section
  // Counts that the head claims; the true ones when unset.
  std::optional<uint64_t> pair_count, tensor_count;

  void pair(std::string_view key, GgufType type, const std::string& value) {
    pairs.push_back(raw_text(key) + raw(static_cast<uint32_t>(type)) + value);
  }
  void text(std::string_view key, std::string_view value) {
    pair(key, GgufType::kText, raw_text(value));
  }
  void u32(std::string_view key, uint32_t value) { pair(key, GgufType::kU32, raw(value)); }
  void f32(std::string_view key, float value) { pair(key, GgufType::kF32, raw(value)); }
  void array(std::string_view key, GgufType element, uint64_t count, const std::string& items) {
    pair(key, GgufType::kArray, raw(static_cast<uint32_t>(element)) + raw(count) + items);
  }
  void texts(std::string_view key, const std::vector<std::string>& items) {
    std::string all;
    for (const std::string& item : items) all += raw_text(item);
    array(key, GgufType::kText, items.size(), all);
  }
  // `type` is GGUF's number; `dimensions` in the file's order.
  void tensor(std::string_view name, const std::vector<uint64_t>& dimensions, uint32_t type,
              uint64_t offset) {
    std::string out = raw_text(name) + raw(static_cast<uint32_t>(dimensions.size()));
    for (const uint64_t dimension : dimensions) out += raw(dimension);
    tensors.push_back(out + raw(type) + raw(offset));
  }
  // As above, with its bytes put at the end of the data.
  void tensor_with_data(std::string_view name, const std::vector<uint64_t>& dimensions,
                        uint32_t type, uint64_t size) {
    data.resize((data.size() + alignment - 1) / alignment * alignment, '\0');
    tensor(name, dimensions, type, data.size());
    for (uint64_t i = 0; i < size; ++i) data.push_back(static_cast<char>(i * 7 % 60));
  }

  std::string head() const {
    std::string out = "GGUF" + raw(version) + raw(tensor_count.value_or(tensors.size())) +
                      raw(pair_count.value_or(pairs.size()));
    for (const std::string& one : pairs) out += one;
    for (const std::string& one : tensors) out += one;
    return out;
  }
  std::string bytes() const {
    std::string out = head();
    if (!tensors.empty()) out.resize((out.size() + alignment - 1) / alignment * alignment, '\0');
    return out + data;
  }
};

inline constexpr uint32_t kGgmlF32 = 0, kGgmlQ8_0 = 8, kGgmlQ4_K = 12;

// Hyperparameters of a one-layer model of 32 wide rows.
inline RawGguf tiny_metadata(std::string_view architecture = "qwen3") {
  RawGguf file;
  const std::string prefix = std::string(architecture) + ".";
  file.text("general.architecture", architecture);
  file.u32(prefix + "block_count", 1);
  file.u32(prefix + "context_length", 64);
  file.u32(prefix + "embedding_length", 32);
  file.u32(prefix + "feed_forward_length", 64);
  file.u32(prefix + "attention.head_count", 2);
  file.u32(prefix + "attention.head_count_kv", 1);
  file.f32(prefix + "attention.layer_norm_rms_epsilon", 1e-6f);
  file.f32(prefix + "rope.freq_base", 1e6f);
  file.text("tokenizer.ggml.model", "gpt2");
  file.text("tokenizer.ggml.pre", "qwen2");
  file.texts("tokenizer.ggml.tokens", {"a", "b", "ab", "<|endoftext|>", "<|im_end|>", "<|im_x|>"});
  std::string types;
  for (const int32_t type : {1, 1, 1, 3, 3, 3}) types += raw(type);
  file.array("tokenizer.ggml.token_type", GgufType::kI32, 6, types);
  file.texts("tokenizer.ggml.merges", {"a b"});
  file.u32("tokenizer.ggml.eos_token_id", 4);
  file.u32("tokenizer.ggml.padding_token_id", 3);
  file.text("tokenizer.chat_template", "{{ messages[0].content }}");
  return file;
}

inline RawGguf tiny_gguf(std::string_view architecture = "qwen3") {
  RawGguf file = tiny_metadata(architecture);
  file.tensor_with_data("token_embd.weight", {32, 8}, kGgmlQ8_0, 8 * 34);
  file.tensor_with_data("output_norm.weight", {32}, kGgmlF32, 128);
  file.tensor_with_data("blk.0.attn_q.weight", {32, 16}, kGgmlQ8_0, 16 * 34);
  file.tensor_with_data("blk.0.something_new.weight", {32}, kGgmlF32, 128);
  return file;
}

inline std::string safetensors_bytes(const std::string& header, const std::string& data) {
  return raw<uint64_t>(header.size()) + header + data;
}
inline std::string tensor_json(std::string_view name, std::string_view dtype,
                               std::string_view shape, uint64_t begin, uint64_t end) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", name, dtype,
                     shape, begin, end);
}
inline std::string tiny_safetensors() {
  const std::string header =
      R"({"__metadata__":{"format":"pt"},)" + tensor_json("b", "BF16", "[2,3]", 0, 12) + "," +
      tensor_json("a", "F32", "[2]", 12, 20) + "," + tensor_json("empty", "F16", "[0,4]", 20, 20) +
      "," + tensor_json("codes", "I32", "[]", 20, 24) + "}  ";
  return safetensors_bytes(header, "0123456789abcdefghijklmn");
}

// A folder under the system's temporary one, gone with this object.
class TempFolder {
 public:
  TempFolder() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::temp_directory_path() /
            fmt::format("yunqi-{}-{}-{}", std::random_device()(), test->test_suite_name(),
                        test->name());
    std::filesystem::create_directories(path_);
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  Path operator/(std::string_view name) const { return path_ / name; }
  const Path& path() const { return path_; }
  Path write(std::string_view name, std::string_view bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return path_ / name;
  }

 private:
  Path path_;
};

}  // namespace yunqi::test
