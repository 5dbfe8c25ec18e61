// See serve_config.h.
#include "app/serve_config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "base/json.h"

namespace yunqi {
namespace {

using Setter = std::function<bool(const toml::node&)>;  // false: wrong type

Setter into(std::string& out) {
  return [&out](const toml::node& node) {
    const auto value = node.value_exact<std::string>();
    if (value) out = *value;
    return value.has_value();
  };
}

Setter into(bool& out) {
  return [&out](const toml::node& node) {
    const auto value = node.value_exact<bool>();
    if (value) out = *value;
    return value.has_value();
  };
}

template <typename Integer>
Setter into_integer(Integer& out, int64_t low, int64_t high) {
  return [&out, low, high](const toml::node& node) {
    const auto value = node.value_exact<int64_t>();
    if (!value || *value < low || *value > high) return false;
    out = static_cast<Integer>(*value);
    return true;
  };
}

Setter into(std::vector<std::string>& out) {
  return [&out](const toml::node& node) {
    const toml::array* list = node.as_array();
    if (list == nullptr) return false;
    std::vector<std::string> items;
    for (const toml::node& item : *list) {
      const auto value = item.value_exact<std::string>();
      if (!value) return false;
      items.push_back(*value);
    }
    out = std::move(items);
    return true;
  };
}

struct Key {
  std::string want;
  Setter set;
};

// Every key of the file, by "section.name".
std::map<std::string, Key> keys_of(ServeConfig& c) {
  return {
      {"serve.host", {"a string", into(c.http.host)}},
      {"serve.port", {"0 to 65535", into_integer(c.http.port, 0, 65535)}},
      {"serve.models", {"a list of strings", into(c.models)}},
      {"serve.aliases", {"a list of strings", into(c.aliases)}},
      {"serve.api_keys", {"a list of strings", into(c.api_keys)}},
      {"serve.strict", {"true or false", into(c.strict)}},
      {"serve.allowed_hosts", {"a list of strings", into(c.http.allowed_hosts)}},
      {"serve.cors_origins", {"a list of strings", into(c.http.cors_origins)}},
      {"serve.drain_timeout_s", {"0 to 86400", into_integer(c.drain_timeout_s, 0, 86400)}},
      {"serve.max_connections",
       {"1 to 1000000", into_integer(c.http.max_connections, 1, 1'000'000)}},
      {"serve.on_demand", {"true or false", into(c.on_demand)}},
      {"serve.installed", {"true or false", into(c.installed)}},
      {"serve.keep_alive_s", {"0 to 31536000", into_integer(c.keep_alive_s, 0, 31'536'000)}},
      {"serve.model_memory", {"a size such as \"8GiB\"", into(c.model_memory)}},
      {"serve.load_timeout_s", {"1 to 86400", into_integer(c.load_timeout_s, 1, 86400)}},
      {"engine.threads", {"0 to 1024", into_integer(c.model.threads, 0, 1024)}},
      {"engine.context", {"0 to 16777216", into_integer(c.model.context, 0, 1 << 24)}},
      {"engine.kv_memory", {"a size such as \"2GiB\"", into(c.model.kv_memory)}},
      {"engine.kv", {"a string", into(c.model.kv)}},
      {"engine.activations", {"a string", into(c.model.activations)}},
      {"engine.max_sequences", {"1 to 1024", into_integer(c.max_sequences, 1, 1024)}},
      {"engine.prefill_chunk", {"1 to 65536", into_integer(c.prefill_chunk, 1, 65536)}},
      {"engine.itl_target_ms", {"0 to 60000", into_integer(c.itl_target_ms, 0, 60'000)}},
      {"engine.prefix_cache", {"true or false", into(c.prefix_cache)}},
      {"engine.speculation", {"true or false", into(c.speculation)}},
      {"engine.cache_dir", {"a string", into(c.cache_dir)}},
      {"engine.cache_dir_size", {"a size such as \"16GiB\"", into(c.cache_dir_size)}},
      {"engine.queue_limit", {"1 to 100000", into_integer(c.queue_limit, 1, 100'000)}},
  };
}

Status apply(const std::string& path, const toml::table& file, ServeConfig& config) {
  const std::map<std::string, Key> keys = keys_of(config);
  for (const auto& [section, node] : file) {
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      return error(Code::kInvalidArgument, "{}:{}: want sections [serve] and [engine], found {}",
                   path, node.source().begin.line, std::string(section.str()));
    }
    for (const auto& [name, value] : *table) {
      const std::string full = fmt::format("{}.{}", section.str(), name.str());
      const auto key = keys.find(full);
      const auto line = value.source().begin.line;
      if (key == keys.end()) {
        std::string known;
        for (const auto& [each, unused] : keys) known += (known.empty() ? "" : ", ") + each;
        return error(Code::kInvalidArgument, "{}:{}: unknown key {}; known are {}", path, line,
                     full, known);
      }
      if (!key->second.set(value)) {
        return error(Code::kInvalidArgument, "{}:{}: {}: want {}", path, line, full,
                     key->second.want);
      }
    }
  }
  return Status::ok();
}

}  // namespace

Status read_config_file(const std::string& path, ServeConfig& config) {
  YQ_TRY(const std::string text, read_file(path, uint64_t{1} << 20));
  try {
    return apply(path, toml::parse(text, path), config);
  } catch (const toml::parse_error& failure) {
    return error(Code::kInvalidArgument, "{}:{}: {}", path, failure.source().begin.line,
                 failure.description());
  }
}

Status check_config(const ServeConfig& config) {
  if (!is_loopback_host(config.http.host) && config.api_keys.empty()) {
    return error(Code::kInvalidArgument,
                 "{} can be reached from other machines, and no API key is set; set one with "
                 "--api-key or YUNQI_API_KEY, or serve on 127.0.0.1",
                 config.http.host);
  }
  for (const std::string& key : config.api_keys) {
    if (key.empty()) {
      return error(Code::kInvalidArgument, "an API key is empty; want at least one character");
    }
  }
  YQ_RETURN_IF_ERROR(parse_bytes(config.cache_dir_size).status());
  if (!config.model_memory.empty()) {
    YQ_RETURN_IF_ERROR(parse_bytes(config.model_memory).status());
  }
  return config.model.runtime_options().status();
}

EngineOptions engine_options(const ServeConfig& config) {
  EngineOptions out;
  out.max_sequences = config.max_sequences;
  out.queue_limit = static_cast<size_t>(config.queue_limit);
  out.prefill_chunk = config.prefill_chunk;
  out.itl_target_ms = config.itl_target_ms;
  out.prefix_cache = config.prefix_cache;
  out.speculation = config.speculation ? kSpeculationAuto : kSpeculationOff;
  out.cache_dir = config.cache_dir;
  out.cache_dir_bytes = parse_bytes(config.cache_dir_size).value_or(out.cache_dir_bytes);
  return out;
}

bool is_loopback_host(const std::string& host) {
  if (host == "localhost" || host == "::1" || host == "[::1]") return true;
  // An address, not a name that begins like one.
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos;
}

std::string describe_config(const ServeConfig& config) {
  Json models = Json::array(), origins = Json::array();
  for (const std::string& name : config.models) models.push_back(Json(name));
  for (const std::string& origin : config.http.cors_origins) origins.push_back(Json(origin));
  return Json::object({{"host", config.http.host},
                       {"port", int{config.http.port}},
                       {"models", std::move(models)},
                       {"api_keys", static_cast<int64_t>(config.api_keys.size())},
                       {"cors_origins", std::move(origins)},
                       {"threads", config.model.threads},
                       {"context", config.model.context},
                       {"kv", config.model.kv},
                       {"activations", config.model.activations},
                       {"max_sequences", config.max_sequences},
                       {"queue_limit", config.queue_limit},
                       {"cache_dir", config.cache_dir},
                       {"drain_timeout_s", config.drain_timeout_s},
                       {"strict", config.strict},
                       {"on_demand", config.on_demand},
                       {"installed", config.installed},
                       {"keep_alive_s", config.keep_alive_s},
                       {"model_memory", config.model_memory},
                       {"load_timeout_s", config.load_timeout_s}})
      .dump();
}

}  // namespace yunqi
