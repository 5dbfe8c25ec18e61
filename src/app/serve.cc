// yunqi serve: models behind the HTTP API until a signal says stop. The first SIGTERM or Ctrl-C
// drains: new requests get 503, running ones end; the second stops now.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "app/command.h"
#include "app/serve_config.h"
#include "app/serve_drain.h"
#include "app/serve_models.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/signal.h"
#include "ops/cpu/cpu_device.h"
#include "runtime/model_pool.h"
#include "service/api_service.h"
#include "service/errors.h"

namespace yunqi {
namespace {

struct ServeFlags {
  ServeConfig config;
  Status config_status;  // of reading the file
  bool check_only = false;
};

// Waits for the first signal and drains; a second one stops now.
void serve_until_stopped(ApiService& service, HttpServer& server, int drain_timeout_s) {
  while (wait_for_stop_signal(0, 60'000) == 0) {
  }
  log_info("draining: running requests end, new ones get 503; a second signal stops now");
  service.begin_drain();
  drain_server(server, int64_t{drain_timeout_s} * 1000,
               [](int wait_ms) { return wait_for_stop_signal(1, wait_ms) > 1; });
}

Status serve(ServeFlags flags) {
  catch_stop_signals();
  YQ_RETURN_IF_ERROR(flags.config_status);
  const ServeConfig& config = flags.config;
  YQ_RETURN_IF_ERROR(check_config(config));
  log_info("config {}", describe_config(config));
  if (flags.check_only) return Status::ok();

  YQ_TRY(const std::unique_ptr<Device> device,
         make_cpu_device({.threads = config.model.threads, .isa = {}}));
  log_info("device {}", device->description());
  MetricsRegistry metrics;
  StepArbiter arbiter;
  YQ_TRY(const ModelPoolOptions limits, pool_options(config));
  ModelPool pool(limits, system_clock(), &metrics);
  YQ_RETURN_IF_ERROR(declare_models(config, {*device, metrics, arbiter}, pool));
  if (stop_signals() > 0) return error(Code::kCancelled, "interrupted");

  ApiService service({.api_keys = config.api_keys, .strict = config.strict}, pool, metrics,
                     system_clock());
  YQ_TRY(const std::unique_ptr<HttpServer> server,
         HttpServer::start(
             config.http, [&](const HttpRequest& request) { return service.handle(request); },
             error_body));
  const bool v6 = config.http.host.find(':') != std::string::npos;
  std::fprintf(stderr, "ready on http://%s%s%s:%d\n", v6 ? "[" : "", config.http.host.c_str(),
               v6 ? "]" : "", server->port());
  serve_until_stopped(service, *server, config.drain_timeout_s);
  pool.shutdown();  // its callbacks use the service
  log_info("stopped");
  return Status::ok();
}

void add_engine_flags(CLI::App& command, ServeConfig& config) {
  command.add_option("--max-sequences", config.max_sequences, "requests that run at once")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command.add_option("--queue-limit", config.queue_limit, "requests that may wait")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  command
      .add_option("--itl-target-ms", config.itl_target_ms,
                  "prompts of others may delay a stream's next token by so much; 0: by any")
      ->check(CLI::Range(0, 60'000))
      ->capture_default_str();
  command.add_flag("!--no-prefix-cache", config.prefix_cache,
                   "compute every prompt anew, for tests and comparisons");
  command.add_option("--cache-dir", config.cache_dir,
                     "folder that keeps the prefix cache over restarts");
  command.add_option("--cache-dir-size", config.cache_dir_size, "most that a model keeps there")
      ->capture_default_str();
  command.add_flag("!--no-speculation", config.speculation, "draft no tokens ahead");
  command
      .add_option("--prefill-chunk", config.prefill_chunk, "prompt tokens of one request in a step")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
}

void add_pool_flags(CLI::App& command, ServeConfig& config) {
  command.add_flag("--on-demand", config.on_demand, "load each model when it is first asked for");
  command.add_flag("--installed", config.installed, "serve every installed model, on demand");
  command
      .add_option("--keep-alive", config.keep_alive_s,
                  "seconds until an idle model that came on demand goes; 0 keeps it")
      ->check(CLI::Range(0, 31'536'000))
      ->capture_default_str();
  command.add_option("--model-memory", config.model_memory,
                     "memory for all models, e.g. 8GiB; idle ones make room");
  command
      .add_option("--load-timeout", config.load_timeout_s,
                  "seconds that a request waits for its model to be loaded")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
}

}  // namespace

void add_serve_command(CLI::App& root, Action& action) {
  auto flags = std::make_shared<ServeFlags>();
  ServeConfig& config = flags->config;
  CLI::App& command = *root.add_subcommand("serve", "Serve models over HTTP");
  // The library runs this as soon as it sees the flag and assigns all others at the end: flags and
  // environment win over the file wherever they stand.
  command
      .add_option_function<std::string>(
          "--config",
          [flags](const std::string& path) {
            flags->config_status = read_config_file(path, flags->config);
          },
          "TOML file")
      ->trigger_on_parse();
  command.add_option("models", config.models, "paths or names (default: newest installed)");
  command.add_option("--host", config.http.host, "address to listen on")->capture_default_str();
  command.add_option("--port", config.http.port, "port; 0 takes a free one")->capture_default_str();
  command.add_option("--alias", config.aliases, "another name for the first model");
  command.add_option("--api-key", config.api_keys, "key that clients must send (repeatable)")
      ->envname("YUNQI_API_KEY");
  command.add_flag("--strict", config.strict, "refuse request fields that would have no effect");
  command.add_option("--cors-origin", config.http.cors_origins,
                     "web origin that may call the API (repeatable)");
  command.add_option("--allow-host", config.http.allowed_hosts,
                     "Host header to answer beside loopback names (repeatable)");
  command.add_option("--drain-timeout", config.drain_timeout_s, "seconds to wait for requests")
      ->check(CLI::Range(0, 86400))
      ->capture_default_str();
  add_engine_flags(command, config);
  add_pool_flags(command, config);
  command.add_flag("--check-config", flags->check_only, "check and print the config, then exit");
  config.model.add_to(command);
  command.callback([&action, flags] { action = [flags] { return serve(*flags); }; });
}

}  // namespace yunqi
