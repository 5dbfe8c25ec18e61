// Authentication and admission: everything is decided from the cache but the two facts that must
// be exact, the counters and the balance, which the ledger decides in its transaction.
#include "tenancy/tenancy.h"

#include <algorithm>
#include <future>
#include <utility>

#include "base/log.h"
#include "tenancy/network.h"
#include "tenancy/password.h"

namespace yunqi {
namespace {

constexpr int64_t kConcurrencyRetryMs = 1'000;
constexpr size_t kMaxHeaderBytes = 512;

Status bad_key() {
  return error(Code::kUnauthenticated,
               "the API key is not valid; send Authorization: Bearer sk-yq-...");
}

// The part after "Bearer ", or all of it.
std::string_view key_in(std::string_view header) {
  constexpr std::string_view kScheme = "bearer ";
  if (header.size() > kScheme.size()) {
    const bool is_bearer =
        std::equal(kScheme.begin(), kScheme.end(), header.begin(),
                   [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
    if (is_bearer) header.remove_prefix(kScheme.size());
  }
  while (header.starts_with(' ')) header.remove_prefix(1);
  while (header.ends_with(' ')) header.remove_suffix(1);
  return header;
}

Principal principal_of(const KeyEntry& entry) {
  return {.kind = PrincipalKind::kKey,
          .id = entry.key.id,
          .org = entry.key.org,
          .team = entry.key.team,
          .permissions = Permissions(entry.key.permissions),
          .models = entry.key.models,
          .networks = entry.key.networks,
          .expires = entry.key.expires,
          .weight = entry.org.weight,
          .priority = entry.org.priority,
          .is_prepaid = entry.org.is_prepaid,
          .is_operator = entry.key.org == kServerOrg};
}

int64_t amount_to_hold(const QuotaRule& rule, const Usage& most, int64_t most_cost) {
  return rule.metric == QuotaMetric::kConcurrency ? 1 : metered(rule.metric, most, most_cost);
}

Status quota_status(const RateLimit& limit, int64_t wanted) {
  const QuotaRule& rule = limit.rule;
  const std::string what = rule.metric == QuotaMetric::kConcurrency
                               ? fmt::format("{} requests at once", rule.ceiling)
                               : fmt::format("{} {} per {}", rule.ceiling, metric_name(rule.metric),
                                             span_name(rule.span));
  if (wanted > rule.ceiling) {
    return error(Code::kRateLimited, "this request may need {}, the quota is {}; ask for less",
                 wanted, what);
  }
  return error(Code::kRateLimited, "the quota of {} is used up ({} used, {} wanted)", what,
               limit.used, wanted);
}

}  // namespace

// What admission worked out before the ledger is asked.
struct Tenancy::Plan {
  ReserveRequest request;
  Reservation reservation;
  std::vector<RateLimit> limits;  // in the order of request.holds
};

Tenancy::Tenancy(Store& store, const Clock& clock, Secret pepper)
    : store_(store),
      clock_(clock),
      pepper_(std::move(pepper)),
      directory_(store, clock),
      settings_(store, clock),
      cache_(directory_, settings_, clock),
      accounts_(directory_, cache_, clock, pepper_) {}

Result<std::unique_ptr<Tenancy>> Tenancy::open(Store& store, const Clock& clock,
                                               const TenancyOptions& options) {
  if (options.pepper.reveal().size() < kMinPepperBytes) {
    return error(Code::kInvalidArgument, "pepper: want at least {} bytes", kMinPepperBytes);
  }
  auto tenancy = std::make_unique<Tenancy>(store, clock, options.pepper);
  YQ_TRY(tenancy->ledger_, Ledger::open(store, clock));
  return tenancy;
}

Result<Principal> Tenancy::authenticate(std::string_view header, std::string_view ip) {
  if (header.size() > kMaxHeaderBytes) return bad_key();
  const std::string_view text = key_in(header);
  const std::string id = key_id_of(text);
  if (id.empty()) return bad_key();
  const auto found = cache_.key(id);
  if (!found.is_ok() && found.status().code() != Code::kNotFound) return found.status();
  // An unknown id is compared too, with what no digest equals.
  const std::string stored = found.is_ok() ? (*found)->key.digest.reveal() : std::string(64, '-');
  const Secret digest = key_digest(pepper_, text);
  if (!equal_in_constant_time(digest.reveal(), stored) || !found.is_ok()) return bad_key();

  const KeyEntry& entry = **found;
  const int64_t now = clock_.unix_seconds();
  if (entry.key.revoked != 0 && entry.key.revoked <= now) {
    return error(Code::kUnauthenticated, "the API key was revoked; use another");
  }
  if (entry.key.expires != 0 && entry.key.expires <= now) {
    return error(Code::kUnauthenticated, "the API key has expired; use another");
  }
  if (entry.org.is_suspended) {
    return error(Code::kPermission, "the organisation is suspended; ask the operator");
  }
  if (!is_in_networks(ip, entry.key.networks)) {
    return error(Code::kPermission, "this API key may not be used from here");
  }
  return principal_of(entry);
}

Result<Principal> Tenancy::log_in(std::string_view email, const Secret& password) {
  const auto found = directory_.user_by_email(email);
  if (!found.is_ok() && found.status().code() != Code::kNotFound &&
      found.status().code() != Code::kInvalidArgument) {
    return found.status();
  }
  bool is_right = false;
  {
    std::lock_guard held(password_mutex_);
    is_right = verify_password(password, found.is_ok() ? found->password : Secret());
  }
  if (!is_right || found->is_suspended) {
    return error(Code::kUnauthenticated, "the address or the password is wrong");
  }
  YQ_TRY(const Organisation org, directory_.organisation(found->org));
  if (org.is_suspended) {
    return error(Code::kPermission, "the organisation is suspended; ask the operator");
  }
  const Role role = static_cast<Role>(found->role);
  return Principal{.kind = PrincipalKind::kUser,
                   .id = found->id,
                   .org = found->org,
                   .team = found->team,
                   .permissions = Permissions::of(role),
                   .weight = org.weight,
                   .priority = org.priority,
                   .is_prepaid = org.is_prepaid,
                   .is_operator = org.id == kServerOrg};
}

Principal Tenancy::local() {
  return {.kind = PrincipalKind::kLocal,
          .org = "local",
          .permissions = Permissions(-1),
          .is_operator = true};
}

Result<std::vector<QuotaRule>> Tenancy::rules_for(const Principal& principal,
                                                  std::string_view model) {
  std::vector<QuotaRule> out;
  const std::string_view key =
      principal.kind == PrincipalKind::kKey ? std::string_view(principal.id) : std::string_view();
  const std::pair<QuotaScope, std::string_view> scopes[] = {
      {QuotaScope::kServer, {}},
      {QuotaScope::kOrganisation, principal.org},
      {QuotaScope::kTeam, principal.team},
      {QuotaScope::kKey, key}};
  for (const auto& [scope, id] : scopes) {
    if (scope != QuotaScope::kServer && id.empty()) continue;
    YQ_TRY(const std::vector<QuotaRule> rules, cache_.quotas(scope, id));
    for (const QuotaRule& rule : rules) {
      if (rule.model.empty() || rule.model == model) out.push_back(rule);
    }
  }
  if (out.size() > kMaxHolds) {
    return error(Code::kTooLarge, "want at most {} quotas for one request, found {}", kMaxHolds,
                 out.size());
  }
  return out;
}

Result<Tenancy::Plan> Tenancy::plan(const Principal& principal, const AdmitRequest& request) {
  YQ_RETURN_IF_ERROR(
      check_access(principal, Permission::kInfer, {.org = principal.org, .team = principal.team}));
  if (!principal.may_use_model(request.model)) {
    return error(Code::kPermission, "this API key may not use the model").at("model");
  }
  const int64_t now = clock_.unix_seconds();
  Plan out;
  YQ_TRY(out.reservation.book, cache_.prices(now));
  out.reservation.price = out.reservation.book->book.find(request.model);
  out.reservation.is_batch = request.is_batch;
  int64_t most = 0;
  if (out.reservation.price != nullptr) {
    YQ_TRY(most, most_cost(*out.reservation.price, request.most, request.is_batch));
  }
  YQ_TRY(const std::vector<QuotaRule> rules, rules_for(principal, request.model));
  for (const QuotaRule& rule : rules) {
    const int64_t ends = window_end(rule.span, now);
    out.limits.push_back({.rule = rule, .resets_in = ends == 0 ? 0 : ends - now});
    out.request.holds.push_back({.quota = rule.id,
                                 .starts = window_start(rule.span, now),
                                 .metric = rule.metric,
                                 .amount = amount_to_hold(rule, request.most, most),
                                 .ceiling = rule.ceiling});
  }
  out.request.request = request.request;
  out.request.org = principal.org;
  out.request.team = principal.team;
  out.request.api_key = principal.kind == PrincipalKind::kKey ? principal.id : principal.actor();
  out.request.model = request.model;
  out.request.is_batch = request.is_batch;
  const bool is_priced = out.reservation.price != nullptr;
  out.request.price_version = is_priced ? out.reservation.book->version : 0;
  out.request.currency = is_priced ? out.reservation.book->book.currency() : "";
  out.request.most = request.most;
  out.request.most_cost = most;
  out.request.is_prepaid = principal.is_prepaid;
  out.request.idempotency = request.idempotency;
  out.request.fingerprint = request.fingerprint;
  return out;
}

Admission Tenancy::conclude(const Plan& plan, Result<ReserveReply> reply) {
  Admission out;
  if (!reply.is_ok()) {
    out.status = reply.status();
    return out;
  }
  out.outcome = reply->outcome;
  out.reservation = plan.reservation;
  out.reservation.id = reply->reservation;
  out.answered = reply->settled;
  out.limits = plan.limits;
  for (size_t i = 0; i < reply->used.size(); ++i) out.limits[i].used = reply->used[i];
  switch (reply->outcome) {
    case ReserveOutcome::kReserved:
    case ReserveOutcome::kRunning:
    case ReserveOutcome::kAnswered:
      return out;
    case ReserveOutcome::kQuotaRefused: {
      const RateLimit& limit = out.limits[reply->refused_hold];
      const int64_t wanted = plan.request.holds[reply->refused_hold].amount;
      out.status = quota_status(limit, wanted);
      const bool will_fit = wanted <= limit.rule.ceiling;
      const bool is_concurrency = limit.rule.metric == QuotaMetric::kConcurrency;
      out.retry_after_ms = !will_fit        ? 0
                           : is_concurrency ? kConcurrencyRetryMs
                                            : limit.resets_in * 1'000;
      return out;
    }
    case ReserveOutcome::kBalanceRefused:
      out.status = error(Code::kRateLimited,
                         "the account's balance does not cover this request; "
                         "add credit or ask for fewer tokens");
      return out;
    case ReserveOutcome::kMismatch:
      out.status = error(Code::kInvalidArgument,
                         "this Idempotency-Key was used with another "
                         "request; use a new one");
      return out;
  }
  return out;
}

void Tenancy::admit(const Principal& principal, const AdmitRequest& request,
                    std::function<void(Admission)> done) {
  auto planned = plan(principal, request);
  if (!planned.is_ok()) {
    Admission refused;
    refused.status = planned.status();
    return done(std::move(refused));
  }
  const auto shared = std::make_shared<Plan>(std::move(planned).value());
  ledger_->reserve(shared->request, [shared, done = std::move(done)](Result<ReserveReply> reply) {
    done(conclude(*shared, std::move(reply)));
  });
}

Admission Tenancy::admit(const Principal& principal, const AdmitRequest& request) {
  const auto promise = std::make_shared<std::promise<Admission>>();
  std::future<Admission> admission = promise->get_future();
  admit(principal, request, [promise](Admission result) { promise->set_value(std::move(result)); });
  return admission.get();
}

void Tenancy::progress(const Reservation& reservation, const Usage& delivered) {
  Cost cost;
  if (reservation.price != nullptr) {
    const auto priced = price_usage(*reservation.price, delivered, reservation.is_batch);
    // Counts that can't be priced are a bug of the caller's; the last good ones stand.
    if (!priced.is_ok()) return;
    cost = *priced;
  }
  ledger_->progress(reservation.id, delivered, cost);
}

void Tenancy::settle(const Reservation& reservation, const Usage& delivered, SettleReason reason,
                     SettleCallback done) {
  if (reservation.price == nullptr) {
    return ledger_->settle(reservation.id, delivered, Cost{}, reason, std::move(done));
  }
  const auto cost = price_usage(*reservation.price, delivered, reservation.is_batch);
  if (cost.is_ok()) {
    return ledger_->settle(reservation.id, delivered, *cost, reason, std::move(done));
  }
  // Counts that can't be priced are a bug of ours: it must neither be billed nor stay open.
  log_error("reservation {}: settled for nothing: {}", reservation.id, cost.status().message());
  ledger_->settle(reservation.id, Usage{}, Cost{}, SettleReason::kError, std::move(done));
}

Result<Settlement> Tenancy::settle(const Reservation& reservation, const Usage& delivered,
                                   SettleReason reason) {
  const auto promise = std::make_shared<std::promise<Result<Settlement>>>();
  std::future<Result<Settlement>> settled = promise->get_future();
  settle(reservation, delivered, reason,
         [promise](Result<Settlement> result) { promise->set_value(std::move(result)); });
  return settled.get();
}

Result<int64_t> Tenancy::set_prices(const Principal& by, const Json& book) {
  YQ_RETURN_IF_ERROR(check_access(by, Permission::kPricesWrite, {}));
  YQ_TRY(const PriceBook parsed, PriceBook::parse(book));
  YQ_TRY(const int64_t version,
         settings_.add_price_book(by.actor(), parsed.valid_from(), book.dump()));
  cache_.forget();
  return version;
}

Status Tenancy::check_quota_target(const Principal& by, std::string_view org,
                                   const QuotaRule& rule) {
  switch (rule.scope) {
    case QuotaScope::kServer:
      return check_access(by, Permission::kServerWrite, {});
    case QuotaScope::kOrganisation:
      // An organisation's own quota is the operator's promise to the others.
      YQ_RETURN_IF_ERROR(check_access(by, Permission::kOrgsWrite, {}));
      return directory_.organisation(rule.scope_id).status();
    case QuotaScope::kTeam:
      YQ_RETURN_IF_ERROR(check_access(by, Permission::kQuotasWrite, {.org = std::string(org)}));
      return directory_.team(org, rule.scope_id).status();
    case QuotaScope::kKey:
      YQ_RETURN_IF_ERROR(check_access(by, Permission::kQuotasWrite, {.org = std::string(org)}));
      return directory_.key(org, rule.scope_id).status();
  }
  return error(Code::kInvalidArgument, "scope: want server, organisation, team or key");
}

Result<std::string> Tenancy::set_quota(const Principal& by, std::string_view org,
                                       const QuotaRule& rule) {
  YQ_RETURN_IF_ERROR(check_quota_target(by, org, rule));
  YQ_TRY(std::string id, settings_.set_quota(by.actor(), org, rule));
  cache_.forget();
  return id;
}

Status Tenancy::credit(const Principal& by, std::string_view org, std::string_view currency,
                       int64_t amount, std::string_view reference) {
  YQ_RETURN_IF_ERROR(check_access(by, Permission::kOrgsWrite, {}));
  YQ_RETURN_IF_ERROR(directory_.organisation(org).status());
  return ledger_->credit(org, currency, amount, reference);
}

Result<AuditReport> Tenancy::audit(const Principal& by) {
  YQ_RETURN_IF_ERROR(check_access(by, Permission::kLedgerAudit, {}));
  YQ_RETURN_IF_ERROR(verify_audit_log(store_));
  return audit_ledger(store_, [&](const LedgerRow& row) -> Result<Cost> {
    if (row.price_version == 0) return Cost{};
    YQ_TRY(const auto book, cache_.prices_of_version(row.price_version));
    const ModelPrice* price = book == nullptr ? nullptr : book->book.find(row.model);
    if (price == nullptr)
      return error(Code::kNotFound, "no price of version {}", row.price_version);
    return price_usage(*price, row.usage, row.is_batch);
  });
}

}  // namespace yunqi
