// Organisations, teams, users, keys, quotas and price books are kept, scoped and audited.
#include "store/directory.h"

#include <gtest/gtest.h>

#include "store/fake_backend.h"
#include "store/settings.h"

namespace yunqi {
namespace {

class DirectoryBackend : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    if (IsSkipped()) return;
    store_ = open_store();
    directory_ = std::make_unique<Directory>(*store_, clock_);
    settings_ = std::make_unique<Settings>(*store_, clock_);
    for (const std::string org : {"a", "b"}) {
      ASSERT_TRUE(directory_->add_organisation("me", {.id = org, .name = "Org " + org}).is_ok());
      ASSERT_TRUE(directory_->add_team("me", {.id = "t" + org, .org = org, .name = "T"}).is_ok());
    }
  }
  void TearDown() override {
    store_.reset();
    StoreTest::TearDown();
  }
  VirtualClock clock_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<Settings> settings_;
};
INSTANTIATE_TEST_SUITE_P(On, DirectoryBackend, testing::ValuesIn(backends_to_test()), backend_name);

TEST_P(DirectoryBackend, AnotherOrganisationsObjectsAreAsAbsentAsNone) {
  ASSERT_TRUE(
      directory_->add_key("me", {.id = "k", .org = "a", .team = "ta", .name = "n"}).is_ok());
  ASSERT_TRUE(
      directory_->add_user("me", {.id = "u", .org = "a", .email = "e", .name = "n"}).is_ok());
  EXPECT_TRUE(directory_->key("a", "k").is_ok());
  EXPECT_EQ(directory_->key("b", "k").status().to_string(), "not_found: no key \"k\"");
  EXPECT_EQ(directory_->key("b", "none").status().to_string(), "not_found: no key \"none\"");
  EXPECT_EQ(directory_->user("b", "u").status().code(), Code::kNotFound);
  EXPECT_EQ(directory_->team("b", "ta").status().code(), Code::kNotFound);
  EXPECT_TRUE(directory_->keys("b", "")->empty());
  EXPECT_TRUE(directory_->users("b")->empty());
  EXPECT_EQ(directory_->revoke_key("me", "b", "k", 5).code(), Code::kNotFound);
  // A key can't be put into another's team either.
  EXPECT_EQ(directory_->add_key("me", {.id = "x", .org = "b", .team = "ta", .name = "n"}).code(),
            Code::kNotFound);
}

TEST_P(DirectoryBackend, AKeyIsKeptWhole) {
  const KeyRecord key{.id = "k",
                      .org = "a",
                      .team = "ta",
                      .creator = "c",
                      .name = "näme",
                      .digest = Secret("d"),
                      .permissions = 5,
                      .models = {"m,1", "m\"2"},
                      .networks = {"10.0.0.0/8"},
                      .expires = 7,
                      .replaces = "old"};
  ASSERT_TRUE(directory_->add_key("me", key).is_ok());
  const auto found = directory_->key_by_id("k");
  ASSERT_TRUE(found.is_ok());
  EXPECT_EQ(found->models, key.models);
  EXPECT_EQ(found->networks, key.networks);
  EXPECT_EQ(found->name, key.name);
  EXPECT_EQ(found->digest.reveal(), "d");
  EXPECT_EQ(found->permissions, 5);
  EXPECT_EQ(found->expires, 7);
  EXPECT_EQ(found->created, clock_.unix_seconds());
  ASSERT_TRUE(directory_->revoke_key("me", "a", "k", 100).is_ok());
  ASSERT_TRUE(directory_->revoke_key("me", "a", "k", 200).is_ok());  // later: no longer life
  EXPECT_EQ(directory_->key_by_id("k")->revoked, 100);
}

TEST_P(DirectoryBackend, NamesHaveLimitsAndAreTakenOnce) {
  const auto code = [&](const std::string& name) {
    return directory_->add_team("me", {.id = "t" + name.substr(0, 9), .org = "a", .name = name})
        .code();
  };
  EXPECT_EQ(code(""), Code::kInvalidArgument);
  EXPECT_EQ(code("a\nb"), Code::kInvalidArgument);
  EXPECT_EQ(code(std::string(kMaxNameBytes, 'x')), Code::kOk);
  EXPECT_EQ(code(std::string(kMaxNameBytes + 1, 'y')), Code::kInvalidArgument);
  const Status taken = directory_->add_team("me", {.id = "other", .org = "a", .name = "T"});
  EXPECT_NE(taken.message().find("exists"), std::string::npos);
  KeyRecord key{.id = "k1", .org = "a", .team = "ta", .name = "n"};
  key.models.assign(kMaxKeyListItems, "m");
  EXPECT_TRUE(directory_->add_key("me", key).is_ok());
  key.id = "k2";
  key.models.push_back("m");
  EXPECT_EQ(directory_->add_key("me", key).code(), Code::kTooLarge);
}

