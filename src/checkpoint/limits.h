// Every size, count and depth that a weight file may ask for, in one place. Files over a limit are
// refused by name before memory is taken for them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace yunqi {

// Any weight file.
inline constexpr uint64_t kMaxTensorsPerFile = 65'536;
inline constexpr uint64_t kMaxTensors = 1'048'576;
inline constexpr uint64_t kMaxCheckpointFiles = 1'024;
inline constexpr uint64_t kMaxTensorNameBytes = 512;
inline constexpr int64_t kMaxLayers = 1'024;
// The vision towers of some models hold a five-dimensional convolution.
inline constexpr size_t kMaxSafetensorsRank = 5;

// GGUF.
inline constexpr uint32_t kMaxGgufRank = 4;
inline constexpr uint64_t kMaxGgufKeys = 65'536;
inline constexpr uint64_t kMaxGgufKeyBytes = 65'535;
inline constexpr uint64_t kMaxGgufAlignment = uint64_t{1} << 20;
inline constexpr uint64_t kMaxGgufTokens = 1'048'576;
inline constexpr uint64_t kMaxGgufMerges = 1'048'576;

// Folders and safetensors.
inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;
inline constexpr uint64_t kMaxConfigBytes = uint64_t{4} << 20;
inline constexpr uint64_t kMaxTokenizerBytes = uint64_t{64} << 20;  // tokenizer.json, vocab, merges
inline constexpr uint64_t kMaxTokenizerConfigBytes = uint64_t{16} << 20;
inline constexpr uint64_t kMaxChatTemplateBytes = uint64_t{1} << 20;
inline constexpr uint64_t kMaxIndexBytes = uint64_t{256} << 20;
inline constexpr size_t kMaxFolderEntries = 16'384;

}  // namespace yunqi
