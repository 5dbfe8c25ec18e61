// yunqi bench-serve: loads an OpenAI-compatible server and prints what its users would have seen.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include "app/bench_serve_load.h"
#include "app/command.h"
#include "app/serve_config.h"
#include "base/log.h"
#include "base/signal.h"
#include "http/client.h"

namespace yunqi {
namespace {

struct BenchServeFlags {
  LoadOptions load;
  std::string url, endpoint = "chat", prompt = "128", output = "128", extra_body, api_key;
  std::vector<std::string> goodput, headers;
  bool stop_at_eos = false, json = false, allow_remote = false;
};

// "http://host:port" of what people paste: with a slash, "/v1" or "/v1/" at its end.
std::string base_of(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  if (url.ends_with("/v1")) url.resize(url.size() - 3);
  while (url.ends_with('/')) url.pop_back();
  return url;
}

Status read_targets(const std::vector<std::string>& texts, LoadTargets& out) {
  for (const std::string& text : texts) {
    const size_t colon = text.find(':');
    const std::string name = text.substr(0, colon);
    double* target = name == "ttft"   ? &out.ttft_ms
                     : name == "tpot" ? &out.tpot_ms
                     : name == "e2el" ? &out.e2el_ms
                                      : nullptr;
    char* end = nullptr;
    const std::string number = colon == std::string::npos ? "" : text.substr(colon + 1);
    const double value = std::strtod(number.c_str(), &end);
    if (target == nullptr || number.empty() || *end != 0 || !(value > 0)) {
      return error(Code::kInvalidArgument,
                   "--goodput: want ttft:MS, tpot:MS or e2el:MS, found \"{}\"", text);
    }
    *target = value;
  }
  return Status::ok();
}

Status read_headers(const BenchServeFlags& flags, LoadOptions& out) {
  if (!flags.api_key.empty()) {
    out.headers.emplace_back("Authorization", "Bearer " + flags.api_key);
  }
  for (const std::string& header : flags.headers) {
    const size_t colon = header.find(": ");
    if (colon == std::string::npos || colon == 0) {
      return error(Code::kInvalidArgument, "--header: want \"Name: value\", found \"{}\"", header);
    }
    out.headers.emplace_back(header.substr(0, colon), header.substr(colon + 2));
  }
  return Status::ok();
}

Result<LoadOptions> load_options(const BenchServeFlags& flags) {
  LoadOptions out = flags.load;
  YQ_TRY(const UrlOrigin origin, url_origin(flags.url));
  if (!is_loopback_host(origin.host) && !flags.allow_remote) {
    return error(Code::kInvalidArgument,
                 "{} is another machine; loading it needs --allow-remote, and its owner's leave",
                 origin.host);
  }
  out.base_url = base_of(flags.url);
  out.chat = flags.endpoint == "chat";
  out.ignore_eos = !flags.stop_at_eos;
  YQ_TRY(out.prompt, LengthDistribution::parse(flags.prompt));
  YQ_TRY(out.output, LengthDistribution::parse(flags.output));
  YQ_RETURN_IF_ERROR(read_headers(flags, out));
  if (!flags.extra_body.empty()) {
    Result<Json> body = parse_json(flags.extra_body);
    if (!body.is_ok()) return body.status().with_context("--extra-body");
    if (!body->is_object()) {
      return error(Code::kInvalidArgument, "--extra-body: want a JSON object, found {}",
                   body->type_name());
    }
    out.extra_body = std::move(body).value();
  }
  return out;
}

// What was asked, before what came of it, as vLLM's files have it.
Json with_settings(const LoadOptions& load, const std::string& model, const Json& figures) {
  Json out = Json::object();
  out.set("endpoint_type", Json(load.chat ? "openai-chat" : "openai"));
  out.set("model_id", Json(model));
  out.set("num_prompts", Json(load.requests));
  out.set("request_rate", load.rate > 0 ? Json(load.rate) : Json("inf"));
  out.set("max_concurrency", Json(load.concurrency));
  out.set("turns", Json(load.turns));
  out.set("prefix_tokens", Json(load.prefix_tokens));
  for (const auto& [name, value] : figures.as_object()) out.set(name, value);
  return out;
}

Status bench_serve(const BenchServeFlags& flags) {
  catch_stop_signals();
  YQ_TRY(const LoadOptions load, load_options(flags));
  LoadSummary summary;
  YQ_RETURN_IF_ERROR(read_targets(flags.goodput, summary.targets));
  YQ_TRY(const Calibration server, calibrate(load));
  log_info("{}: model {}, {:.3f} tokens a word", load.base_url, server.model,
           server.tokens_per_word);
  const std::clock_t cpu = std::clock();
  YQ_TRY(summary.records, run_load(load, server, [] { return stop_signals() == 0; }));
  summary.client_cpu_s = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
  summary.concurrency = load.concurrency;
  const Json figures = load_report(summary);
  if (flags.json) {
    std::printf("%s\n", with_settings(load, server.model, figures).dump().c_str());
  } else {
    std::printf("%s", load_table(figures).c_str());
  }
  if (stop_signals() > 0) return error(Code::kCancelled, "interrupted");
  if (figures.find("completed")->as_int() == 0) {
    return error(Code::kUnavailable, "no request was answered: {}", figures.find("errors")->dump());
  }
  return Status::ok();
}

void add_load_flags(CLI::App& command, BenchServeFlags& flags) {
  LoadOptions& load = flags.load;
  command.add_option("--requests", load.requests, "how many in all")
      ->check(CLI::Range(int64_t{1}, int64_t{10'000'000}))
      ->capture_default_str();
  command.add_option("--duration", load.duration_s, "seconds after which nothing new starts");
  command.add_option("--concurrency", load.concurrency, "sessions at once (with --rate: at most)")
      ->check(CLI::Range(int64_t{1}, int64_t{4096}))
      ->capture_default_str();
  command.add_option("--rate", load.rate, "sessions a second, at random times (Poisson)")
      ->check(CLI::Range(0.0, 1e6));
  command
      .add_option("--prompt", flags.prompt,
                  "tokens: 128, uniform:64:256 or lognormal:128:0.5 (median, sigma)")
      ->capture_default_str();
  command.add_option("--output", flags.output, "tokens of each answer, likewise")
      ->capture_default_str();
  command.add_option("--prefix", load.prefix_tokens, "tokens that all sessions begin with")
      ->check(CLI::Range(int64_t{0}, kMaxLoadTokens));
  command.add_option("--turns", load.turns, "requests of a session, each with all before it")
      ->check(CLI::Range(int64_t{1}, int64_t{10'000}))
      ->capture_default_str();
  command.add_option("--tool", load.tool_tokens, "tokens of a tool's result after each answer")
      ->check(CLI::Range(int64_t{0}, kMaxLoadTokens));
  command.add_option("--tool-role", load.tool_role, "role of the tool's message")
      ->check(CLI::IsMember({"user", "tool"}))
      ->capture_default_str();
  command.add_option("--temperature", load.temperature, "0 is greedy")->capture_default_str();
  command.add_option("--seed", load.seed, "of lengths, texts and arrival times");
  command.add_option("--timeout-ms", load.timeout_ms, "of one request")->capture_default_str();
}

}  // namespace

void add_bench_serve_command(CLI::App& root, Action& action) {
  auto flags = std::make_shared<BenchServeFlags>();
  CLI::App& command = *root.add_subcommand("bench-serve", "Load a server and measure its answers");
  command.add_option("url", flags->url, "for example http://127.0.0.1:8080")->required();
  command.add_option("--endpoint", flags->endpoint, "which API")
      ->check(CLI::IsMember({"chat", "completions"}))
      ->capture_default_str();
  command.add_option("--model", flags->load.model, "default: the server's first");
  add_load_flags(command, *flags);
  command.add_option("--goodput", flags->goodput, "count requests within ttft:MS tpot:MS e2el:MS");
  command.add_option("--api-key", flags->api_key, "sent as a bearer token");
  command.add_option("--header", flags->headers, "\"Name: value\" (repeatable)");
  command.add_option("--extra-body", flags->extra_body, "JSON object set in every request");
  command.add_flag("--stop-at-eos", flags->stop_at_eos,
                   "answers may end early (default: ignore_eos)");
  command.add_flag("--json", flags->json, "one JSON object with vLLM's field names");
  command.add_flag("--allow-remote", flags->allow_remote, "load a machine that is not this one");
  command.callback([&action, flags] { action = [flags] { return bench_serve(*flags); }; });
}

}  // namespace yunqi