TEST_P(DirectoryBackend, EveryChangeRaisesTheVersionAndIsLogged) {
  int64_t version = *directory_->version();
  const auto expect_raised = [&](const Status& status) {
    EXPECT_TRUE(status.is_ok()) << status.to_string();
    const int64_t now = *directory_->version();
    EXPECT_GT(now, version);
    version = now;
  };
  expect_raised(directory_->add_team("me", {.id = "t2", .org = "a", .name = "2"}));
  expect_raised(directory_->add_key("me", {.id = "k", .org = "a", .team = "ta", .name = "n"}));
  expect_raised(directory_->revoke_key("me", "a", "k", 1));
  Organisation org = *directory_->organisation("a");
  org.weight = 7;
  expect_raised(directory_->change_organisation("me", org));
  expect_raised(settings_->set_quota("me", "a", {.scope_id = "a", .ceiling = 5}).status());
  expect_raised(settings_->add_price_book("me", 0, "{}").status());
  const auto log = read_audit_log(*store_, "a", 0, kMaxAuditPage);
  ASSERT_EQ(log->size(), 7u);
  EXPECT_EQ((*log)[1].change.action, "organisation.change");
  EXPECT_NE((*log)[1].change.before.find("\"weight\":100"), std::string::npos);
  EXPECT_NE((*log)[1].change.after.find("\"weight\":7"), std::string::npos);
  EXPECT_EQ(read_audit_log(*store_, "a", (*log)[1].seq, 2)->size(), 2u);
  EXPECT_TRUE(verify_audit_log(*store_).is_ok());
}

TEST_P(DirectoryBackend, AChangedAuditRowIsFound) {
  if (store_->is_postgres()) GTEST_SKIP() << "the trigger is named otherwise there";
  ASSERT_TRUE(store_
                  ->write([](Sql& sql) {
                    return sql.script(
                        "DROP TRIGGER audit_log_no_update; UPDATE audit_log SET actor = 'you' "
                        "WHERE seq = 2");
                  })
                  .is_ok());
  const Status status = verify_audit_log(*store_);
  EXPECT_EQ(status.code(), Code::kBadFile);
  EXPECT_NE(status.message().find("row 2"), std::string::npos);
}

TEST_P(DirectoryBackend, QuotasAreOnePerTargetAndChecked) {
  QuotaRule rule{.scope = QuotaScope::kKey, .scope_id = "k", .ceiling = 5};
  const std::string id = *settings_->set_quota("me", "a", rule);
  rule.ceiling = kMaxCeiling;
  EXPECT_EQ(*settings_->set_quota("me", "a", rule), id);
  ASSERT_EQ(settings_->quotas()->size(), 1u);
  EXPECT_EQ(settings_->quotas()->front().ceiling, kMaxCeiling);
  rule.ceiling = kMaxCeiling + 1;
  EXPECT_EQ(settings_->set_quota("me", "a", rule).status().code(), Code::kInvalidArgument);
  rule.ceiling = -1;
  EXPECT_EQ(settings_->set_quota("me", "a", rule).status().code(), Code::kInvalidArgument);
  rule = {.scope_id = "a", .metric = QuotaMetric::kConcurrency, .ceiling = 1};
  EXPECT_EQ(settings_->set_quota("me", "a", rule).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(settings_->set_quota("me", "a", {.ceiling = 1}).status().code(),
            Code::kInvalidArgument);
  ASSERT_TRUE(settings_->remove_quota("me", "a", id).is_ok());
  EXPECT_EQ(settings_->remove_quota("me", "a", id).code(), Code::kNotFound);
}

TEST_P(DirectoryBackend, PriceBooksAreNumberedAndNeverReplaced) {
  EXPECT_EQ(*settings_->add_price_book("me", 5, "{\"a\":1}"), 1);
  EXPECT_EQ(*settings_->add_price_book("me", 3, "{\"b\":1}"), 2);
  const auto books = settings_->price_books();
  ASSERT_EQ(books->size(), 2u);
  EXPECT_EQ((*books)[0].content, "{\"a\":1}");
  EXPECT_EQ((*books)[1].valid_from, 3);
  EXPECT_TRUE(settings_->add_price_book("me", 0, std::string(kMaxPriceBookBytes, ' ')).is_ok());
  EXPECT_EQ(
      settings_->add_price_book("me", 0, std::string(kMaxPriceBookBytes + 1, ' ')).status().code(),
      Code::kTooLarge);
}

}  // namespace
}  // namespace yunqi
