// See assembled.h.
#include "checkpoint/assembled.h"

#include <algorithm>
#include <numeric>

#include "base/sha256.h"
#include "checkpoint/limits.h"

namespace yunqi {
namespace {

// A fingerprint reads up to kSampleBytes at kSamplesTotal places spread over the checkpoint, and
// at least one place of each tensor, so that it is cheap whatever the size.
constexpr size_t kSampleBytes = 256, kSamplesTotal = 4'096, kSamplesPerTensor = 16;

// Numbers and texts with their lengths, so that no two lists of parts look alike.
void hash_number(Sha256& hash, uint64_t number) {
  hash.update(std::as_bytes(std::span(&number, 1)));
}
void hash_text(Sha256& hash, std::string_view text) {
  hash_number(hash, text.size());
  hash.update(text);
}

void hash_samples(Sha256& hash, std::span<const std::byte> bytes, size_t samples) {
  if (bytes.size() <= samples * kSampleBytes) {
    hash.update(bytes);
    return;
  }
  const size_t room = bytes.size() - kSampleBytes;  // the last sample ends with the tensor
  for (size_t i = 0; i < samples; ++i) {
    const size_t at = samples == 1 ? room / 2 : room * i / (samples - 1);
    hash.update(bytes.subspan(at, kSampleBytes));
  }
}

class AssembledCheckpoint final : public Checkpoint {
 public:
  AssembledCheckpoint(CheckpointParts parts, std::vector<uint32_t> by_name)
      : parts_(std::move(parts)), by_name_(std::move(by_name)) {}

  const Json& config() const override { return parts_.config; }
  const Json& generation_config() const override { return parts_.generation_config; }
  const TokenizerFiles& tokenizer() const override { return parts_.tokenizer; }
  const std::string& chat_template() const override { return parts_.chat_template; }
  const Json& metadata() const override { return parts_.metadata; }
  std::span<const Tensor> tensors() const override { return parts_.tensors; }
  std::string_view format() const override { return parts_.format; }
  std::span<const Path> files() const override { return parts_.files; }

  const Tensor* find(std::string_view name) const override {
    const auto at = std::lower_bound(
        by_name_.begin(), by_name_.end(), name,
        [&](uint32_t index, std::string_view want) { return parts_.tensors[index].name < want; });
    if (at == by_name_.end() || parts_.tensors[*at].name != name) return nullptr;
    return &parts_.tensors[*at];
  }

  std::string fingerprint() const override {
    Sha256 hash;
    hash_text(hash, parts_.format);
    hash_text(hash, parts_.config.dump());
    hash_text(hash, parts_.chat_template);
    hash_number(hash, parts_.tensors.size());
    const size_t samples = std::clamp<size_t>(
        kSamplesTotal / std::max<size_t>(parts_.tensors.size(), 1), 1, kSamplesPerTensor);
    for (const uint32_t index : by_name_) {  // by name: the order in the file means nothing
      const Tensor& tensor = parts_.tensors[index];
      hash_text(hash, tensor.name);
      hash_text(hash, dtype_info(tensor.dtype).name);
      hash_number(hash, tensor.shape.size());
      for (const int64_t dimension : tensor.shape) {
        hash_number(hash, static_cast<uint64_t>(dimension));
      }
      hash_number(hash, tensor.bytes.size());
      hash_samples(hash, tensor.bytes, samples);
    }
    return to_hex(hash.finish());
  }

 private:
  const CheckpointParts parts_;
  const std::vector<uint32_t> by_name_;  // indices into parts_.tensors, sorted by name
};

}  // namespace

Result<std::unique_ptr<Checkpoint>> assemble_checkpoint(CheckpointParts parts) {
  if (parts.tensors.size() > kMaxTensors) {
    return error(Code::kTooLarge, "want at most {} tensors, found {}", kMaxTensors,
                 parts.tensors.size());
  }
  std::vector<uint32_t> by_name(parts.tensors.size());
  std::iota(by_name.begin(), by_name.end(), 0u);
  const auto name = [&](uint32_t i) -> const std::string& { return parts.tensors[i].name; };
  std::sort(by_name.begin(), by_name.end(),
            [&](uint32_t a, uint32_t b) { return name(a) < name(b); });
  for (size_t i = 1; i < by_name.size(); ++i) {
    if (name(by_name[i - 1]) == name(by_name[i])) {
      return error(Code::kBadFile, "tensor {} stands in the checkpoint twice", name(by_name[i]));
    }
  }
  return std::unique_ptr<Checkpoint>(
      std::make_unique<AssembledCheckpoint>(std::move(parts), std::move(by_name)));
}

}  // namespace yunqi
