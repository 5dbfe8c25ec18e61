// The ledger: RESERVE is durable before a request's first byte leaves, PROGRESS follows the bytes
// that a client accepted, SETTLE happens exactly once. Rows are only appended and chained by hash;
// quota counters, accounts and open reservations are working state changed in the same commits.
// docs/formats/ledger.md has the protocol and why it never over-bills. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "store/store.h"
#include "store/usage.h"

namespace yunqi {

inline constexpr size_t kMaxHolds = 64;            // quotas that one request counts against
inline constexpr size_t kMaxIdempotencyKey = 255;  // characters
inline constexpr int64_t kMaxRequestCost = 1'000'000'000'000'000;  // nano-units: a million units
inline constexpr int64_t kMaxCredit = 100'000'000'000'000'000;     // nano-units of one payment
inline constexpr int64_t kIdempotencySeconds = 86'400;
inline constexpr int64_t kLeaseSeconds = 30;  // a replica silent for so long counts as dead

enum class LedgerKind : int64_t { kReserve = 1, kSettle = 2, kCredit = 3 };

enum class SettleReason : int64_t {
  kNone = 0,       // rows that settle nothing
  kDone = 1,       // stop or length: the reply is complete
  kCancelled = 2,  // the client went away or cancelled
  kError = 3,      // the server failed the request
  kShutdown = 4,   // the server was stopped
  kRecovered = 5,  // the server died; settled at the last durable progress
};
std::string_view settle_reason_name(SettleReason reason);

// What a quota counts. Values are stored: never renumber.
enum class QuotaMetric : int64_t {
  kRequests = 1,
  kInputTokens = 2,   // all three input parts
  kOutputTokens = 3,  // answer and thinking
  kThinkingTokens = 4,
  kTotalTokens = 5,
  kCost = 6,         // nano-units
  kConcurrency = 7,  // requests running now
};
// What a settled request counts against `metric`.
int64_t metered(QuotaMetric metric, const Usage& usage, int64_t amount);

// A quota's counter, raised by `amount` while the request runs and corrected when it settles.
struct QuotaHold {
  std::string quota = {};  // its id, [a-z0-9_]
  int64_t starts = 0;      // first second of the window; 0 for concurrency and for all time
  QuotaMetric metric = QuotaMetric::kRequests;
  int64_t amount = 0;
  int64_t ceiling = 0;  // refused when the counter would be above
};

struct ReserveRequest {
  std::string request = {};  // the server's id of the request
  std::string org = {}, team = {}, api_key = {}, model = {};
  bool is_batch = false;
  int64_t price_version = 0;  // 0: no price, costs nothing
  std::string currency = {};
  Usage most = {};        // upper bounds: what the request may use
  int64_t most_cost = 0;  // nano-units; no settlement charges more
  std::vector<QuotaHold> holds = {};
  bool is_prepaid = false;       // the account's balance must cover most_cost
  std::string idempotency = {};  // the client's Idempotency-Key; empty for none
  std::string fingerprint =
      {};  // of the request's content: the same key with another content is refused
};

struct Settlement {
  int64_t reservation = 0;
  Usage usage = {};
  Cost cost = {};        // before the discount
  int64_t discount = 0;  // charged before under the same idempotency key, or above the reservation
  int64_t amount = 0;    // charged now: cost's sum less discount, never negative
  std::string currency = {};
  SettleReason reason = SettleReason::kNone;
  bool is_repeat = false;  // was settled before; this is that settlement, nothing was charged
};

enum class ReserveOutcome {
  kReserved,
  kQuotaRefused,    // refused_hold says which
  kBalanceRefused,  // prepaid and not covered
  kRunning,         // this idempotency key's first request still runs
  kAnswered,        // it has been answered: settled says for what
  kMismatch,        // this idempotency key belongs to another content
};

struct ReserveReply {
  ReserveOutcome outcome = ReserveOutcome::kReserved;
  int64_t reservation = 0;         // also of the earlier request for kRunning and kAnswered
  std::vector<int64_t> used = {};  // of each hold's counter, this request included when reserved
  size_t refused_hold = 0;
  Settlement settled = {};
};

struct Balance {
  std::string currency = {};
  int64_t credited = 0, charged = 0, reserved = 0;  // nano-units
};

struct LedgerRow {
  int64_t seq = 0, at = 0;
  LedgerKind kind = LedgerKind::kReserve;
  int64_t reservation = 0;  // the seq of its RESERVE row; 0 for credits
  std::string request = {}, org = {}, team = {}, api_key = {}, model = {};
  bool is_batch = false;
  int64_t price_version = 0;
  std::string currency = {};
  Usage usage = {};
  Cost cost = {};
  int64_t discount = 0, amount = 0;
  SettleReason reason = SettleReason::kNone;
  std::string note = {};
  std::string chain = {};  // hex SHA-256 over the row before's chain and this row
};
// The chain value of `row` (its own `chain` is not read) after a row with chain `before`.
std::string ledger_chain(std::string_view before, const LedgerRow& row);

// Done on the ledger's writer thread; must not wait.
using ReserveCallback = std::function<void(Result<ReserveReply>)>;
using SettleCallback = std::function<void(Result<Settlement>)>;

class Ledger {
 public:
  // Settles what dead servers left open, and keeps doing so. Store and clock outlive it.
  static Result<std::unique_ptr<Ledger>> open(Store& store, const Clock& clock);
  ~Ledger();

  // Returns when the reservation is durable. Refusals are outcomes; errors are the store's.
  Result<ReserveReply> reserve(const ReserveRequest& request);
  // As reserve() without waiting: the prompt may be computed meanwhile, the first byte may not
  // leave.
  void reserve(const ReserveRequest& request, ReserveCallback done);

  // Cumulative over the request; call it after the client's socket accepted the bytes. Never
  // waits; durable within the store's commit window. Smaller values than before are ignored.
  void progress(int64_t reservation, const Usage& usage, const Cost& cost);

  // Charges min(cost, what was reserved) and frees the rest. A second call changes nothing and
  // returns the first's result with is_repeat. kNotFound: no such reservation. When the store is
  // away the settlement is kept and made as soon as it is back.
  Result<Settlement> settle(int64_t reservation, const Usage& usage, const Cost& cost,
                            SettleReason reason);
  // As settle() without waiting.
  void settle(int64_t reservation, const Usage& usage, const Cost& cost, SettleReason reason,
              SettleCallback done);

  // Money paid in (or, negative, paid back). `reference` makes it idempotent within the org.
  Status credit(std::string_view org, std::string_view currency, int64_t amount,
                std::string_view reference);
  Result<std::vector<Balance>> balances(std::string_view org);
  Result<int64_t> open_reservations();

  // Settles the open reservations of servers that are gone; returns how many. Runs by itself too.
  Result<int64_t> recover();

  struct Impl;
  explicit Ledger(std::shared_ptr<Impl> impl);  // by open()

 private:
  std::shared_ptr<Impl> impl_;  // owned with the jobs that are queued in the store
};

}  // namespace yunqi
