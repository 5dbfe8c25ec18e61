// An Engine for service tests: each submitted request gets the next script's tokens at once, or
// none, or an error. It honours guards, stop ids and max_tokens as the real one does, and keeps
// what it was asked. Thread-safe.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "base/json.h"
#include "engine/engine.h"
#include "text/tokenizer.h"

namespace yunqi {

struct EngineScript {
  std::vector<int32_t> tokens;
  // How it ends when nothing ended it before: kStop is by `stop_id`.
  FinishReason finish = FinishReason::kStop;
  int32_t stop_id = -1;
  Status error;        // of kError
  Status refuse;       // what submit() says instead
  bool hold = false;   // no kFinished ever comes
  int64_t cached = 0;  // tokens of the prompt that the cache had
};

class ScriptedEngine final : public Engine {
 public:
  explicit ScriptedEngine(const Clock& clock) : clock_(clock) {}

  void add(EngineScript script);
  // Whether steps seem to go on (EngineStats::last_step_ns is now, else long ago).
  void set_busy(bool busy) { busy_ = busy; }
  // What each submitted request asked for, oldest first, with "cancelled" as of now.
  std::vector<Json> requests(const Tokenizer& tokenizer) const;

  Result<std::shared_ptr<TokenStream>> submit(EngineRequest request) override;
  void drain(int64_t) override {}
  EngineStats stats() const override;
  const ExecutorLimits& limits() const override { return limits_; }

 private:
  struct Submitted {
    EngineRequest request;
    std::shared_ptr<TokenStream> stream;
  };
  static void play(const EngineScript& script, EngineRequest& request, TokenStream& stream);

  const Clock& clock_;
  bool busy_ = true;
  ExecutorLimits limits_;
  mutable std::mutex mutex_;
  std::deque<EngineScript> scripts_;  // guarded by mutex_
  std::vector<Submitted> submitted_;  // guarded by mutex_
};

}  // namespace yunqi
