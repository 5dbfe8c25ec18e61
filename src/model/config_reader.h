// Hyperparameters of a checkpoint's config.json, each with a type and a range. Problems are
// collected, so that one error names them all; a value that failed reads as a harmless one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "checkpoint/checkpoint.h"
#include "ops/device.h"

namespace yunqi {

class ConfigReader {
 public:
  // Borrows `config`.
  explicit ConfigReader(const Json& config) : config_(config) {}

  // A required integer in [low, high].
  int64_t integer(std::string_view key, int64_t low, int64_t high);
  // The same when absent or null means `fallback`.
  int64_t integer_or(std::string_view key, int64_t fallback, int64_t low, int64_t high);
  double real_or(std::string_view key, double fallback, double low, double high);
  bool flag_or(std::string_view key, bool fallback);
  std::string text_or(std::string_view key, std::string_view fallback);
  // Reports the list `key` as unsupported when one of its items is not `text`.
  void want_each(std::string_view key, std::string_view text);
  bool has(std::string_view key) const;  // present and not null
  // A reader of the object `key` that reports its problems here under "key."; {} when absent.
  ConfigReader inside(std::string_view key);

  // The values break the format's rules (kBadFile), or ask for what we can't do (kUnsupported).
  void bad(std::string problem) { root().bad_.push_back(std::move(problem)); }
  void unsupported(std::string feature) { root().unsupported_.push_back(std::move(feature)); }
  // "model.layers": the key as messages name it.
  std::string path(std::string_view key) const;

  // OK, or every problem in one line.
  Status status() const;

 private:
  ConfigReader(const Json& config, ConfigReader& parent, std::string prefix)
      : config_(config), parent_(&parent), prefix_(std::move(prefix)) {}
  ConfigReader& root() { return parent_ != nullptr ? parent_->root() : *this; }
  const Json* find(std::string_view key) const;

  const Json& config_;
  ConfigReader* parent_ = nullptr;
  std::string prefix_;
  std::vector<std::string> bad_, unsupported_;
};

// Rotary embedding from `rope_theta` and `rope_scaling`, or from `rope_parameters` as newer
// transformers write them; types "default" and "yarn", others are reported as unsupported.
// max_positions is the larger of `max_position_embeddings` and YaRN's factor times its original.
RopeSpec read_rope(ConfigReader& config, int64_t head_dim);

}  // namespace yunqi
