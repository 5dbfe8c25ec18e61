// The whole path of a tenant's request: key, rights, quotas, price, bill; on both databases.
#include "tenancy/tenancy.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "store/fake_backend.h"
#include "tenancy/password.h"

namespace yunqi {
namespace {

class TenancyBackend : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    if (IsSkipped()) return;
    store_ = open_store();
    tenancy_ = open_tenancy(*store_);
    auto first = tenancy_->accounts().bootstrap();
    ASSERT_TRUE(first.is_ok()) << first.status().to_string();
    operator_ = enter(first->text);
    auto made = tenancy_->accounts().add_organisation(operator_, {.name = "Acme"});
    ASSERT_TRUE(made.is_ok()) << made.status().to_string();
    org_ = made->org.id;
    team_ = made->team.id;
    owner_ = enter(made->owner.text);
  }
  void TearDown() override {
    tenancy_.reset();
    store_.reset();
    StoreTest::TearDown();
  }

  std::unique_ptr<Tenancy> open_tenancy(Store& store) {
    auto tenancy =
        Tenancy::open(store, clock_, {.pepper = Secret(std::string(kMinPepperBytes, 'p'))});
    EXPECT_TRUE(tenancy.is_ok()) << tenancy.status().to_string();
    return std::move(tenancy).value();
  }
  Principal enter(const Secret& key) {
    auto principal = tenancy_->authenticate("Bearer " + key.reveal(), "127.0.0.1");
    EXPECT_TRUE(principal.is_ok()) << principal.status().to_string();
    return principal.is_ok() ? *principal : Principal();
  }
  Code refused(const Secret& key, const std::string& ip = "127.0.0.1") {
    return tenancy_->authenticate(key.reveal(), ip).status().code();
  }
  KeyRequest key_request() const {
    return {.name = "app", .permissions = Permissions(int64_t{1})};  // kInfer
  }
  AdmitRequest request(const std::string& model = "m") {
    return {.request = "req-" + std::to_string(++requests_),
            .model = model,
            .most = {.input = 100, .output = 50}};
  }
  void set_prices(const std::string& text) {
    const auto version = tenancy_->set_prices(operator_, *parse_json(text));
    ASSERT_TRUE(version.is_ok()) << version.status().to_string();
  }
  void set_quota(const QuotaRule& rule) {
    const auto id = tenancy_->set_quota(operator_, org_, rule);
    ASSERT_TRUE(id.is_ok()) << id.status().to_string();
  }

  VirtualClock clock_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Tenancy> tenancy_;
  Principal operator_, owner_;
  std::string org_, team_;
  int requests_ = 0;
};
INSTANTIATE_TEST_SUITE_P(On, TenancyBackend, testing::ValuesIn(backends_to_test()), backend_name);

TEST_P(TenancyBackend, BootstrapWorksOnceAndOperatorsSeeNoContent) {
  EXPECT_EQ(tenancy_->accounts().bootstrap().status().code(), Code::kPermission);
  EXPECT_TRUE(operator_.is_operator);
  EXPECT_FALSE(owner_.is_operator);
  EXPECT_EQ(tenancy_->admit(operator_, request()).status.code(), Code::kPermission);
  EXPECT_EQ(tenancy_->accounts().add_organisation(owner_, {.name = "X"}).status().code(),
            Code::kPermission);
}

