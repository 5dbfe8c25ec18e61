// See open_model.h.
#include "app/open_model.h"

#include <CLI/CLI.hpp>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <mutex>

#include "base/clock.h"
#include "base/log.h"
#include "base/signal.h"
#include "base/terminal.h"
#include "ops/cpu/cpu_device.h"

namespace yunqi {
namespace {

std::string human_bytes(double bytes) {
  const char* units[] = {"B", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (bytes >= 1000 && unit < 4) {
    bytes /= 1000;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 1, units[unit]);
}

// Draws progress: a bar that redraws itself on a terminal, else one line every 5 seconds.
class ProgressLine {
 public:
  explicit ProgressLine(std::string name)
      : name_(std::move(name)), terminal_(is_terminal(StandardStream::kErr)) {}

  void show(const PullProgress& progress) {
    std::lock_guard lock(mutex_);
    const int64_t now = system_clock().now_ns();
    if (!terminal_ && shown_ && now - last_ns_ < 5'000'000'000) return;
    last_ns_ = now;
    shown_ = true;
    const std::string line = format(progress);
    if (terminal_) {
      std::fprintf(stderr, "\r%-*s", terminal_columns() - 1, line.c_str());
    } else {
      std::fprintf(stderr, "%s\n", line.c_str());
    }
    std::fflush(stderr);
  }

  void end() {
    std::lock_guard lock(mutex_);
    if (terminal_ && shown_) std::fputc('\n', stderr);
  }

 private:
  std::string format(const PullProgress& progress) const {
    const double total = static_cast<double>(progress.total_bytes);
    const double done = static_cast<double>(progress.done_bytes);
    if (total <= 0) return fmt::format("{}: {} {}", name_, progress.state, human_bytes(done));
    const double share = std::min(1.0, done / total);
    const int width = 24;
    const int filled = static_cast<int>(share * width);
    std::string bar(static_cast<size_t>(filled), '#');
    bar.resize(static_cast<size_t>(width), '.');
    std::string left;
    if (progress.bytes_per_second > 0 && done < total) {
      const int seconds = static_cast<int>((total - done) / progress.bytes_per_second);
      left = fmt::format(", {}/s, {}:{:02} left", human_bytes(progress.bytes_per_second),
                         seconds / 60, seconds % 60);
    }
    return fmt::format("{}: [{}] {:3.0f}% {} of {}{} ({})", name_, bar, share * 100,
                       human_bytes(done), human_bytes(total), left, progress.state);
  }

  std::string name_;
  bool terminal_;
  std::mutex mutex_;
  bool shown_ = false;   // guarded by mutex_
  int64_t last_ns_ = 0;  // guarded by mutex_
};

}  // namespace

void ModelFlags::add_to(CLI::App& command) {
  command.add_option("--threads", threads, "compute threads (default: cores this process may use)")
      ->check(CLI::Range(0, 1024));
  command.add_option("--context", context, "tokens a sequence may have (default: the model's)")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24));
  command.add_option("--kv-memory", kv_memory, "memory for keys and values, e.g. 2GiB");
  command.add_option("--kv", kv, "format of keys and values")
      ->check(CLI::IsMember({"int8", "f16", "f32"}))
      ->capture_default_str();
  command.add_option("--activations", activations, "format of activations in matrix products")
      ->check(CLI::IsMember({"int8", "f32"}))
      ->capture_default_str();
}

Result<uint64_t> parse_bytes(const std::string& text) {
  uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(end, text.data() + text.size());
  int shift = -1;
  if (unit.empty() || unit == "B") shift = 0;
  if (unit == "K" || unit == "KiB") shift = 10;
  if (unit == "M" || unit == "MiB") shift = 20;
  if (unit == "G" || unit == "GiB") shift = 30;
  if (failed != std::errc() || shift < 0 || number > (~uint64_t{0} >> shift)) {
    return error(Code::kInvalidArgument, "want a size such as 512MiB or 2GiB, found \"{}\"", text);
  }
  return number << shift;
}

Result<RuntimeOptions> ModelFlags::runtime_options() const {
  RuntimeOptions options;
  options.context = context;
  if (!kv_memory.empty()) {
    YQ_TRY(options.kv_bytes, parse_bytes(kv_memory));
  }
  options.numerics.kv = kv == "int8"  ? KvFormat::kInt8
                        : kv == "f32" ? KvFormat::kF32
                                      : KvFormat::kF16;
  options.numerics.activations =
      activations == "f32" ? ActivationFormat::kFloat32 : ActivationFormat::kInt8;
  return options;
}

Result<InstalledModel> pull_with_progress(Hub& hub, const std::string& name) {
  ProgressLine line(name);
  std::atomic<bool> cancel{false};
  PullOptions options;
  options.cancel = &cancel;
  options.on_progress = [&](const PullProgress& progress) {
    if (stop_signals() > 0) cancel.store(true);
    line.show(progress);
  };
  Result<InstalledModel> pulled = hub.pull(name, options);
  line.end();
  return pulled;
}

Result<InstalledModel> resolve_model(const std::string& name) {
  Hub hub(yunqi_home());
  if (!name.empty()) {
    Result<InstalledModel> found = hub.find(name);
    if (found.is_ok() || found.status().code() != Code::kNotFound) return found;
    // A path that is not there is an error, not something to download.
    if (name.find('/') == 0 || name.find("./") == 0 || name.ends_with(".gguf")) {
      if (name.find(':') == std::string::npos) return found;
    }
    Result<InstalledModel> pulled = pull_with_progress(hub, name);
    if (!pulled.is_ok() && pulled.status().code() == Code::kNotFound) return found;
    return pulled;
  }
  YQ_TRY(const std::vector<InstalledModel> installed, hub.list());
  if (!installed.empty()) return installed.front();
  Status why;
  for (const std::string& name_to_try : Catalogue::default_models()) {
    log_info("no model is installed; pulling {}", name_to_try);
    Result<InstalledModel> pulled = pull_with_progress(hub, name_to_try);
    if (pulled.is_ok() || pulled.status().code() == Code::kCancelled) return pulled;
    log_warning("{} can't be had: {}", name_to_try, pulled.status().message());
    why = pulled.status();
  }
  return why;
}

std::string served_name(const InstalledModel& model) {
  // A path says where a file lies on this machine: clients get its name only.
  if (model.name.find('/') == std::string::npos || model.name.find(':') != std::string::npos) {
    return model.name;
  }
  const Path path = model.path.has_filename() ? model.path : model.path.parent_path();
  return path.extension() == ".gguf" ? path.stem().string() : path.filename().string();
}

Result<OpenedModel> open_model(const ModelFlags& flags) {
  YQ_TRY(const RuntimeOptions options, flags.runtime_options());
  YQ_TRY(const InstalledModel installed, resolve_model(flags.model));
  OpenedModel opened;
  YQ_TRY(opened.device, make_cpu_device({.threads = flags.threads, .isa = {}}));
  opened.metrics = std::make_unique<MetricsRegistry>();
  YQ_TRY(opened.model, LoadedModel::load(installed.path, served_name(installed), *opened.device,
                                         options, system_clock(), opened.metrics.get()));
  return opened;
}

}  // namespace yunqi
