// What goes into the engine and what comes out: tokens only. Text, tenants and JSON live above.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/status.h"
#include "engine/sampling.h"

namespace yunqi {

// What a guard says of a token that was just chosen.
struct GuardVerdict {
  enum class Action { kGo, kStop, kForce };
  Action action = Action::kGo;
  std::vector<int32_t> forced;  // kForce: these tokens come next, whatever the model says
};

// The engine's one hook: stop strings, grammar, thinking budget and loop guard implement it above.
// Called on the engine thread, inside the step: must be quick and never block.
class TokenGuard {
 public:
  virtual ~TokenGuard() = default;
  // Tokens allowed next, a bit set over the vocabulary; empty allows all. Valid until accept().
  virtual std::span<const uint64_t> mask() = 0;
  // Called once for every output token in order, forced ones included; not for the stop id that
  // ends the request. kStop: the token is still emitted, then the request ends with kStop. A second
  // kForce replaces what is left of the first.
  virtual GuardVerdict accept(int32_t token) = 0;
};

// Who a request belongs to, as far as scheduling and cache isolation care.
struct Flow {
  uint64_t id = 0;
  uint32_t weight = 1;
  int32_t priority = 0;     // higher runs first
  int64_t deadline_ns = 0;  // on the engine's clock; 0: none
  uint64_t cache_salt = 0;
};

enum class FinishReason { kNone, kStop, kLength, kCancelled, kError, kShutdown };

struct EngineRequest {
  std::vector<int32_t> prompt;  // 1 to max_context - 1 ids, each < the model's vocabulary
  SamplingParams sampling;
  int32_t choice = 0;
  int64_t max_tokens = 0;             // > 0; the context limit also ends with kLength
  std::vector<int32_t> stop_ids;      // end ids and stop_token_ids; not emitted as tokens
  int32_t top_logprobs = -1;          // -1: none, 0: the chosen token's only, up to kMaxTopLogprobs
  bool prompt_logprobs = false;       // also score the prompt (echo)
  std::unique_ptr<TokenGuard> guard;  // may be null
  Flow flow;
  // Prompt positions where messages end, ascending: recurrent state is worth keeping there.
  std::vector<int32_t> checkpoints = {};
};

inline constexpr int32_t kMaxTopLogprobs = 20;
inline constexpr size_t kMaxStopIds = 64;
inline constexpr size_t kMaxLogitBias = 1024;
inline constexpr size_t kMaxCheckpoints = 4096;

struct TokenEvent {
  enum class Kind { kPrompt, kToken, kFinished };
  Kind kind = Kind::kToken;
  SampledToken token;  // kPrompt: a prompt token's own score, from the second token
                       // on, all of them before any kToken; kToken: the new token
  FinishReason finish = FinishReason::kNone;  // kFinished
  int32_t stop_id = -1;                       // kFinished by a stop id: which
  Status error;                               // kFinished with kError
  // kFinished: counts and times for usage and timings. cached_tokens of the prompt were found, not
  // computed.
  int64_t prompt_tokens = 0, cached_tokens = 0, output_tokens = 0;
  int64_t queue_ns = 0, prefill_ns = 0, decode_ns = 0;
};

// Wakes the engine's thread when it has nothing to do. Shared by engine and streams, so that a
// reader that outlives the engine rings into nothing. Thread-safe.
class Doorbell {
 public:
  void ring();
  // Returns when rung since the last wait, or after `timeout_ns` (< 0: never).
  void wait(int64_t timeout_ns);

 private:
  std::mutex mutex_;
  std::condition_variable rung_changed_;
  bool rung_ = false;  // guarded by mutex_
};

// The bounded channel of one sequence's events: engine thread -> one reader. A full channel pauses
// its own sequence only. Exactly one kFinished ends it.
class TokenStream {
 public:
  static constexpr size_t kCapacity = 256;
  // A sequence that a full channel paused goes on when this many events fit.
  static constexpr size_t kResumeRoom = kCapacity / 4;

  explicit TokenStream(std::shared_ptr<Doorbell> doorbell = nullptr)
      : doorbell_(std::move(doorbell)) {}

  // Reader side. next() waits; nullopt after kFinished was taken.
  std::optional<TokenEvent> next();
  std::optional<TokenEvent> try_next();
  // Called (from the engine thread) after events arrive; must be quick. Called at once when events
  // already wait. May still run while the reader takes kFinished: capture shared state.
  void set_listener(std::function<void()> listener);
  // Asks the engine to stop; state is freed within one step. Thread-safe, idempotent.
  void cancel();

  // Engine side.
  bool cancelled() const { return cancelled_.load(std::memory_order_acquire); }
  size_t room() const;  // events that fit, beside kFinished
  bool has_room(size_t events = 1) const { return room() >= events; }
  void push(TokenEvent event);  // kFinished always fits

 private:
  std::optional<TokenEvent> take(std::unique_lock<std::mutex>& lock);
  void grow();  // needs mutex_

  const std::shared_ptr<Doorbell> doorbell_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::vector<TokenEvent> ring_;  // guarded by mutex_; grows to kCapacity + 1
  size_t head_ = 0, count_ = 0;   // guarded by mutex_
  std::shared_ptr<const std::function<void()>> listener_;  // guarded by mutex_
  bool finished_pushed_ = false, finished_taken_ = false;  // guarded by mutex_
  std::atomic<bool> cancelled_{false};
};

}  // namespace yunqi
