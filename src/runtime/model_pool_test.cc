// The pool of models: names, loads on demand, waits, idle unloads and evictions, by a virtual clock
// and scripted loads; then with its threads.
#include "runtime/model_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <optional>

namespace yunqi {
namespace {

using Model = std::shared_ptr<LoadedModel>;

Model model(std::string id) {
  LoadedModel::Parts parts;
  parts.id = std::move(id);
  return std::make_shared<LoadedModel>(std::move(parts));
}

// What an acquire() was told.
struct Answer {
  int calls = 0;
  std::optional<Result<Model>> result;
};

ModelPool::Ready into(Answer& answer) {
  return [&](Result<Model> model) {
    ++answer.calls;
    answer.result = std::move(model);
  };
}

Status now(ModelPool& pool, std::string_view name, Model* out = nullptr) {
  Answer answer;
  pool.acquire(name, into(answer));
  if (answer.calls == 0) return error(Code::kInternal, "no answer at once");
  if (answer.result->is_ok() && out != nullptr) *out = answer.result->value();
  return answer.result->status();
}

TEST(ModelPoolNames, FindsByIdAndAliasAndTheFirstWithoutAName) {
  ModelPool pool;
  EXPECT_EQ(now(pool, "").code(), Code::kNotFound);
  const Model first = model("a"), second = model("b");
  ASSERT_TRUE(pool.add(first, {"gpt", "small"}).is_ok());
  ASSERT_TRUE(pool.add(second).is_ok());
  Model found;
  for (const char* name : {"", "a", "small"}) {
    EXPECT_TRUE(now(pool, name, &found).is_ok());
    EXPECT_EQ(found, first);
  }
  EXPECT_TRUE(now(pool, "b", &found).is_ok());
  EXPECT_EQ(found, second);
  ASSERT_EQ(pool.entries().size(), 2u);
  EXPECT_EQ(pool.entries()[0].aliases, (std::vector<std::string>{"gpt", "small"}));
  EXPECT_EQ(pool.entry("small").value().id, "a");
}

TEST(ModelPoolNames, AnUnknownNameIsToldWhatThereIs) {
  ModelPool pool;
  ASSERT_TRUE(pool.add(model("a"), {"gpt"}).is_ok());
  for (const Status& status : {now(pool, "A"), pool.entry("A").status()}) {
    EXPECT_EQ(status.code(), Code::kNotFound);
    EXPECT_EQ(status.field(), "model");
    EXPECT_NE(status.message().find("a, gpt"), std::string::npos) << status.message();
  }
}

TEST(ModelPoolNames, ANameIsTakenOnce) {
  ModelPool pool;
  ASSERT_TRUE(pool.add(model("a"), {"gpt"}).is_ok());
  EXPECT_EQ(pool.add(model("a")).code(), Code::kInvalidArgument);
  EXPECT_EQ(pool.add(model("gpt")).code(), Code::kInvalidArgument);
  EXPECT_EQ(pool.add(model("b"), {"a"}).code(), Code::kInvalidArgument);
  EXPECT_EQ(pool.add(model("b"), {"b"}).code(), Code::kInvalidArgument);
  EXPECT_EQ(pool.add(model("b"), {"c", "c"}).code(), Code::kInvalidArgument);
  EXPECT_EQ(pool.add(model("b"), {""}).code(), Code::kInvalidArgument);
  EXPECT_EQ(pool.entries().size(), 1u);
  EXPECT_TRUE(pool.add(model("b")).is_ok());
}

// A pool without threads: the test is the worker.
class Pool : public testing::Test {
 protected:
  void SetUp() override {
    options_.threads = false;
    options_.load_wait_ms = 1'000;
    options_.retry_ms = 500;
    options_.max_waiting = 3;
    options_.memory_bytes = 100;
    clock_.advance_ns(1'000'000'000);
  }
  void declare(const std::string& id, uint64_t bytes, int64_t keep_alive_ms = 0,
               bool pinned = false) {
    if (pool_ == nullptr) pool_ = std::make_unique<ModelPool>(options_, clock_, &metrics_);
    ModelSource source;
    source.id = id;
    source.bytes = bytes;
    source.keep_alive_ms = keep_alive_ms;
    source.pinned = pinned;
    source.load = [this, id](const std::shared_ptr<LoadProgress>& progress) -> Result<Model> {
      ++loads_;
      progress->begin(10);
      progress->add(4);
      during_load_ = pool_->entry(id).value();
      if (!load_failure_.is_ok()) return load_failure_;
      return model(id);
    };
    ASSERT_TRUE(pool_->declare(std::move(source)).is_ok());
  }
  ModelState state(const char* id) { return pool_->entry(id).value().state; }
  // Loads it and holds it until the test lets go.
  Model use(const char* id) {
    Answer answer;
    pool_->acquire(id, into(answer));
    while (answer.calls == 0 && pool_->work()) {
    }
    EXPECT_EQ(answer.calls, 1);
    EXPECT_TRUE(answer.result->is_ok()) << answer.result->status().to_string();
    return answer.result->value();
  }
  void wait_ms(int64_t ms) { clock_.advance_ns(ms * 1'000'000); }

  ModelPoolOptions options_;
  VirtualClock clock_;
  MetricsRegistry metrics_;
  std::unique_ptr<ModelPool> pool_;
  int loads_ = 0;
  Status load_failure_;
  ModelPool::Entry during_load_;
};

TEST_F(Pool, AModelIsLoadedWhenFirstAskedForAndServesAllThatWaited) {
  declare("a", 10);
  EXPECT_EQ(state("a"), ModelState::kUnloaded);
  Answer first, second;
  pool_->acquire("a", into(first));
  pool_->acquire("", into(second));
  EXPECT_EQ(first.calls, 0);
  EXPECT_EQ(pool_->entry("a").value().waiting, 2);
  EXPECT_TRUE(pool_->work());
  EXPECT_EQ(first.calls, 1);
  EXPECT_EQ(second.calls, 1);
  EXPECT_EQ(first.result->value()->id(), "a");
  EXPECT_EQ(loads_, 1);
  EXPECT_EQ(during_load_.state, ModelState::kLoading);
  EXPECT_DOUBLE_EQ(during_load_.progress, 0.4);
  EXPECT_EQ(state("a"), ModelState::kReady);
  EXPECT_EQ(pool_->entry("a").value().users, 2);
  first.result.reset();
  second.result.reset();
  EXPECT_EQ(pool_->entry("a").value().users, 0);
  EXPECT_TRUE(now(*pool_, "a").is_ok()) << "at once now";
  EXPECT_FALSE(pool_->work());
  EXPECT_NE(metrics_.to_prometheus().find("yunqi_model_loaded{model_name=\"a\"} 1"),
            std::string::npos);
}

TEST_F(Pool, AWaitThatIsOverEndsWithUnavailable) {
  declare("a", 10);
  Answer early, late;
  pool_->acquire("a", into(early));
  wait_ms(999);
  pool_->acquire("a", into(late));
  pool_->expire();
  EXPECT_EQ(early.calls, 0);
  wait_ms(1);
  pool_->expire();
  EXPECT_EQ(early.calls, 1);
  EXPECT_EQ(early.result->status().code(), Code::kUnavailable);
  EXPECT_EQ(late.calls, 0);
  EXPECT_TRUE(pool_->work());
  EXPECT_EQ(late.calls, 1);
  EXPECT_EQ(early.calls, 1);
}

TEST_F(Pool, OnlySoManyWait) {
  declare("a", 10);
  Answer waiting[3];
  for (Answer& answer : waiting) pool_->acquire("a", into(answer));
  EXPECT_EQ(now(*pool_, "a").code(), Code::kUnavailable);
  EXPECT_TRUE(pool_->work());
  for (const Answer& answer : waiting) EXPECT_EQ(answer.calls, 1);
}

TEST_F(Pool, AFailedLoadIsToldAndTriedAgainLater) {
  declare("a", 10);
  load_failure_ = error(Code::kBadFile, "a.gguf is cut off");
  Answer answer;
  pool_->acquire("a", into(answer));
  EXPECT_TRUE(pool_->work());
  EXPECT_EQ(answer.result->status().code(), Code::kUnavailable);
  EXPECT_NE(answer.result->status().message().find("cut off"), std::string::npos);
  EXPECT_EQ(state("a"), ModelState::kFailed);
  EXPECT_NE(pool_->entry("a").value().failure.find("cut off"), std::string::npos);
  EXPECT_EQ(now(*pool_, "a").code(), Code::kUnavailable) << "at once, without a try";
  EXPECT_FALSE(pool_->work());
  EXPECT_EQ(loads_, 1);
  wait_ms(500);
  load_failure_ = Status::ok();
  EXPECT_EQ(use("a")->id(), "a");
}

TEST_F(Pool, AnIdleModelGoesAndComesBack) {
  declare("a", 10, /*keep_alive_ms=*/200);
  Model held = use("a");
  wait_ms(1'000);
  EXPECT_FALSE(pool_->work()) << "in use";
  held.reset();
  EXPECT_EQ(pool_->entry("a").value().unload_in_ms, 200);
  wait_ms(199);
  EXPECT_FALSE(pool_->work());
  wait_ms(1);
  EXPECT_TRUE(pool_->work());
  EXPECT_EQ(state("a"), ModelState::kUnloaded);
  EXPECT_EQ(use("a")->id(), "a");
  EXPECT_EQ(loads_, 2);
}

TEST_F(Pool, WhoeverHoldsPartsOfAModelKeepsItLoaded) {
  declare("a", 10, /*keep_alive_ms=*/1);
  use("a");
  const Model inside = pool_->entry("a").value().model;  // as a generation does
  wait_ms(1'000);
  EXPECT_FALSE(pool_->work());
  EXPECT_EQ(state("a"), ModelState::kReady);
}

TEST_F(Pool, TheLeastRecentIdleModelMakesRoom) {
  declare("a", 40);
  declare("b", 40);
  declare("c", 40);
  use("a");
  wait_ms(1);
  use("b");
  wait_ms(1);
  use("a");
  wait_ms(1);
  use("c");
  EXPECT_EQ(state("b"), ModelState::kUnloaded);
  EXPECT_EQ(state("a"), ModelState::kReady);
  EXPECT_EQ(state("c"), ModelState::kReady);
}

TEST_F(Pool, WhatIsInUseOrPinnedIsNeverUnloadedForAnother) {
  declare("a", 60, 0, /*pinned=*/true);
  declare("b", 30);
  declare("c", 30);
  use("a");
  Model held = use("b");
  Answer answer;
  pool_->acquire("c", into(answer));
  EXPECT_FALSE(pool_->work());
  wait_ms(1'000);
  pool_->expire();
  ASSERT_EQ(answer.calls, 1);
  EXPECT_EQ(answer.result->status().code(), Code::kUnavailable);
  EXPECT_NE(answer.result->status().message().find("memory"), std::string::npos);
  // When its user goes, there is room.
  Answer again;
  pool_->acquire("c", into(again));
  held.reset();
  EXPECT_TRUE(pool_->work()) << "unloads b";
  EXPECT_TRUE(pool_->work()) << "loads c";
  EXPECT_EQ(again.calls, 1);
  EXPECT_EQ(state("a"), ModelState::kReady);
  EXPECT_EQ(state("b"), ModelState::kUnloaded);
}

TEST_F(Pool, AModelLargerThanTheBudgetIsTriedAlone) {
  declare("a", 40);
  declare("b", 1'000);
  use("a");
  EXPECT_EQ(use("b")->id(), "b");
  EXPECT_EQ(state("a"), ModelState::kUnloaded);
  EXPECT_FALSE(pool_->work()) << "and stays: nothing else wants the memory";
}

TEST_F(Pool, ThoseWhoWaitAreServedInTheirOrder) {
  declare("a", 10);
  declare("b", 10);
  Answer a, b;
  pool_->acquire("b", into(b));
  pool_->acquire("a", into(a));
  EXPECT_TRUE(pool_->work());
  EXPECT_EQ(b.calls, 1);
  EXPECT_EQ(a.calls, 0);
  EXPECT_TRUE(pool_->work());
  EXPECT_EQ(a.calls, 1);
}

TEST_F(Pool, ItsEndEndsEveryWaitOnce) {
  declare("a", 10);
  Answer answer;
  pool_->acquire("a", into(answer));
  pool_.reset();
  EXPECT_EQ(answer.calls, 1);
  EXPECT_EQ(answer.result->status().code(), Code::kUnavailable);
}

TEST_F(Pool, AModelMayOutliveIt) {
  declare("a", 10);
  Model held = use("a");
  pool_.reset();
  EXPECT_EQ(held->id(), "a");
}

// With the pool's own threads: many users of more models than fit, and every one is served.
TEST(ModelPoolThreads, ModelsComeAndGoUnderLoad) {
  ModelPoolOptions options;
  options.memory_bytes = 20;
  options.load_wait_ms = 60'000;
  std::atomic<int> loads{0};
  ModelPool pool(options);
  for (const char* id : {"a", "b", "c", "d"}) {
    ModelSource source;
    source.id = id;
    source.bytes = 10;
    source.load = [&loads, id](const std::shared_ptr<LoadProgress>&) -> Result<Model> {
      loads.fetch_add(1);
      return model(id);
    };
    ASSERT_TRUE(pool.declare(std::move(source)).is_ok());
  }
  std::vector<std::future<int>> users;
  for (int user = 0; user < 4; ++user) {
    users.push_back(std::async(std::launch::async, [&pool, user] {
      int served = 0;
      for (int i = 0; i < 50; ++i) {
        const std::string id(1, static_cast<char>('a' + (user + i) % 4));
        const Result<Model> model = pool.load(id);
        served += model.is_ok() && (*model)->id() == id ? 1 : 0;
      }
      return served;
    }));
  }
  for (std::future<int>& user : users) EXPECT_EQ(user.get(), 50);
  EXPECT_GT(loads.load(), 4);
}

TEST(ModelPoolThreads, ALoadForStartUpTellsItsOwnError) {
  ModelPool pool;
  ModelSource source;
  source.id = "a";
  source.load = [](const std::shared_ptr<LoadProgress>&) -> Result<Model> {
    return error(Code::kBadFile, "a.gguf is cut off");
  };
  ASSERT_TRUE(pool.declare(std::move(source)).is_ok());
  EXPECT_EQ(pool.load("a").status().code(), Code::kBadFile);
}

}  // namespace
}  // namespace yunqi
