// yunqi serve: models behind the HTTP API until a signal says stop. The first SIGTERM or Ctrl-C
// drains: new requests get 503, running ones end; the second stops now.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "app/command.h"
#include "app/serve_config.h"
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

Status load_models(const ServeConfig& config, Device& device, MetricsRegistry& metrics,
                   ModelPool& pool) {
  YQ_TRY(RuntimeOptions options, config.model.runtime_options());
  options.engine.max_sequences = config.max_sequences;
  options.engine.queue_limit = static_cast<size_t>(config.queue_limit);
  const std::vector<std::string> names =
      config.models.empty() ? std::vector<std::string>{""} : config.models;
  std::vector<std::string> aliases = config.aliases;
  for (const std::string& name : names) {
    YQ_TRY(const InstalledModel installed, resolve_model(name));
    const int64_t start = system_clock().now_ns();
    YQ_TRY(std::shared_ptr<LoadedModel> model,
           LoadedModel::load(installed.path, served_name(installed), device, options,
                             system_clock(), &metrics));
    const LoadedModel::Parts& parts = model->parts();
    log_info("loaded {} in {} ms: {}, {:.0f} M parameters, {:.0f} MB of weights, context {}, {}",
             model->id(), (system_clock().now_ns() - start) / 1'000'000, parts.architecture,
             static_cast<double>(parts.parameters) / 1e6,
             static_cast<double>(parts.weight_bytes) / 1e6, parts.max_context, parts.fingerprint);
    if (!parts.template_error.empty()) {
      log_warning("{}: chat is off: {}", model->id(), parts.template_error);
    }
    YQ_RETURN_IF_ERROR(pool.add(std::move(model), std::exchange(aliases, {})));
  }
  return Status::ok();
}

// Waits for the first signal, drains, and returns early when a second one comes.
void serve_until_stopped(ApiService& service, HttpServer& server, int drain_timeout_s) {
  int seen = 0;
  while ((seen = wait_for_stop_signal(0, 60'000)) == 0) {
  }
  log_info("draining: running requests end, new ones get 503; a second signal stops now");
  service.begin_drain();
  std::thread drain([&] { server.drain(int64_t{drain_timeout_s} * 1000); });
  const int64_t deadline = system_clock().now_ns() + int64_t{drain_timeout_s} * 1'000'000'000;
  while (server.open_connections() > 0 && system_clock().now_ns() < deadline) {
    if (wait_for_stop_signal(1, 50) > 1) {
      server.drain(0);
      break;
    }
  }
  drain.join();
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
  ModelPool pool;
  YQ_RETURN_IF_ERROR(load_models(config, *device, metrics, pool));
  if (stop_signals() > 0) return error(Code::kCancelled, "interrupted");

  ApiService service({.api_keys = config.api_keys}, pool, metrics, system_clock());
  YQ_TRY(const std::unique_ptr<HttpServer> server,
         HttpServer::start(
             config.http, [&](const HttpRequest& request) { return service.handle(request); },
             error_body));
  const bool v6 = config.http.host.find(':') != std::string::npos;
  std::fprintf(stderr, "ready on http://%s%s%s:%d\n", v6 ? "[" : "", config.http.host.c_str(),
               v6 ? "]" : "", server->port());
  serve_until_stopped(service, *server, config.drain_timeout_s);
  log_info("stopped");
  return Status::ok();
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
  command.add_option("--cors-origin", config.http.cors_origins,
                     "web origin that may call the API (repeatable)");
  command.add_option("--allow-host", config.http.allowed_hosts,
                     "Host header to answer beside loopback names (repeatable)");
  command.add_option("--max-sequences", config.max_sequences, "requests that run at once")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command.add_option("--queue-limit", config.queue_limit, "requests that may wait")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  command.add_option("--drain-timeout", config.drain_timeout_s, "seconds to wait for requests")
      ->check(CLI::Range(0, 86400))
      ->capture_default_str();
  command.add_flag("--check-config", flags->check_only, "check and print the config, then exit");
  config.model.add_to(command);
  command.callback([&action, flags] { action = [flags] { return serve(*flags); }; });
}

}  // namespace yunqi
