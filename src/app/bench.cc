// yunqi bench: the engine in process, without HTTP. One JSON line per number of users, with the
// machine's raw read bandwidth measured in the same run to judge decode by.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "app/bench_profile.h"
#include "app/command.h"
#include "app/open_model.h"
#include "app/read_rate.h"
#include "base/clock.h"
#include "base/cores.h"
#include "engine/model_executor.h"
#include "model/model.h"
#include "model/synthetic.h"
#include "ops/cpu/cpu_device.h"

namespace yunqi {
namespace {

struct BenchFlags {
  ModelFlags model;
  std::string synthetic, quant = "q4_k_m";
  int prompt = 512, generate = 128, repeat = 3;
  std::vector<int> users = {1};
  bool json = false, profile = false;
};

struct Measurement {
  int users = 0;
  double prefill_tokens_per_s = 0, decode_tokens_per_s = 0;
  double ttft_ms = 0;
  StepProfile prefill, decode;  // of the pass whose decode was fastest, when asked for
};

double seconds_since(int64_t start_ns) {
  return static_cast<double>(system_clock().now_ns() - start_ns) / 1e9;
}

EngineRequest request_of(const BenchFlags& flags, int user, int32_t vocab) {
  EngineRequest request;
  uint64_t state = 0x9E3779B97F4A7C15ull * static_cast<uint64_t>(user + 1);
  for (int i = 0; i < flags.prompt; ++i) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    request.prompt.push_back(static_cast<int32_t>((state >> 33) % static_cast<uint64_t>(vocab)));
  }
  request.sampling.temperature = 0;
  request.max_tokens = flags.generate;
  return request;
}

// All users start at once. Prefill lasts until the last first token; decode is what comes after.
Result<Measurement> measure(Engine& engine, const BenchFlags& flags, int users, int32_t vocab) {
  const int64_t start = system_clock().now_ns();
  std::vector<std::shared_ptr<TokenStream>> streams;
  for (int user = 0; user < users; ++user) {
    YQ_TRY(auto stream, engine.submit(request_of(flags, user, vocab)));
    streams.push_back(std::move(stream));
  }
  int64_t tokens_before_last_first = 0, tokens = 0;
  double last_first_s = 0;
  std::vector<bool> started(streams.size(), false);
  size_t open = streams.size(), waiting_first = streams.size();
  Status failed = Status::ok();
  const auto take = [&](size_t i, const TokenEvent& event) {
    if (event.kind == TokenEvent::Kind::kFinished) {
      if (event.finish == FinishReason::kError) failed = event.error;
      streams[i] = nullptr;
      --open;
      return;
    }
    ++tokens;
    if (!started[i]) --waiting_first;
    started[i] = true;
  };
  for (size_t i = 0; open > 0; i = (i + 1) % streams.size()) {
    if (streams[i] == nullptr) continue;
    const bool waited_first = waiting_first > 0;
    take(i, *streams[i]->next());
    YQ_RETURN_IF_ERROR(failed);
    if (!waited_first || waiting_first > 0) continue;
    // The last first token: what the other users have by now was made before it.
    last_first_s = seconds_since(start);
    for (size_t k = 0; k < streams.size(); ++k) {
      while (streams[k] != nullptr) {
        const std::optional<TokenEvent> event = streams[k]->try_next();
        if (!event.has_value()) break;
        take(k, *event);
      }
    }
    YQ_RETURN_IF_ERROR(failed);
    tokens_before_last_first = tokens;
  }
  const double total_s = seconds_since(start);
  Measurement out;
  out.users = users;
  out.ttft_ms = last_first_s * 1e3;
  out.prefill_tokens_per_s = static_cast<double>(users) * flags.prompt / last_first_s;
  const double decode_s = total_s - last_first_s;
  if (decode_s > 0) {
    out.decode_tokens_per_s = static_cast<double>(tokens - tokens_before_last_first) / decode_s;
  }
  return out;
}

void report(const BenchFlags& flags, const std::string& name, const ModelInfo& info,
            const Device& device, const Measurement& m, double read_rate) {
  const double bytes = static_cast<double>(info.weight_bytes_per_token);
  const double used = m.decode_tokens_per_s / std::max(1, m.users) * bytes / 1e9;
  Json line = Json::object({{"model", name},
                            {"device", device.description()},
                            {"users", m.users},
                            {"prompt", flags.prompt},
                            {"generate", flags.generate},
                            {"prefill_tokens_per_s", m.prefill_tokens_per_s},
                            {"decode_tokens_per_s", m.decode_tokens_per_s},
                            {"time_to_first_token_ms", m.ttft_ms},
                            {"weight_bytes_per_token", info.weight_bytes_per_token},
                            {"read_gb_per_s", read_rate},
                            {"decode_read_share", used / read_rate}});
  const int threads = flags.model.threads > 0 ? flags.model.threads : available_cores();
  if (flags.json) {
    if (flags.profile) {
      line.set("profile", Json::object({{"prefill", m.prefill.to_json(read_rate, threads)},
                                        {"decode", m.decode.to_json(read_rate, threads)}}));
    }
    std::printf("%s\n", line.dump().c_str());
  } else {
    std::printf("%-28s users %3d  prefill %8.1f tok/s  decode %8.1f tok/s  %3.0f%% of %.1f GB/s\n",
                name.c_str(), m.users, m.prefill_tokens_per_s, m.decode_tokens_per_s,
                100 * used / read_rate, read_rate);
    m.prefill.print("prefill", read_rate, threads);
    m.decode.print("decode", read_rate, threads);
  }
  std::fflush(stdout);
}

// Keys and values of `sequences` full contexts, with two pages to spare for each.
uint64_t kv_bytes_for(const Model& model, const Device& device, KvFormat format, int sequences,
                      int64_t context) {
  uint64_t bytes_per_page = 0;
  const int32_t page_tokens = KvLayout().page_tokens;
  for (const LayerState& state : model.state_spec()) {
    const auto* kv = std::get_if<PagedKv>(&state);
    if (kv == nullptr) continue;
    bytes_per_page += device.kv_page_bytes({kv->kv_heads, kv->head_dim, page_tokens, format});
  }
  const auto pages = static_cast<uint64_t>(context / page_tokens + 3);
  return bytes_per_page * pages * static_cast<uint64_t>(sequences);
}

Result<std::unique_ptr<Checkpoint>> open_checkpoint(const BenchFlags& flags, std::string& name) {
  if (!flags.synthetic.empty()) {
    name = "synthetic:" + flags.synthetic;
    return make_synthetic_checkpoint(flags.synthetic, flags.quant);
  }
  YQ_TRY(const InstalledModel installed, resolve_model(flags.model.model));
  name = served_name(installed);
  return Checkpoint::open(installed.path);
}

Status bench(const BenchFlags& flags) {
  YQ_TRY(const RuntimeOptions options, flags.model.runtime_options());
  std::string name;
  YQ_TRY(const std::unique_ptr<Checkpoint> checkpoint, open_checkpoint(flags, name));
  const int most_users = *std::max_element(flags.users.begin(), flags.users.end());
  LoadOptions load{.numerics = options.numerics};
  load.max_context = flags.prompt + flags.generate + 1;
  YQ_TRY(const std::unique_ptr<Device> cpu,
         make_cpu_device({.threads = flags.model.threads, .isa = {}}));
  BenchProfile profile;
  std::unique_ptr<Device> profiled;
  if (flags.profile) profiled = make_profiled_device(*cpu, profile.target());
  Device* const device = flags.profile ? profiled.get() : cpu.get();
  YQ_TRY(std::unique_ptr<Model> model, load_model(*checkpoint, *device, load));
  const ModelInfo info = model->info();
  ModelExecutorOptions executor_options{.load = load};
  executor_options.max_logit_rows = std::max(64, most_users);
  executor_options.kv_bytes =
      kv_bytes_for(*model, *device, options.numerics.kv, most_users, load.max_context);
  YQ_TRY(std::unique_ptr<Executor> executor,
         make_model_executor(std::move(model), *device, executor_options));
  if (flags.profile) executor = profile.wrap(std::move(executor));
  EngineOptions engine_options;
  engine_options.max_sequences = most_users;
  // The same prompts come again in each round: what is measured is the work, not its reuse.
  engine_options.prefix_cache = false;
  engine_options.speculation = kSpeculationOff;
  engine_options.itl_target_ms = 0;  // prompts first, so that decoding is measured alone
  const std::unique_ptr<Engine> engine =
      Engine::create(std::move(executor), engine_options, system_clock(), nullptr);
  const double read_rate = read_gb_per_s(flags.model.threads);
  for (const int users : flags.users) {
    Measurement best;
    for (int pass = 0; pass < flags.repeat; ++pass) {
      profile.reset();
      YQ_TRY(const Measurement m, measure(*engine, flags, users, info.vocab_rows));
      if (flags.profile && m.decode_tokens_per_s > best.decode_tokens_per_s) {
        best.prefill = profile.prefill();
        best.decode = profile.decode();
      }
      best.users = users;
      best.ttft_ms = pass == 0 ? m.ttft_ms : std::min(best.ttft_ms, m.ttft_ms);
      best.prefill_tokens_per_s = std::max(best.prefill_tokens_per_s, m.prefill_tokens_per_s);
      best.decode_tokens_per_s = std::max(best.decode_tokens_per_s, m.decode_tokens_per_s);
    }
    report(flags, name, info, *device, best, read_rate);
  }
  return Status::ok();
}

}  // namespace

void add_bench_command(CLI::App& root, Action& action) {
  auto flags = std::make_shared<BenchFlags>();
  CLI::App& command = *root.add_subcommand("bench", "Measure the engine in process");
  command.add_option("model", flags->model.model, "path or name (default: newest installed)");
  command.add_option("--synthetic", flags->synthetic,
                     "random weights of true shape: qwen3:0.6b ...");
  command.add_option("--quant", flags->quant, "weight format of --synthetic: q4_k_m, q8_0, bf16")
      ->capture_default_str();
  command.add_option("--prompt", flags->prompt, "prompt tokens")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--generate", flags->generate, "tokens to generate")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  command.add_option("--users", flags->users, "users at once, e.g. 1,8,32")
      ->delimiter(',')
      ->check(CLI::Range(1, 256));
  command.add_option("--repeat", flags->repeat, "passes; the best counts")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  command.add_flag("--json", flags->json, "JSON lines");
  command.add_flag("--profile", flags->profile, "time of each kind of operation");
  flags->model.add_to(command);
  command.callback([&action, flags] { action = [flags] { return bench(*flags); }; });
}

}  // namespace yunqi
