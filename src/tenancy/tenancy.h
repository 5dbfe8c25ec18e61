// The front door for the service: who asks (authenticate), may it run (admit), what has been
// delivered (progress), what it costs (settle). Status codes are those of HTTP: kUnauthenticated
// 401, kPermission 403, kNotFound 404, kRateLimited 429, kUnavailable 503. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "store/ledger.h"
#include "store/ledger_audit.h"
#include "tenancy/access_cache.h"
#include "tenancy/accounts.h"
#include "tenancy/permissions.h"
#include "tenancy/quota_window.h"

namespace yunqi {

struct TenancyOptions {
  Secret pepper;  // load_pepper()
};

struct AdmitRequest {
  std::string request = {};  // the server's id of it
  std::string model = {};
  bool is_batch = false;
  // Upper bounds. input: prompt tokens; output: tokens of the answer; thinking: of the thinking.
  Usage most = {};
  std::string idempotency = {};  // the Idempotency-Key header; empty for none
  std::string fingerprint = {};  // of the request's content, where there is a key
};

// A request that was admitted; a value to keep with it until settle().
struct Reservation {
  int64_t id = 0;
  std::shared_ptr<const VersionedBook> book;  // shared by all requests of one price version
  const ModelPrice* price = nullptr;          // in `book`; null: free
  bool is_batch = false;
};

struct Admission {
  // OK also for a repeated Idempotency-Key: `outcome` says that nothing new may run.
  Status status;
  ReserveOutcome outcome = ReserveOutcome::kReserved;
  Reservation reservation;        // kReserved; only the id for kRunning and kAnswered
  Settlement answered;            // kAnswered: how the first request was settled
  std::vector<RateLimit> limits;  // every quota that applied, for rate_limit_headers()
  int64_t retry_after_ms = 0;     // with kRateLimited; 0: waiting will not help
};

class Tenancy {
 public:
  // Recovers what a crash left open. Store and clock outlive it.
  static Result<std::unique_ptr<Tenancy>> open(Store& store, const Clock& clock,
                                               const TenancyOptions& options);

  // `header` is a key, or "Bearer " and a key; `ip` the client's address. Unknown, wrong, expired
  // and revoked keys are kUnauthenticated, in words and work that do not tell an unknown id from a
  // wrong secret. A suspended organisation or a foreign network is kPermission.
  Result<Principal> authenticate(std::string_view header, std::string_view ip);
  // For the page. Argon2 runs for one caller at a time; the same work is done for unknown users.
  Result<Principal> log_in(std::string_view email, const Secret& password);
  // Everything that a tenant may do: where tenancy is off, on loopback.
  static Principal local();

  // Checks permission and model, reserves on every quota and the balance. Returns when durable.
  Admission admit(const Principal& principal, const AdmitRequest& request);
  // As admit() without waiting; `done` runs on the store's thread and must not wait. Compute may
  // begin meanwhile, but no byte may leave before `done` was called with OK.
  void admit(const Principal& principal, const AdmitRequest& request,
             std::function<void(Admission)> done);

  // Cumulative usage that the client's socket has accepted. Never waits.
  void progress(const Reservation& reservation, const Usage& delivered);
  // At the request's one exit. The result's amounts are for `usage.cost`. Errors need no retry:
  // the ledger keeps the settlement and makes it when the store is back.
  Result<Settlement> settle(const Reservation& reservation, const Usage& delivered,
                            SettleReason reason);
  // As settle() without waiting; `done` runs on the store's thread and must not wait.
  void settle(const Reservation& reservation, const Usage& delivered, SettleReason reason,
              SettleCallback done);

  // A new version of the price book, from the JSON that PriceBook::parse() reads.
  Result<int64_t> set_prices(const Principal& by, const Json& book);
  // A quota of an organisation, a team, a key or the server; returns its id.
  Result<std::string> set_quota(const Principal& by, std::string_view org, const QuotaRule& rule);
  Status credit(const Principal& by, std::string_view org, std::string_view currency,
                int64_t amount, std::string_view reference);
  // Re-adds the ledger and prices every settlement anew.
  Result<AuditReport> audit(const Principal& by);

  Accounts& accounts() { return accounts_; }
  Directory& directory() { return directory_; }
  Settings& settings() { return settings_; }
  Ledger& ledger() { return *ledger_; }

  Tenancy(Store& store, const Clock& clock, Secret pepper);  // by open()

 private:
  struct Plan;
  Result<Plan> plan(const Principal& principal, const AdmitRequest& request);
  Result<std::vector<QuotaRule>> rules_for(const Principal& principal, std::string_view model);
  static Admission conclude(const Plan& plan, Result<ReserveReply> reply);
  Status check_quota_target(const Principal& by, std::string_view org, const QuotaRule& rule);

  Store& store_;
  const Clock& clock_;
  const Secret pepper_;
  Directory directory_;
  Settings settings_;
  AccessCache cache_;
  Accounts accounts_;
  std::unique_ptr<Ledger> ledger_;
  std::mutex password_mutex_;  // one Argon2 at a time bounds its memory
};

}  // namespace yunqi
