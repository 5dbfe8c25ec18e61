// See config_reader.h. YaRN's numbers follow transformers' modeling_rope_utils (behaviour only).
#include "model/config_reader.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/utf8.h"

namespace yunqi {
namespace {

constexpr size_t kMaxQuoted = 64;  // bytes of a file's text that a message repeats
constexpr int64_t kMaxPositions = int64_t{1} << 24;
constexpr double kMaxTheta = 1e12;
constexpr double kMaxRopeFactor = 4096;

std::string quoted_text(std::string_view text) {
  std::string out;
  append_json_string(out, sanitize_utf8(text.substr(0, kMaxQuoted)));
  return out;
}

std::string describe(const Json& value) {
  if (value.is_string()) return quoted_text(value.as_string());
  if (value.is_array() || value.is_object()) return std::string(value.type_name());
  return value.dump();
}

std::string join(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) {
    if (!out.empty()) out += "; ";
    out += part;
  }
  return out;
}

// The factor on cos and sin that goes with a stretch by `factor` (Peng et al. 2023, eq. 22).
double yarn_scale(double factor, double weight) {
  return factor <= 1 ? 1.0 : 0.1 * weight * std::log(factor) + 1.0;
}

void read_yarn(ConfigReader& scaling, RopeSpec& rope) {
  rope.yarn_original_positions =
      scaling.integer_or("original_max_position_embeddings", rope.max_positions, 1, kMaxPositions);
  const double implied =
      static_cast<double>(rope.max_positions) / static_cast<double>(rope.yarn_original_positions);
  rope.yarn_factor = scaling.real_or("factor", implied, 1, kMaxRopeFactor);
  rope.yarn_beta_fast = scaling.real_or("beta_fast", 32, 1e-3, 1e6);
  rope.yarn_beta_slow = scaling.real_or("beta_slow", 1, 1e-3, 1e6);
  double factor = yarn_scale(rope.yarn_factor, 1);
  if (scaling.has("mscale") && scaling.has("mscale_all_dim")) {
    const double scale = scaling.real_or("mscale", 1, 0, 100);
    const double all = scaling.real_or("mscale_all_dim", 1, 0, 100);
    if (scale > 0 && all > 0) {
      factor = yarn_scale(rope.yarn_factor, scale) / yarn_scale(rope.yarn_factor, all);
    }
  }
  rope.attention_factor = scaling.real_or("attention_factor", factor, 1e-3, 1e3);
  if (!scaling.flag_or("truncate", true)) {
    scaling.unsupported(fmt::format("{}: false", scaling.path("truncate")));
  }
  const double stretched = rope.yarn_factor * static_cast<double>(rope.yarn_original_positions);
  const int64_t reach = static_cast<int64_t>(std::min(stretched, double{kMaxPositions}));
  rope.max_positions = std::max(rope.max_positions, reach);
}

}  // namespace

std::string ConfigReader::path(std::string_view key) const {
  return prefix_.empty() ? std::string(key) : fmt::format("{}.{}", prefix_, key);
}

const Json* ConfigReader::find(std::string_view key) const {
  const Json* value = config_.find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

bool ConfigReader::has(std::string_view key) const { return find(key) != nullptr; }

int64_t ConfigReader::integer(std::string_view key, int64_t low, int64_t high) {
  if (!has(key)) {
    bad(fmt::format("{} is missing", path(key)));
    return low;
  }
  return integer_or(key, low, low, high);
}

int64_t ConfigReader::integer_or(std::string_view key, int64_t fallback, int64_t low,
                                 int64_t high) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_int() || value->as_int() < low || value->as_int() > high) {
    bad(fmt::format("{}: want an integer from {} to {}, found {}", path(key), low, high,
                    describe(*value)));
    return low;
  }
  return value->as_int();
}

double ConfigReader::real_or(std::string_view key, double fallback, double low, double high) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_number() || !(value->as_double() >= low && value->as_double() <= high)) {
    bad(fmt::format("{}: want a number from {} to {}, found {}", path(key), low, high,
                    describe(*value)));
    return low;
  }
  return value->as_double();
}

bool ConfigReader::flag_or(std::string_view key, bool fallback) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_bool()) {
    bad(fmt::format("{}: want true or false, found {}", path(key), describe(*value)));
    return fallback;
  }
  return value->as_bool();
}

std::string ConfigReader::text_or(std::string_view key, std::string_view fallback) {
  const Json* value = find(key);
  if (value == nullptr) return std::string(fallback);
  if (!value->is_string()) {
    bad(fmt::format("{}: want a string, found {}", path(key), describe(*value)));
    return std::string(fallback);
  }
  return value->as_string();
}

void ConfigReader::want_each(std::string_view key, std::string_view text) {
  const Json* list = find(key);
  if (list == nullptr) return;
  if (!list->is_array()) {
    return bad(fmt::format("{}: want a list, found {}", path(key), describe(*list)));
  }
  for (const Json& item : list->as_array()) {
    if (item == Json(text)) continue;
    return unsupported(fmt::format("{} {} (supported: {})", path(key), describe(item), text));
  }
}

ConfigReader ConfigReader::inside(std::string_view key) {
  static const Json kNothing;
  const Json* value = find(key);
  if (value != nullptr && !value->is_object()) {
    bad(fmt::format("{}: want an object, found {}", path(key), describe(*value)));
    value = nullptr;
  }
  return ConfigReader(value != nullptr ? *value : kNothing, *this, path(key));
}

Status ConfigReader::status() const {
  if (!bad_.empty()) return error(Code::kBadFile, "config: {}", join(bad_));
  if (!unsupported_.empty()) {
    return error(Code::kUnsupported, "the model asks for what is not supported: {}",
                 join(unsupported_));
  }
  return Status::ok();
}

RopeSpec read_rope(ConfigReader& config, int64_t head_dim) {
  RopeSpec rope;
  rope.rotary_dim = static_cast<int32_t>(head_dim);
  rope.max_positions = config.integer("max_position_embeddings", 1, kMaxPositions);
  ConfigReader scaling =
      config.inside(config.has("rope_scaling") ? "rope_scaling" : "rope_parameters");
  const double theta = config.real_or("rope_theta", 10000.0, 1.0 + 1e-9, kMaxTheta);
  rope.theta = scaling.real_or("rope_theta", theta, 1.0 + 1e-9, kMaxTheta);
  if (config.real_or("partial_rotary_factor", 1, 0, 1) != 1 ||
      scaling.real_or("partial_rotary_factor", 1, 0, 1) != 1) {
    config.unsupported("partial_rotary_factor other than 1");
  }
  const std::string type = scaling.text_or("rope_type", scaling.text_or("type", "default"));
  if (type == "yarn") {
    read_yarn(scaling, rope);
  } else if (type != "default") {
    config.unsupported(fmt::format("{} {} (supported: default, yarn)", scaling.path("rope_type"),
                                   quoted_text(type)));
  }
  return rope;
}

}  // namespace yunqi
