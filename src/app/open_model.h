// What every program that runs a model shares: its flags, and opening it on this machine's device.
#pragma once

#include <memory>
#include <string>

#include "base/metrics.h"
#include "base/result.h"
#include "hub/hub.h"
#include "ops/device.h"
#include "runtime/loaded_model.h"

namespace CLI {
class App;
}

namespace yunqi {

struct ModelFlags {
  std::string model;
  int threads = 0;
  int64_t context = 0;
  std::string kv_memory;             // "2GiB", "" = default
  std::string kv = "f16";            // int8 | f16 | f32
  std::string activations = "int8";  // int8 | f32

  // --threads, --context, --kv-memory, --kv, --activations.
  void add_to(CLI::App& command);
  Result<RuntimeOptions> runtime_options() const;
};

// "512MiB", "2G", "1000000" in bytes; units are powers of 1024.
Result<uint64_t> parse_bytes(const std::string& text);

// The model that a name stands for, pulled first (with a progress bar) when it is a catalogue,
// hub or URL name that is not installed. An empty name takes the newest installed, else the
// default of DESIGN section 2.
Result<InstalledModel> resolve_model(const std::string& name);

// The name that clients use for it: its own, or a path's last part.
std::string served_name(const InstalledModel& model);

// Pulls with a progress bar on a terminal, or a line every few seconds elsewhere.
Result<InstalledModel> pull_with_progress(Hub& hub, const std::string& name);

// Members in the order of destruction, last first.
struct OpenedModel {
  std::unique_ptr<Device> device;
  std::unique_ptr<MetricsRegistry> metrics;
  std::shared_ptr<LoadedModel> model;
};
Result<OpenedModel> open_model(const ModelFlags& flags);

}  // namespace yunqi
