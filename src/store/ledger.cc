// Reserve, progress, settle and recovery, as jobs of the store's writer thread. What a job caches
// between transactions is either re-read (LedgerTail) or only decides what recovery looks at.
#include "store/ledger.h"

#include <algorithm>
#include <charconv>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "base/log.h"
#include "store/ledger_rows.h"

namespace yunqi {
namespace {

constexpr int64_t kMaxRecoveredAtOnce = 1'024;

// A reservations row, and the statement that reads it.
struct OpenReservation {
  LedgerRow row;  // reservation, who, model, price, and usage and cost so far
  int64_t held = 0;
  std::string holds, idempotency, instance;
};

OpenReservation read_open(const SqlRow& row) {
  OpenReservation out;
  out.row.reservation = row.integer(0);
  out.row.request = row.text(1);
  out.row.org = row.text(2);
  out.row.team = row.text(3);
  out.row.api_key = row.text(4);
  out.row.model = row.text(5);
  out.row.is_batch = row.flag(6);
  out.row.price_version = row.integer(7);
  out.row.currency = row.text(8);
  out.held = row.integer(9);
  out.holds = row.text(10);
  out.idempotency = row.text(11);
  out.instance = row.text(12);
  out.row.usage = read_parts<Tokens>(row, 14);
  out.row.cost = read_parts<NanoUnits>(row, 19);
  return out;
}

Settlement settlement_of(const LedgerRow& row, bool is_repeat) {
  return {.reservation = row.reservation,
          .usage = row.usage,
          .cost = row.cost,
          .discount = row.discount,
          .amount = row.amount,
          .currency = row.currency,
          .reason = row.reason,
          .is_repeat = is_repeat};
}

// "quota:starts:metric:amount;" for each, kept with the reservation to be undone when it settles.
std::string encode_holds(const std::vector<QuotaHold>& holds) {
  std::string out;
  for (const QuotaHold& hold : holds) {
    out += fmt::format("{}:{}:{}:{};", hold.quota, hold.starts, static_cast<int64_t>(hold.metric),
                       hold.amount);
  }
  return out;
}

std::vector<QuotaHold> decode_holds(std::string_view text) {
  std::vector<QuotaHold> out;
  const auto next = [&](char end) {
    const size_t at = std::min(text.find(end), text.size());
    const std::string_view part = text.substr(0, at);
    text.remove_prefix(std::min(at + 1, text.size()));
    return part;
  };
  const auto number = [&](char end) {
    const std::string_view digits = next(end);
    int64_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
  };
  while (!text.empty()) {
    QuotaHold hold;
    hold.quota = next(':');
    hold.starts = number(':');
    hold.metric = static_cast<QuotaMetric>(number(':'));
    hold.amount = number(';');
    out.push_back(std::move(hold));
  }
  return out;
}

Status add_to_counter(Sql& sql, const QuotaHold& hold, int64_t change) {
  if (change == 0) return Status::ok();
  return sql.execute("UPDATE quota_counters SET used = used + $3 WHERE quota = $1 AND starts = $2",
                     {hold.quota, hold.starts, change});
}

// Raises the counter unless it would pass the ceiling; `used` is what it then is.
Result<bool> take_hold(Sql& sql, const QuotaHold& hold, int64_t& used) {
  bool is_taken = false;
  const auto visit = [&](const SqlRow& row) {
    used = row.integer(0);
    is_taken = true;
    return Status::ok();
  };
  if (hold.amount <= hold.ceiling) {
    YQ_RETURN_IF_ERROR(sql.execute(
        "INSERT INTO quota_counters VALUES ($1, $2, $3) ON CONFLICT (quota, starts) DO UPDATE "
        "SET used = quota_counters.used + excluded.used "
        "WHERE quota_counters.used + excluded.used <= $4 RETURNING used",
        {hold.quota, hold.starts, hold.amount, hold.ceiling}, visit));
    if (is_taken) return true;
  }
  used = 0;
  YQ_RETURN_IF_ERROR(sql.execute("SELECT used FROM quota_counters WHERE quota = $1 AND starts = $2",
                                 {hold.quota, hold.starts}, visit));
  return false;
}

Status validate(const ReserveRequest& request) {
  if (request.holds.size() > kMaxHolds) {
    return error(Code::kTooLarge, "want at most {} quotas for one request, found {}", kMaxHolds,
                 request.holds.size());
  }
  if (request.idempotency.size() > kMaxIdempotencyKey) {
    return error(Code::kInvalidArgument, "Idempotency-Key: want at most {} characters, found {}",
                 kMaxIdempotencyKey, request.idempotency.size());
  }
  const bool is_negative_hold = std::any_of(request.holds.begin(), request.holds.end(),
                                            [](const QuotaHold& hold) { return hold.amount < 0; });
  if (request.most.has_negative() || request.most_cost < 0 || is_negative_hold) {
    return error(Code::kInvalidArgument, "want amounts to reserve that are not negative");
  }
  if (request.most_cost > kMaxRequestCost) {
    return error(Code::kInvalidArgument, "want a request of at most {} nano-units, found {}",
                 kMaxRequestCost, request.most_cost);
  }
  return Status::ok();
}

}  // namespace

int64_t metered(QuotaMetric metric, const Usage& usage, int64_t amount) {
  const int64_t input = usage.input + usage.cached_input + usage.cache_creation;
  const int64_t output = usage.output + usage.thinking;
  switch (metric) {
    case QuotaMetric::kRequests:
      return 1;
    case QuotaMetric::kInputTokens:
      return input;
    case QuotaMetric::kOutputTokens:
      return output;
    case QuotaMetric::kThinkingTokens:
      return usage.thinking;
    case QuotaMetric::kTotalTokens:
      return input + output;
    case QuotaMetric::kCost:
      return amount;
    case QuotaMetric::kConcurrency:
      return 0;
  }
  return 0;
}

struct Ledger::Impl {
  struct Final {
    Usage usage;
    Cost cost;
    SettleReason reason = SettleReason::kDone;
  };

