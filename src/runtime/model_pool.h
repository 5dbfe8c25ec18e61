// The models of a server, by the names clients use: declared ones are loaded when first asked for
// and unloaded when idle or when memory is short; those added are always there. One thread loads
// and unloads, one ends waits that last too long; everything public is thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "runtime/load_progress.h"
#include "runtime/loaded_model.h"

namespace yunqi {

enum class ModelState { kUnloaded, kLoading, kReady, kUnloading, kFailed };
// "unloaded", "loading", "ready", "unloading", "failed".
std::string_view model_state_name(ModelState state);

// A model that can be loaded.
struct ModelSource {
  std::string id;
  std::vector<std::string> aliases;
  uint64_t bytes = 0;         // memory it will take, as far as known before it is loaded
  int64_t keep_alive_ms = 0;  // idle for so long, it is unloaded; 0: only when memory is short
  bool pinned = false;        // never unloaded
  // Called on the pool's thread, never twice at once.
  std::function<Result<std::shared_ptr<LoadedModel>>(std::shared_ptr<LoadProgress>)> load;
};

struct ModelPoolOptions {
  uint64_t memory_bytes = 0;       // of all loaded models; 0: no limit
  int64_t load_wait_ms = 120'000;  // of one request, until its model is ready
  int64_t retry_ms = 10'000;       // a load that failed is not tried again sooner
  size_t max_waiting = 1024;       // requests that wait for models
  bool threads = true;             // false: tests call work() and expire()
};

class ModelPool {
 public:
  explicit ModelPool(ModelPoolOptions options = {}, const Clock& clock = system_clock(),
                     MetricsRegistry* metrics = nullptr);
  ~ModelPool();  // shutdown(), then unloads
  ModelPool(const ModelPool&) = delete;
  ModelPool& operator=(const ModelPool&) = delete;

  // A model that is there already, and stays. kInvalidArgument when a name is taken.
  Status add(std::shared_ptr<LoadedModel> model, std::vector<std::string> aliases = {});
  // A model to be loaded on demand. kInvalidArgument when a name is taken.
  Status declare(ModelSource source);

  using Ready = std::function<void(Result<std::shared_ptr<LoadedModel>>)>;
  // Calls `ready` exactly once. At once, on this thread: when the model is loaded, when the name
  // is unknown (kNotFound lists what there is), when its last load failed just now, or when too
  // many wait. Else later, on a thread of the pool: loaded, or kUnavailable with the reason. An
  // empty name is the first model. What it gives keeps the model loaded until it is dropped.
  void acquire(std::string_view name, Ready ready);
  // Waits for the same, however long the load takes, and gives its own error: for start-up.
  Result<std::shared_ptr<LoadedModel>> load(std::string_view name);

  struct Entry {
    std::string id;
    std::vector<std::string> aliases;
    ModelState state = ModelState::kUnloaded;
    double progress = 0;                 // of kLoading, 0 to 1
    std::string failure;                 // of kFailed
    int64_t users = 0;                   // requests that hold it
    int64_t waiting = 0;                 // requests that wait for it
    uint64_t bytes = 0;                  // what it takes, or will
    int64_t unload_in_ms = -1;           // when nobody uses it until then; -1: not
    std::shared_ptr<LoadedModel> model;  // of kReady; looking at it is no use
  };
  std::vector<Entry> entries() const;
  // kNotFound lists what there is.
  Result<Entry> entry(std::string_view name) const;

  // Ends its threads and every wait, with kUnavailable; returns when no callback runs any more.
  // What is loaded stays until the pool goes.
  void shutdown();

  // One load or unload, on this thread; false when there is nothing to do.
  bool work();
  // Ends waits that are over.
  void expire();

 private:
  struct State;
  const std::shared_ptr<State> state_;  // shared with what acquire() gave
};

}  // namespace yunqi
