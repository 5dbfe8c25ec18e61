// What `yunqi serve` is told: flags over environment over a TOML file; unknown keys are errors.
#pragma once

#include <string>
#include <vector>

#include "app/open_model.h"
#include "base/result.h"
#include "engine/engine.h"
#include "http/server.h"

namespace yunqi {

struct ServeConfig {
  std::vector<std::string> models;   // empty: the newest installed, else the default
  std::vector<std::string> aliases;  // for the first model
  ModelFlags model;                  // shared by all models
  int max_sequences = 64;
  int queue_limit = 512;
  int prefill_chunk = 256;
  int itl_target_ms = 100;
  bool prefix_cache = true;
  bool speculation = true;
  std::string cache_dir;                 // the prefix cache's second tier; "": none
  std::string cache_dir_size = "16GiB";  // of each model's part
  std::vector<std::string> api_keys;
  bool strict = false;  // request fields without effect are errors
  HttpServerOptions http;
  int drain_timeout_s = 30;
  // Many models: those named are loaded at start and stay, unless they too come on demand.
  bool on_demand = false;
  bool installed = false;    // every installed model can be asked for
  int keep_alive_s = 300;    // idle models that came on demand go after so long; 0: never
  std::string model_memory;  // of all models; "": most of what is free
  int load_timeout_s = 120;  // how long a request waits for its model
};

// Reads the TOML file over the defaults in `config`. Errors name file, line and key.
Status read_config_file(const std::string& path, ServeConfig& config);
// The rules that hold however a value came in: a public address needs a key, ports fit, ...
Status check_config(const ServeConfig& config);
// What each model's engine is told.
EngineOptions engine_options(const ServeConfig& config);
// Whether a host name or address means this machine only.
bool is_loopback_host(const std::string& host);
// For the start-up log and --check-config; keys are not shown.
std::string describe_config(const ServeConfig& config);

}  // namespace yunqi