  Store& store;
  const Clock& clock;
  LedgerTail tail;            // writer thread
  std::set<int64_t> running;  // writer thread: reservations this process will settle itself

  std::mutex mutex;
  std::map<int64_t, Final> progress;   // guarded by mutex: not yet written
  bool is_progress_posted = false;     // guarded by mutex
  std::map<int64_t, Final> unsettled;  // guarded by mutex: the store was away

  Impl(Store& s, const Clock& c) : store(s), clock(c) {}
  void forget(const ReserveReply& reply) {
    if (reply.outcome == ReserveOutcome::kReserved) running.erase(reply.reservation);
  }

  Status reserve(Sql& sql, const ReserveRequest& request, ReserveReply& reply);
  Result<bool> repeat_of(Sql& sql, const ReserveRequest& request, ReserveReply& reply);
  Result<bool> take_holds(Sql& sql, const ReserveRequest& request, ReserveReply& reply);
  Status record(Sql& sql, const ReserveRequest& request, ReserveReply& reply);
  Status write_progress(Sql& sql, const std::map<int64_t, Final>& latest);
  Status settle(Sql& sql, int64_t reservation, const Final& final, Settlement& out);
  Status close(Sql& sql, OpenReservation open, const Final& final, Settlement& out);
  Status find_settled(Sql& sql, int64_t reservation, Settlement& out);
  Status recover(Sql& sql, int64_t& settled);
  Status renew_lease(Sql& sql);
  Status tick(Sql& sql);
};

// True when an earlier request under the same idempotency key decides the outcome.
Result<bool> Ledger::Impl::repeat_of(Sql& sql, const ReserveRequest& request, ReserveReply& reply) {
  bool is_known = false, is_same = false;
  YQ_RETURN_IF_ERROR(sql.execute(
      "SELECT reservation, fingerprint FROM idempotency WHERE org = $1 AND idempotency = $2 "
      "AND expires > $3",
      {request.org, request.idempotency, clock.unix_seconds()}, [&](const SqlRow& row) {
        is_known = true;
        reply.reservation = row.integer(0);
        is_same = row.text(1) == request.fingerprint;
        return Status::ok();
      }));
  if (!is_known) return false;
  if (!is_same) {
    reply.outcome = ReserveOutcome::kMismatch;
    return true;
  }
  const Status settled = find_settled(sql, reply.reservation, reply.settled);
  if (settled.code() == Code::kNotFound) {
    reply.outcome = ReserveOutcome::kRunning;
    return true;
  }
  YQ_RETURN_IF_ERROR(settled);
  // One that was cut short may run again; what it was charged is taken off the new bill.
  if (reply.settled.reason != SettleReason::kDone) return false;
  reply.outcome = ReserveOutcome::kAnswered;
  return true;
}

// True when all counters were raised; otherwise none is.
Result<bool> Ledger::Impl::take_holds(Sql& sql, const ReserveRequest& request,
                                      ReserveReply& reply) {
  reply.used.assign(request.holds.size(), 0);
  for (size_t i = 0; i < request.holds.size(); ++i) {
    YQ_TRY(const bool is_taken, take_hold(sql, request.holds[i], reply.used[i]));
    if (is_taken) continue;
    reply.outcome = ReserveOutcome::kQuotaRefused;
    reply.refused_hold = i;
    for (size_t back = 0; back < i; ++back) {
      YQ_RETURN_IF_ERROR(add_to_counter(sql, request.holds[back], -request.holds[back].amount));
    }
    return false;
  }
  return true;
}

Status Ledger::Impl::reserve(Sql& sql, const ReserveRequest& request, ReserveReply& reply) {
  reply = {};
  if (!request.idempotency.empty()) {
    YQ_TRY(const bool is_decided, repeat_of(sql, request, reply));
    if (is_decided) return Status::ok();
    reply = {};
  }
  if (request.is_prepaid) {
    int64_t available = 0;
    YQ_RETURN_IF_ERROR(sql.execute(
        "SELECT credited - charged - reserved FROM accounts WHERE org = $1 AND currency = $2",
        {request.org, request.currency}, [&](const SqlRow& row) {
          available = row.integer(0);
          return Status::ok();
        }));
    if (available < request.most_cost) {
      reply.outcome = ReserveOutcome::kBalanceRefused;
      return Status::ok();
    }
  }
  YQ_TRY(const bool is_within, take_holds(sql, request, reply));
  return is_within ? record(sql, request, reply) : Status::ok();
}

Status Ledger::Impl::record(Sql& sql, const ReserveRequest& request, ReserveReply& reply) {
  LedgerRow row{.at = clock.unix_seconds(),
                .kind = LedgerKind::kReserve,
                .request = request.request,
                .org = request.org,
                .team = request.team,
                .api_key = request.api_key,
                .model = request.model,
                .is_batch = request.is_batch,
                .price_version = request.price_version,
                .currency = request.currency,
                .usage = request.most,
                .amount = request.most_cost};
  YQ_RETURN_IF_ERROR(tail.append(sql, row));
  reply.reservation = row.seq;
  const std::string holds = encode_holds(request.holds);
  YQ_RETURN_IF_ERROR(sql.execute(
      "INSERT INTO reservations VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, "
      "0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)",
      {row.seq, row.request, row.org, row.team, row.api_key, row.model, int64_t{row.is_batch},
       row.price_version, row.currency, row.amount, holds, request.idempotency, store.instance()}));
  if (row.amount > 0) {
    YQ_RETURN_IF_ERROR(sql.execute(
        "INSERT INTO accounts VALUES ($1, $2, 0, 0, $3) ON CONFLICT (org, currency) DO UPDATE "
        "SET reserved = accounts.reserved + excluded.reserved",
        {row.org, row.currency, row.amount}));
  }
  if (!request.idempotency.empty()) {
    // A key that has expired starts anew; one whose request was cut short keeps its charges.
    YQ_RETURN_IF_ERROR(sql.execute(
        "INSERT INTO idempotency VALUES ($1, $2, $3, $4, 0, $5) "
        "ON CONFLICT (org, idempotency) DO UPDATE SET fingerprint = excluded.fingerprint, "
        "charged = CASE WHEN idempotency.expires > $6 THEN idempotency.charged ELSE 0 END, "
        "reservation = excluded.reservation, expires = excluded.expires",
        {row.org, request.idempotency, request.fingerprint, row.seq, row.at + kIdempotencySeconds,
         row.at}));
  }
  running.insert(row.seq);
  return Status::ok();
}

Status Ledger::Impl::write_progress(Sql& sql, const std::map<int64_t, Final>& latest) {
  for (const auto& [reservation, now] : latest) {
    const Usage& usage = now.usage;
    const Cost& cost = now.cost;
    YQ_RETURN_IF_ERROR(sql.execute(
        "UPDATE reservations SET step = $2, input = $3, cached_input = $4, cache_creation = $5, "
        "output = $6, thinking = $7, input_cost = $8, cached_input_cost = $9, "
        "cache_creation_cost = $10, output_cost = $11, thinking_cost = $12 "
        "WHERE id = $1 AND step < $2",
        {reservation, usage.sum().value_or(0), usage.input, usage.cached_input,
         usage.cache_creation, usage.output, usage.thinking, cost.input, cost.cached_input,
         cost.cache_creation, cost.output, cost.thinking}));
  }
  return Status::ok();
}

Status Ledger::Impl::find_settled(Sql& sql, int64_t reservation, Settlement& out) {
  bool is_found = false;
  static const std::string statement =
      fmt::format("SELECT {} FROM ledger WHERE kind = 2 AND reservation = $1", kLedgerColumns);
  YQ_RETURN_IF_ERROR(sql.execute(statement, {reservation}, [&](const SqlRow& row) {
    is_found = true;
    out = settlement_of(read_ledger_row(row), true);
    return Status::ok();
  }));
  if (is_found) return Status::ok();
  return error(Code::kNotFound, "reservation {}: not settled", reservation);
}

Status Ledger::Impl::settle(Sql& sql, int64_t reservation, const Final& final, Settlement& out) {
  std::optional<OpenReservation> open;
  YQ_RETURN_IF_ERROR(sql.execute("DELETE FROM reservations WHERE id = $1 RETURNING *",
                                 {reservation}, [&](const SqlRow& row) {
                                   open = read_open(row);
                                   return Status::ok();
                                 }));
  if (open) return close(sql, *std::move(open), final, out);
  if (find_settled(sql, reservation, out).is_ok()) return Status::ok();
  return error(Code::kNotFound, "reservation {}: there is none", reservation);
}

// The reservation's row is gone; books the settlement and undoes what was held.
Status Ledger::Impl::close(Sql& sql, OpenReservation open, const Final& final, Settlement& out) {
  LedgerRow row = std::move(open.row);
  row.at = clock.unix_seconds();
  row.kind = LedgerKind::kSettle;
  row.usage = final.usage;
  row.cost = final.cost;
  row.reason = final.reason;
  const std::optional<int64_t> gross = row.cost.sum();
  if (row.usage.has_negative() || row.cost.has_negative() || !gross) {
    return error(Code::kInvalidArgument,
                 "reservation {}: want counts and costs that are not "
                 "negative and fit 64 bits",
                 row.reservation);
  }
  int64_t charged_before = 0;
  if (!open.idempotency.empty()) {
    YQ_RETURN_IF_ERROR(
        sql.execute("SELECT charged FROM idempotency WHERE org = $1 AND idempotency = $2",
                    {row.org, open.idempotency}, [&](const SqlRow& found) {
                      charged_before = found.integer(0);
                      return Status::ok();
                    }));
  }
  row.amount = std::min(open.held, *gross - std::min(*gross, charged_before));
  row.discount = *gross - row.amount;
  YQ_RETURN_IF_ERROR(tail.append(sql, row));
  for (const QuotaHold& hold : decode_holds(open.holds)) {
    YQ_RETURN_IF_ERROR(
        add_to_counter(sql, hold, metered(hold.metric, row.usage, row.amount) - hold.amount));
  }
  if (open.held > 0) {
    YQ_RETURN_IF_ERROR(
        sql.execute("UPDATE accounts SET reserved = reserved - $3, charged = charged + $4 "
                    "WHERE org = $1 AND currency = $2",
                    {row.org, row.currency, open.held, row.amount}));
  }
  if (!open.idempotency.empty()) {
    YQ_RETURN_IF_ERROR(sql.execute(
        "UPDATE idempotency SET charged = charged + $3 WHERE org = $1 AND idempotency = $2",
        {row.org, open.idempotency, row.amount}));
  }
  out = settlement_of(row, false);
  return Status::ok();
}

Status Ledger::Impl::renew_lease(Sql& sql) {
  YQ_TRY(const int64_t now, sql.database_seconds());
  if (!sql.is_postgres()) {
    // SQLite has one process at a time, so every other instance is dead.
    YQ_RETURN_IF_ERROR(sql.execute("DELETE FROM instances WHERE id <> $1", {store.instance()}));
  }
  YQ_RETURN_IF_ERROR(sql.execute("DELETE FROM instances WHERE lease_until <= $1", {now}));
  return sql.execute(
      "INSERT INTO instances VALUES ($1, $2) ON CONFLICT (id) DO UPDATE "
      "SET lease_until = excluded.lease_until",
      {store.instance(), now + kLeaseSeconds});
}

Status Ledger::Impl::recover(Sql& sql, int64_t& settled) {
  settled = 0;
  YQ_RETURN_IF_ERROR(renew_lease(sql));
  std::vector<OpenReservation> dead;
  YQ_RETURN_IF_ERROR(
      sql.execute("SELECT * FROM reservations WHERE instance NOT IN (SELECT id FROM instances) "
                  "OR instance = $1 ORDER BY id",
                  {store.instance()}, [&](const SqlRow& row) {
                    if (dead.size() >= size_t{kMaxRecoveredAtOnce}) return Status::ok();
                    OpenReservation open = read_open(row);
                    // Ours, but no longer running: a commit whose answer was lost.
                    const bool is_ours = open.instance == store.instance();
                    if (!is_ours || !running.contains(open.row.reservation))
                      dead.push_back(std::move(open));
                    return Status::ok();
                  }));
  for (const OpenReservation& open : dead) {
    Settlement ignored;
    const Final last{open.row.usage, open.row.cost, SettleReason::kRecovered};
    YQ_RETURN_IF_ERROR(settle(sql, open.row.reservation, last, ignored));
    ++settled;
  }
  return Status::ok();
}

Status Ledger::Impl::tick(Sql& sql) {
  std::map<int64_t, Final> waiting;
  {
    std::lock_guard held(mutex);
    waiting = unsettled;
  }
  for (const auto& [reservation, final] : waiting) {
    Settlement out;
    const Status status = settle(sql, reservation, final, out);
    const bool is_gone = status.code() == Code::kNotFound;
    if (!status.is_ok() && !is_gone) return status;
    // Kept until an earlier transaction is seen to hold it: this one may still fail.
    if (!out.is_repeat && !is_gone) continue;
    running.erase(reservation);
    std::lock_guard held(mutex);
    unsettled.erase(reservation);
  }
  int64_t settled = 0;
  YQ_RETURN_IF_ERROR(recover(sql, settled));
  if (settled > 0) log_info("ledger: settled {} reservations of servers that are gone", settled);
  const int64_t now = clock.unix_seconds();
  YQ_RETURN_IF_ERROR(sql.execute("DELETE FROM idempotency WHERE expires <= $1", {now}));
  // Counters of minutes that nobody asks for any more; the others stay, they are few.
  return sql.execute(
      "DELETE FROM quota_counters WHERE starts > 0 AND starts < $1 "
      "AND quota IN (SELECT id FROM quotas WHERE span BETWEEN 1 AND 3600)",
      {now - 86'400});
}

Ledger::Ledger(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Ledger::~Ledger() {
  impl_->store.on_tick({});
  // Gone on purpose: others need not wait for the lease to end.
  (void)impl_->store.post(
      [impl = impl_](Sql& sql) {
        return sql.execute("DELETE FROM instances WHERE id = $1", {impl->store.instance()});
      },
      [](const Status&) {}, true);
}

Result<std::unique_ptr<Ledger>> Ledger::open(Store& store, const Clock& clock) {
  auto ledger = std::make_unique<Ledger>(std::make_shared<Impl>(store, clock));
  int64_t batch = kMaxRecoveredAtOnce, total = 0;
  while (batch == kMaxRecoveredAtOnce) {
    YQ_TRY(batch, ledger->recover());
    total += batch;
  }
  if (total > 0) log_info("ledger: settled {} reservations that a crash left open", total);
  store.on_tick([impl = ledger->impl_](Sql& sql) { return impl->tick(sql); });
  return ledger;
}

void Ledger::reserve(const ReserveRequest& request, ReserveCallback done) {
  if (const Status status = validate(request); !status.is_ok()) return done(status);
  struct Shared {
    ReserveRequest request;
    ReserveReply reply;
    ReserveCallback done;
  };
  const auto shared = std::make_shared<Shared>(Shared{request, {}, std::move(done)});
  const auto finish = [impl = impl_, shared](Status status) {
    if (status.is_ok()) return shared->done(std::move(shared->reply));
    // Should it have been committed all the same, recovery finds it: nobody runs it.
    impl->forget(shared->reply);
    shared->done(status);
  };
  const auto job = [impl = impl_, shared](Sql& sql) {
    impl->forget(shared->reply);  // of a run that was rolled back
    return impl->reserve(sql, shared->request, shared->reply);
  };
  const Status queued = impl_->store.post(job, finish, true);
  if (!queued.is_ok()) shared->done(queued);
}

Result<ReserveReply> Ledger::reserve(const ReserveRequest& request) {
  const auto promise = std::make_shared<std::promise<Result<ReserveReply>>>();
  std::future<Result<ReserveReply>> reply = promise->get_future();
  reserve(request,
          [promise](Result<ReserveReply> result) { promise->set_value(std::move(result)); });
  return reply.get();
}

void Ledger::progress(int64_t reservation, const Usage& usage, const Cost& cost) {
  {
    std::lock_guard held(impl_->mutex);
    impl_->progress[reservation] = {usage, cost};
    if (impl_->is_progress_posted) return;
    impl_->is_progress_posted = true;
  }
  // The job may run twice: it keeps what it has taken from the map.
  const auto taken = std::make_shared<std::map<int64_t, Impl::Final>>();
  const auto job = [impl = impl_, taken](Sql& sql) {
    {
      std::lock_guard held(impl->mutex);
      for (const auto& [id, now] : impl->progress) (*taken)[id] = now;
      impl->progress.clear();
      impl->is_progress_posted = false;
    }
    return impl->write_progress(sql, *taken);
  };
  const Status queued = impl_->store.post(
      job, [](const Status&) {}, false);
  if (!queued.is_ok()) {
    std::lock_guard held(impl_->mutex);
    impl_->is_progress_posted = false;
  }
}

void Ledger::settle(int64_t reservation, const Usage& usage, const Cost& cost, SettleReason reason,
                    SettleCallback done) {
  struct Shared {
    Settlement out;
    SettleCallback done;
  };
  const auto shared = std::make_shared<Shared>(Shared{{}, std::move(done)});
  const Impl::Final final{usage, cost, reason};
  {
    std::lock_guard held(impl_->mutex);
    impl_->progress.erase(reservation);
  }
  const auto job = [impl = impl_, shared, reservation, final](Sql& sql) {
    return impl->settle(sql, reservation, final, shared->out);
  };
  const auto finish = [impl = impl_, shared, reservation, final](Status status) {
    if (status.code() == Code::kUnavailable || status.code() == Code::kNoResources) {
      std::lock_guard held(impl->mutex);
      impl->unsettled[reservation] = final;
    } else {
      impl->running.erase(reservation);
    }
    if (status.is_ok()) {
      shared->done(std::move(shared->out));
    } else {
      shared->done(std::move(status));
    }
  };
  const Status queued = impl_->store.post(job, finish, true);
  if (queued.is_ok()) return;
  {
    std::lock_guard held(impl_->mutex);
    impl_->unsettled[reservation] = final;
  }
  shared->done(queued);
}

Result<Settlement> Ledger::settle(int64_t reservation, const Usage& usage, const Cost& cost,
                                  SettleReason reason) {
  const auto promise = std::make_shared<std::promise<Result<Settlement>>>();
  std::future<Result<Settlement>> settled = promise->get_future();
  settle(reservation, usage, cost, reason,
         [promise](Result<Settlement> result) { promise->set_value(std::move(result)); });
  return settled.get();
}

Status Ledger::credit(std::string_view org, std::string_view currency, int64_t amount,
                      std::string_view reference) {
  if (reference.empty()) return error(Code::kInvalidArgument, "want a reference for the payment");
  if (amount > kMaxCredit || amount < -kMaxCredit) {
    return error(Code::kInvalidArgument, "want a payment of at most {} nano-units, found {}",
                 kMaxCredit, amount);
  }
  const LedgerRow wanted{.at = impl_->clock.unix_seconds(),
                         .kind = LedgerKind::kCredit,
                         .request = std::string(reference),
                         .org = std::string(org),
                         .currency = std::string(currency),
                         .amount = amount};
  return impl_->store.write([impl = impl_, wanted](Sql& sql) {
    bool is_known = false;
    YQ_RETURN_IF_ERROR(
        sql.execute("SELECT seq FROM ledger WHERE org = $1 AND kind = 3 AND request = $2",
                    {wanted.org, wanted.request}, [&](const SqlRow&) {
                      is_known = true;
                      return Status::ok();
                    }));
    if (is_known) return Status::ok();
    LedgerRow row = wanted;
    YQ_RETURN_IF_ERROR(impl->tail.append(sql, row));
    return sql.execute(
        "INSERT INTO accounts VALUES ($1, $2, $3, 0, 0) ON CONFLICT (org, currency) DO UPDATE "
        "SET credited = accounts.credited + excluded.credited",
        {row.org, row.currency, row.amount});
  });
}

Result<std::vector<Balance>> Ledger::balances(std::string_view org) {
  std::vector<Balance> out;
  YQ_RETURN_IF_ERROR(impl_->store.read([&](Sql& sql) {
    out.clear();
    return sql.execute(
        "SELECT currency, credited, charged, reserved FROM accounts WHERE org = $1 "
        "ORDER BY currency",
        {org}, [&](const SqlRow& row) {
          out.push_back({row.string(0), row.integer(1), row.integer(2), row.integer(3)});
          return Status::ok();
        });
  }));
  return out;
}

Result<int64_t> Ledger::open_reservations() {
  int64_t count = 0;
  YQ_RETURN_IF_ERROR(impl_->store.read([&](Sql& sql) {
    return sql.execute("SELECT COUNT(*) FROM reservations", {}, [&](const SqlRow& row) {
      count = row.integer(0);
      return Status::ok();
    });
  }));
  return count;
}

Result<int64_t> Ledger::recover() {
  int64_t settled = 0;
  YQ_RETURN_IF_ERROR(impl_->store.write(
      [impl = impl_, &settled](Sql& sql) { return impl->recover(sql, settled); }));
  return settled;
}

}  // namespace yunqi
