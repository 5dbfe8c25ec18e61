// See fingerprint.h.
#include "runtime/fingerprint.h"

#include <fmt/format.h>

#include "base/build_id.h"
#include "base/sha256.h"

namespace yunqi {
namespace {

constexpr std::string_view kVersion = "yunqi-0.1.0";
constexpr size_t kHexDigits = 16;

}  // namespace

std::string system_fingerprint(const FingerprintParts& parts) {
  Sha256 hash;
  const auto add = [&](std::string_view name, std::string_view text) {
    // Lengths keep what moves from one part to its neighbour apart.
    hash.update(fmt::format("{} {}\n", name, text.size())).update(text);
  };
  add("build", parts.build);
  add("kernels", parts.kernels);
  add("checkpoint", parts.checkpoint);
  add("config", parts.config);
  add("tokenizer", parts.tokenizer);
  add("chat_template", parts.chat_template);
  add("packing", parts.packing);
  add("kv", parts.kv);
  add("adapter", parts.adapter);
  add("rope", parts.rope);
  add("sampler", parts.sampler);
  return "fp_" + to_hex(hash.finish()).substr(0, kHexDigits);
}

std::string build_name() { return fmt::format("{} {} {}", kVersion, __VERSION__, build_id()); }

}  // namespace yunqi