TEST_P(TenancyBackend, AKeyIsKnownHoweverItIsSentAndAnyOtherIsNot) {
  const auto made = tenancy_->accounts().create_key(owner_, key_request());
  ASSERT_TRUE(made.is_ok()) << made.status().to_string();
  const std::string text = made->text.reveal();
  for (const std::string& header : {text, "Bearer " + text, "bearer  " + text + " "}) {
    EXPECT_TRUE(tenancy_->authenticate(header, "1.2.3.4").is_ok());
  }
  // A well-formed key that was never made, and this one's id with another's secret.
  const std::string stranger = make_key().text.reveal();
  const Status unknown = tenancy_->authenticate(stranger, "1.2.3.4").status();
  EXPECT_EQ(unknown.code(), Code::kUnauthenticated);
  for (const std::string& bad : {std::string(), std::string("Bearer"), std::string("Basic x"),
                                 text.substr(1), std::string(10'000, 'x'), "' OR 1=1 --" + text}) {
    EXPECT_EQ(tenancy_->authenticate(bad, "1.2.3.4").status().to_string(), unknown.to_string());
  }
  // The database keeps neither the key nor its secret.
  const auto stored = tenancy_->directory().key(org_, made->record.id);
  EXPECT_EQ(stored->digest.reveal().find(text.substr(20, 20)), std::string::npos);
  EXPECT_TRUE(tenancy_->accounts().keys(owner_, org_)->back().digest.empty());
}

TEST_P(TenancyBackend, ARevokedKeyIsRefusedAtOnceHereAndWithinASecondElsewhere) {
  const auto made = tenancy_->accounts().create_key(owner_, key_request());
  // A second server, or as good as one: a cache of its own over the same database.
  auto other_store = store_->is_postgres() ? open_store() : nullptr;
  auto other = open_tenancy(other_store ? *other_store : *store_);
  ASSERT_TRUE(other->authenticate(made->text.reveal(), "1.2.3.4").is_ok());
  ASSERT_TRUE(tenancy_->accounts().revoke_key(owner_, org_, made->record.id).is_ok());
  EXPECT_EQ(refused(made->text), Code::kUnauthenticated);
  clock_.advance_ns(999'000'000);
  EXPECT_EQ(other->authenticate(made->text.reveal(), "1.2.3.4").status().code(),
            Code::kUnauthenticated);
}

TEST_P(TenancyBackend, ExpiryAndNetworksAreKept) {
  KeyRequest wanted = key_request();
  wanted.expires = clock_.unix_seconds() + 60;
  wanted.networks = {"10.0.0.0/8"};
  const auto made = tenancy_->accounts().create_key(owner_, wanted);
  ASSERT_TRUE(made.is_ok());
  EXPECT_EQ(refused(made->text, "10.1.2.3"), Code::kOk);
  EXPECT_EQ(refused(made->text, "11.1.2.3"), Code::kPermission);
  EXPECT_EQ(refused(made->text, ""), Code::kPermission);
  clock_.advance_ns(60'000'000'000);
  EXPECT_EQ(refused(made->text, "10.1.2.3"), Code::kUnauthenticated);
}

TEST_P(TenancyBackend, RotationOverlapsAndThenTheOldKeyEnds) {
  const auto old = tenancy_->accounts().create_key(owner_, key_request());
  const auto fresh = tenancy_->accounts().rotate_key(owner_, org_, old->record.id, 100);
  ASSERT_TRUE(fresh.is_ok()) << fresh.status().to_string();
  EXPECT_EQ(fresh->record.replaces, old->record.id);
  EXPECT_EQ(fresh->record.permissions, old->record.permissions);
  EXPECT_EQ(refused(old->text), Code::kOk);
  EXPECT_EQ(refused(fresh->text), Code::kOk);
  clock_.advance_ns(100'000'000'000);
  EXPECT_EQ(refused(old->text), Code::kUnauthenticated);
  EXPECT_EQ(refused(fresh->text), Code::kOk);
  EXPECT_EQ(tenancy_->accounts()
                .rotate_key(owner_, org_, fresh->record.id, kMaxRotationOverlap + 1)
                .status()
                .code(),
            Code::kInvalidArgument);
}

TEST_P(TenancyBackend, AKeyNeverHasMoreThanItsMaker) {
  KeyRequest narrow{.name = "narrow",
                    .permissions = *Permissions::parse({"infer", "keys.write", "keys.read"}),
                    .models = {"a", "b"},
                    .networks = {"10.0.0.0/8", "127.0.0.1"},
                    .expires = clock_.unix_seconds() + 1000};
  const auto made = tenancy_->accounts().create_key(owner_, narrow);
  ASSERT_TRUE(made.is_ok()) << made.status().to_string();
  const Principal maker = enter(made->text);
  const auto code_of = [&](const KeyRequest& wanted) {
    return tenancy_->accounts().create_key(maker, wanted).status().code();
  };
  // What is left open is the maker's.
  const auto child = tenancy_->accounts().create_key(maker, key_request());
  ASSERT_TRUE(child.is_ok());
  EXPECT_EQ(child->record.models, narrow.models);
  EXPECT_EQ(child->record.networks, narrow.networks);
  EXPECT_EQ(child->record.expires, narrow.expires);

  KeyRequest wanted = key_request();
  wanted.permissions = *Permissions::parse({"usage.read"});
  EXPECT_EQ(code_of(wanted), Code::kPermission);
  wanted = key_request();
  wanted.models = {"a", "c"};
  EXPECT_EQ(code_of(wanted), Code::kPermission);
  wanted = key_request();
  wanted.networks = {"10.0.0.0/7"};
  EXPECT_NE(code_of(wanted), Code::kOk);
  wanted.networks = {"12.0.0.0/8"};
  EXPECT_EQ(code_of(wanted), Code::kPermission);
  wanted = key_request();
  wanted.expires = narrow.expires + 1;
  EXPECT_EQ(code_of(wanted), Code::kPermission);
  wanted = key_request();
  wanted.team = "team_of_others";
  EXPECT_EQ(code_of(wanted), Code::kNotFound);
  wanted = key_request();
  wanted.org = "org_of_others";
  EXPECT_EQ(code_of(wanted), Code::kNotFound);
  // A key without keys.write makes none.
  EXPECT_EQ(tenancy_->accounts().create_key(enter(child->text), key_request()).status().code(),
            Code::kPermission);
}

TEST_P(TenancyBackend, AnotherTenantsKeyIsAsAbsentAsNone) {
  const auto rival = tenancy_->accounts().add_organisation(operator_, {.name = "Rival"});
  const auto key = tenancy_->accounts().create_key(owner_, key_request());
  const Principal stranger = enter(rival->owner.text);
  for (const std::string& org : {org_, rival->org.id}) {
    const Status foreign = tenancy_->accounts().revoke_key(stranger, org, key->record.id);
    const Status absent = tenancy_->accounts().revoke_key(stranger, org, "none");
    EXPECT_EQ(foreign.code(), Code::kNotFound);
    EXPECT_EQ(foreign.to_string(), absent.to_string());
  }
  EXPECT_EQ(tenancy_->accounts().keys(stranger, org_).status().code(), Code::kNotFound);
  EXPECT_EQ(refused(key->text), Code::kOk);
}

TEST_P(TenancyBackend, UsersLogInWithTheirRoleAndNoOneMakesAHigherOne) {
  Accounts& accounts = tenancy_->accounts();
  const auto admin = accounts.add_user(owner_, {.org = org_, .email = "a@x.test", .name = "A"},
                                       Role::kAdmin, Secret("long enough"));
  ASSERT_TRUE(admin.is_ok()) << admin.status().to_string();
  const auto in = tenancy_->log_in("a@x.test", Secret("long enough"));
  ASSERT_TRUE(in.is_ok()) << in.status().to_string();
  EXPECT_EQ(in->permissions, Permissions::of(Role::kAdmin));
  const Status wrong = tenancy_->log_in("a@x.test", Secret("wrong enough")).status();
  const Status unknown = tenancy_->log_in("b@x.test", Secret("long enough")).status();
  EXPECT_EQ(wrong.code(), Code::kUnauthenticated);
  EXPECT_EQ(wrong.to_string(), unknown.to_string());

  const User other{.org = org_, .email = "b@x.test", .name = "B"};
  EXPECT_EQ(accounts.add_user(*in, other, Role::kOwner, Secret()).status().code(),
            Code::kPermission);
  EXPECT_EQ(accounts.add_user(*in, other, Role::kOperator, Secret()).status().code(),
            Code::kInvalidArgument);
  const auto boss = accounts.add_user(owner_, other, Role::kOwner, Secret("another one"));
  ASSERT_TRUE(boss.is_ok());
  EXPECT_EQ(accounts.set_password(*in, org_, boss->id, Secret("my own choice")).code(),
            Code::kPermission);
  EXPECT_TRUE(accounts.set_password(*in, org_, admin->id, Secret("a new password")).is_ok());
  EXPECT_TRUE(tenancy_->log_in("a@x.test", Secret("a new password")).is_ok());
  EXPECT_TRUE(accounts.suspend_user(owner_, org_, admin->id, true).is_ok());
  EXPECT_FALSE(tenancy_->log_in("a@x.test", Secret("a new password")).is_ok());
  // Passwordless users never log in by one.
  ASSERT_TRUE(accounts
                  .add_user(owner_, {.org = org_, .email = "c@x.test", .name = "C"}, Role::kViewer,
                            Secret())
                  .is_ok());
  EXPECT_FALSE(tenancy_->log_in("c@x.test", Secret("")).is_ok());
}

TEST_P(TenancyBackend, ARequestIsBilledByThePriceItWasAdmittedWith) {
  set_prices(R"({"currency":"EUR","models":{"m":{"input":"1","output":"2","thinking":"4",
                 "batch_factor":"0.5"}}})");
  const Admission first = tenancy_->admit(owner_, request());
  ASSERT_TRUE(first.status.is_ok()) << first.status.to_string();
  const Admission batch = [&] {
    AdmitRequest wanted = request();
    wanted.is_batch = true;
    return tenancy_->admit(owner_, wanted);
  }();
  set_prices(R"({"currency":"EUR","models":{"m":{"input":"100","output":"200"}}})");
  const Usage used{.input = 100, .output = 10, .thinking = 5};
  const auto bill = tenancy_->settle(first.reservation, used, SettleReason::kDone);
  ASSERT_TRUE(bill.is_ok()) << bill.status().to_string();
  EXPECT_EQ(bill->amount, 100'000 + 20'000 + 20'000);  // nano-units: a token at 1 EUR/M is 1,000
  EXPECT_EQ(bill->currency, "EUR");
  EXPECT_EQ(tenancy_->settle(batch.reservation, used, SettleReason::kDone)->amount, 70'000);
  const Admission later = tenancy_->admit(owner_, request());
  EXPECT_EQ(tenancy_->settle(later.reservation, used, SettleReason::kDone)->amount,
            10'000'000 + 3'000'000);
  const auto report = tenancy_->audit(operator_);
  ASSERT_TRUE(report.is_ok()) << report.status().to_string();
  EXPECT_TRUE(report->is_clean()) << report->findings.front();
  EXPECT_EQ(report->settlements, 3);
  EXPECT_EQ(tenancy_->audit(owner_).status().code(), Code::kPermission);
}

TEST_P(TenancyBackend, APriceIsInForceFromItsDay) {
  set_prices(R"({"currency":"EUR","models":{"m":{"input":"1","output":"1"}}})");
  set_prices(R"({"currency":"EUR","valid_from":)" + std::to_string(clock_.unix_seconds() + 10) +
             R"(,"models":{"m":{"input":"3","output":"3"}}})");
  EXPECT_EQ(tenancy_->admit(owner_, request()).reservation.book->version, 1);
  clock_.advance_ns(10'000'000'000);
  EXPECT_EQ(tenancy_->admit(owner_, request()).reservation.book->version, 2);
}

TEST_P(TenancyBackend, TheModelListAndSuspensionStopARequest) {
  KeyRequest wanted = key_request();
  wanted.models = {"a"};
  const auto key = tenancy_->accounts().create_key(owner_, wanted);
  const Principal principal = enter(key->text);
  EXPECT_TRUE(tenancy_->admit(principal, request("a")).status.is_ok());
  EXPECT_EQ(tenancy_->admit(principal, request("b")).status.code(), Code::kPermission);
  Organisation org = *tenancy_->directory().organisation(org_);
  org.is_suspended = true;
  EXPECT_EQ(tenancy_->accounts().change_organisation(owner_, org).code(), Code::kPermission);
  EXPECT_TRUE(tenancy_->accounts().change_organisation(operator_, org).is_ok());
  EXPECT_EQ(refused(key->text), Code::kPermission);
}

TEST_P(TenancyBackend, SixtyFourAtOnceAgainstAQuotaForTen) {
  const auto key = tenancy_->accounts().create_key(owner_, key_request());
  const Principal principal = enter(key->text);
  set_quota({.scope = QuotaScope::kKey,
             .scope_id = key->record.id,
             .metric = QuotaMetric::kRequests,
             .span = QuotaSpan::kMinute,
             .ceiling = 10});
  auto other_store = store_->is_postgres() ? open_store() : nullptr;
  auto other = other_store ? open_tenancy(*other_store) : nullptr;
  std::atomic<int> admitted{0}, refused{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 64; ++i) {
    threads.emplace_back([&, i] {
      AdmitRequest wanted;
      wanted.request = "race-" + std::to_string(i);
      wanted.model = "m";
      Tenancy& mine = other && i % 2 == 1 ? *other : *tenancy_;
      const Admission admission = mine.admit(principal, wanted);
      if (admission.status.is_ok()) {
        ++admitted;
      } else {
        EXPECT_EQ(admission.status.code(), Code::kRateLimited) << admission.status.to_string();
        EXPECT_GT(admission.retry_after_ms, 0);
        EXPECT_LE(admission.retry_after_ms, 60'000);
        ++refused;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(admitted, 10);
  EXPECT_EQ(refused, 54);
  clock_.advance_ns(60'000'000'000);
  EXPECT_TRUE(tenancy_->admit(principal, request()).status.is_ok());
}

TEST_P(TenancyBackend, SeveralWindowsAndScopesHoldAtOnce) {
  set_quota({.scope = QuotaScope::kOrganisation,
             .scope_id = org_,
             .metric = QuotaMetric::kTotalTokens,
             .span = QuotaSpan::kDay,
             .ceiling = 1000});
  set_quota({.scope = QuotaScope::kTeam,
             .scope_id = team_,
             .model = "m",
             .metric = QuotaMetric::kOutputTokens,
             .span = QuotaSpan::kMonth,
             .ceiling = 60});
  set_quota({.scope = QuotaScope::kServer,
             .metric = QuotaMetric::kConcurrency,
             .span = QuotaSpan::kNone,
             .ceiling = 2});
  const Admission first = tenancy_->admit(owner_, request());
  ASSERT_TRUE(first.status.is_ok()) << first.status.to_string();
  EXPECT_EQ(first.limits.size(), 3u);
  // 50 of the team's 60 output tokens of this model are held until it settles.
  EXPECT_EQ(tenancy_->admit(owner_, request()).status.code(), Code::kRateLimited);
  EXPECT_TRUE(tenancy_->admit(owner_, request("other")).status.is_ok());
  const Admission third = tenancy_->admit(owner_, request("other"));
  EXPECT_NE(third.status.message().find("at once"), std::string::npos);
  EXPECT_EQ(third.retry_after_ms, 1'000);
  ASSERT_TRUE(tenancy_->settle(first.reservation, {.input = 100, .output = 5}, SettleReason::kDone)
                  .is_ok());
  EXPECT_TRUE(tenancy_->admit(owner_, request()).status.is_ok());
  // One that can never fit is told so.
  AdmitRequest huge = request("other");
  huge.most.output = 5000;
  const Admission never = tenancy_->admit(owner_, huge);
  EXPECT_EQ(never.status.code(), Code::kRateLimited);
}

TEST_P(TenancyBackend, TheHeadersNameTheTightestQuota) {
  set_quota({.scope = QuotaScope::kOrganisation,
             .scope_id = org_,
             .metric = QuotaMetric::kRequests,
             .span = QuotaSpan::kDay,
             .ceiling = 100});
  set_quota({.scope = QuotaScope::kTeam,
             .scope_id = team_,
             .metric = QuotaMetric::kRequests,
             .span = QuotaSpan::kMinute,
             .ceiling = 4});
  const Admission admission = tenancy_->admit(owner_, request());
  const auto headers = rate_limit_headers(admission.limits);
  // The virtual clock stands at 1,700,000,000: 20 s into its minute.
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"x-ratelimit-limit-requests", "4"},
      {"x-ratelimit-remaining-requests", "3"},
      {"x-ratelimit-reset-requests", "40s"}};
  EXPECT_EQ(headers, expected);
}

TEST_P(TenancyBackend, APrepaidOrganisationStopsWhereItsCreditEnds) {
  set_prices(R"({"currency":"EUR","models":{"m":{"input":"1","output":"1"}}})");
  Organisation org = *tenancy_->directory().organisation(org_);
  org.is_prepaid = true;
  ASSERT_TRUE(tenancy_->accounts().change_organisation(operator_, org).is_ok());
  owner_.is_prepaid = true;  // as the next authentication says
  EXPECT_EQ(tenancy_->admit(owner_, request()).status.code(), Code::kRateLimited);
  EXPECT_EQ(tenancy_->credit(owner_, org_, "EUR", 1, "x").code(), Code::kPermission);
  ASSERT_TRUE(tenancy_->credit(operator_, org_, "EUR", 150'000, "pay-1").is_ok());
  const Admission admission = tenancy_->admit(owner_, request());
  ASSERT_TRUE(admission.status.is_ok()) << admission.status.to_string();
  EXPECT_EQ(tenancy_->admit(owner_, request()).status.code(), Code::kRateLimited);
  ASSERT_TRUE(tenancy_->settle(admission.reservation, {}, SettleReason::kCancelled).is_ok());
  EXPECT_TRUE(tenancy_->admit(owner_, request()).status.is_ok());
}

TEST_P(TenancyBackend, ACrashIsSettledAtTheLastProgressThroughTheFrontDoor) {
  set_prices(R"({"currency":"EUR","models":{"m":{"input":"1","output":"1"}}})");
  const Admission admission = tenancy_->admit(owner_, request());
  tenancy_->progress(admission.reservation, {.input = 100, .output = 3});
  tenancy_.reset();
  store_.reset();
  store_ = open_store();
  ASSERT_TRUE(store_->write([](Sql& sql) { return sql.execute("DELETE FROM instances"); }).is_ok());
  tenancy_ = open_tenancy(*store_);
  EXPECT_EQ(tenancy_->ledger().balances(org_)->front().charged, 103'000);
  EXPECT_EQ(*tenancy_->ledger().open_reservations(), 0);
}

TEST_P(TenancyBackend, EveryChangeIsInTheAuditLogWithoutSecrets) {
  const auto key = tenancy_->accounts().create_key(owner_, key_request());
  ASSERT_TRUE(tenancy_->accounts().revoke_key(owner_, org_, key->record.id).is_ok());
  const auto log = read_audit_log(*store_, org_, 0, 100);
  ASSERT_TRUE(log.is_ok());
  ASSERT_GE(log->size(), 2u);
  EXPECT_EQ((*log)[0].change.action, "key.revoke");
  EXPECT_EQ((*log)[0].change.actor, owner_.actor());
  EXPECT_NE((*log)[0].change.before, (*log)[0].change.after);
  EXPECT_EQ((*log)[1].change.action, "key.create");
  const std::string digest = tenancy_->directory().key(org_, key->record.id)->digest.reveal();
  for (const AuditEntry& entry : *log) {
    const std::string all = entry.change.before + entry.change.after;
    EXPECT_EQ(all.find(digest), std::string::npos);
    EXPECT_EQ(all.find(key->text.reveal()), std::string::npos);
  }
  EXPECT_TRUE(verify_audit_log(*store_).is_ok());
}

}  // namespace
}  // namespace yunqi
