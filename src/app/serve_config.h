// What `yunqi serve` is told: flags over environment over a TOML file; unknown keys are errors.
#pragma once

#include <string>
#include <vector>

#include "app/open_model.h"
#include "base/result.h"
#include "http/server.h"

namespace yunqi {

struct ServeConfig {
  std::vector<std::string> models;   // empty: the newest installed, else the default
  std::vector<std::string> aliases;  // for the first model
  ModelFlags model;                  // shared by all models
  int max_sequences = 64;
  int queue_limit = 512;
  std::vector<std::string> api_keys;
  HttpServerOptions http;
  int drain_timeout_s = 30;
};

// Reads the TOML file over the defaults in `config`. Errors name file, line and key.
Status read_config_file(const std::string& path, ServeConfig& config);
// The rules that hold however a value came in: a public address needs a key, ports fit, ...
Status check_config(const ServeConfig& config);
// For the start-up log and --check-config; keys are not shown.
std::string describe_config(const ServeConfig& config);

}  // namespace yunqi
