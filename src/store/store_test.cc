// The store: durable writes in groups, failing jobs alone, refusals that say what to do.
#include "store/store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <future>
#include <thread>

#include "store/fake_backend.h"
#include "store/fake_disk.h"
#include "store/schema.h"
#include "store/sqlite.h"

namespace yunqi {
namespace {

WriteJob put(std::string name, std::string content) {
  return [name = std::move(name), content = std::move(content)](Sql& sql) {
    return sql.execute("INSERT INTO meta VALUES ($1, $2)", {name, content});
  };
}

std::string content_of(Store& store, std::string_view name) {
  std::string out = "(none)";
  const Status status = store.read([&](Sql& sql) {
    return sql.execute("SELECT content FROM meta WHERE name = $1", {name}, [&](const SqlRow& row) {
      out = row.text(0);
      return Status::ok();
    });
  });
  EXPECT_TRUE(status.is_ok()) << status.to_string();
  return out;
}

class StoreBackend : public StoreTest {};
INSTANTIATE_TEST_SUITE_P(On, StoreBackend, testing::ValuesIn(backends_to_test()), backend_name);

TEST_P(StoreBackend, WrittenIsReadAlsoAfterReopening) {
  {
    auto store = open_store();
    ASSERT_TRUE(store->write(put("a", "first ünïcode")).is_ok());
    EXPECT_EQ(content_of(*store, "a"), "first ünïcode");
  }
  EXPECT_EQ(content_of(*open_store(), "a"), "first ünïcode");
}

TEST_P(StoreBackend, PostedJobsAreDurableWhenTheStoreCloses) {
  {
    auto store = open_store();
    for (int i = 0; i < 5; ++i) {
      ASSERT_TRUE(store
                      ->post(
                          put("n" + std::to_string(i), "x"), [](const Status&) {}, false)
                      .is_ok());
    }
  }
  auto store = open_store();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(content_of(*store, "n" + std::to_string(i)), "x");
}

TEST_P(StoreBackend, AFailingJobUndoesItselfAndNoOther) {
  auto store = open_store();
  ASSERT_TRUE(store->write(put("taken", "x")).is_ok());
  std::atomic<int> good{0}, bad{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 24; ++i) {
    threads.emplace_back([&, i] {
      const std::string name = "row" + std::to_string(i);
      const Status status = store->write([&](Sql& sql) -> Status {
        YQ_RETURN_IF_ERROR(put(name, "y")(sql));
        // Every third job breaks a rule of the table after it has written.
        return i % 3 == 0 ? put("taken", "z")(sql) : Status::ok();
      });
      (status.is_ok() ? good : bad)++;
      EXPECT_EQ(status.code(), i % 3 == 0 ? Code::kInvalidArgument : Code::kOk);
    });
  }
  threads.clear();
  EXPECT_EQ(good, 16);
  EXPECT_EQ(bad, 8);
  for (int i = 0; i < 24; ++i) {
    EXPECT_EQ(content_of(*store, "row" + std::to_string(i)), i % 3 == 0 ? "(none)" : "y");
  }
  EXPECT_EQ(content_of(*store, "taken"), "x");
}

TEST_P(StoreBackend, TextsThatOneDatabaseCouldNotKeepAreRefusedByBoth) {
  auto store = open_store();
  EXPECT_EQ(store->write(put("nul", std::string("a\0b", 3))).code(), Code::kInvalidArgument);
  EXPECT_EQ(store->write(put("latin", "\xe9t\xe9")).code(), Code::kInvalidArgument);
  EXPECT_TRUE(store->write(put("most", std::string(kMaxSqlTextBytes, 'x'))).is_ok());
  EXPECT_EQ(store->write(put("more", std::string(kMaxSqlTextBytes + 1, 'x'))).code(),
            Code::kTooLarge);
}

TEST_P(StoreBackend, HostileTextIsOnlyText) {
  auto store = open_store();
  const std::string hostile = "' OR 1=1; DROP TABLE meta; --";
  ASSERT_TRUE(store->write(put(hostile, hostile)).is_ok());
  EXPECT_EQ(content_of(*store, hostile), hostile);
  EXPECT_EQ(content_of(*store, "' OR ''='"), "(none)");
}

TEST_P(StoreBackend, ADatabaseOfANewerProgramIsRefused) {
  {
    auto store = open_store();
    ASSERT_TRUE(store
                    ->write([](Sql& sql) {
                      return sql.execute("UPDATE meta SET content = '999' WHERE name = 'schema'");
                    })
                    .is_ok());
  }
  const auto refused = Store::open(options());
  EXPECT_EQ(refused.status().code(), Code::kBadFile);
  EXPECT_NE(refused.status().message().find("use a newer yunqi"), std::string::npos);
}

TEST_P(StoreBackend, TheLedgerAndTheAuditLogOnlyGrow) {
  auto store = open_store();
  for (const std::string table : {"ledger", "audit_log"}) {
    ASSERT_TRUE(
        store
            ->write([&](Sql& sql) {
              return sql.execute(
                  table == "ledger"
                      ? "INSERT INTO ledger VALUES (1,0,3,0,'','','','','',0,0,'',0,0,0,0,0,"
                        "0,0,0,0,0,0,0,0,'','')"
                      : "INSERT INTO audit_log VALUES (1,0,'','','','','','','')");
            })
            .is_ok());
    EXPECT_FALSE(
        store->write([&](Sql& sql) { return sql.execute("UPDATE " + table + " SET at = 1"); })
            .is_ok());
    EXPECT_FALSE(
        store->write([&](Sql& sql) { return sql.execute("DELETE FROM " + table); }).is_ok());
  }
}

TEST_P(StoreBackend, ASnapshotDoesNotSeeWhatComesAfterIt) {
  auto store = open_store();
  ASSERT_TRUE(store->write(put("a", "1")).is_ok());
  const auto count = [](Sql& sql) {
    int64_t rows = 0;
    EXPECT_TRUE(sql.execute("SELECT COUNT(*) FROM meta", {},
                            [&](const SqlRow& row) {
                              rows = row.integer(0);
                              return Status::ok();
                            })
                    .is_ok());
    return rows;
  };
  const Status status = store->read_snapshot([&](Sql& sql) {
    const int64_t before = count(sql);
    EXPECT_TRUE(store->write(put("b", "2")).is_ok());
    EXPECT_EQ(count(sql), before);
    return Status::ok();
  });
  EXPECT_TRUE(status.is_ok()) << status.to_string();
}

// Ends all connections to the server but its own, and returns when they are gone.
void cut_connections(Sql& own) {
  const std::string others =
      " FROM pg_stat_activity WHERE application_name = 'yunqi' AND pid <> pg_backend_pid()";
  ASSERT_TRUE(own.execute("SELECT pg_terminate_backend(pid)" + others).is_ok());
  for (int64_t left = 1; left > 0;) {
    ASSERT_TRUE(own.execute("SELECT COUNT(*)" + others, {},
                            [&](const SqlRow& row) {
                              left = row.integer(0);
                              return Status::ok();
                            })
                    .is_ok());
  }
}

TEST_P(StoreBackend, AConnectionThatIsCutIsMadeAnew) {
  if (GetParam() == Backend::kSqlite) GTEST_SKIP() << "SQLite has no connection to cut";
  auto store = open_store();
  const auto own = open_postgres(options().postgres);
  ASSERT_TRUE(own.is_ok());
  cut_connections(**own);
  EXPECT_TRUE(store->write(put("a", "1")).is_ok());
  EXPECT_EQ(content_of(*store, "a"), "1");
  // In the middle of a transaction: it is undone and says that it may be tried again.
  const Status lost = store->write([&](Sql& sql) -> Status {
    YQ_RETURN_IF_ERROR(put("b", "2")(sql));
    cut_connections(**own);
    return put("c", "3")(sql);
  });
  EXPECT_EQ(lost.code(), Code::kUnavailable) << lost.to_string();
  EXPECT_EQ(content_of(*store, "b"), "(none)");
  EXPECT_TRUE(store->write(put("b", "2")).is_ok());
  EXPECT_TRUE(store->health().is_ok());
}

class SqliteStore : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  StoreOptions options() const { return {.sqlite_path = folder_ / "a.db"}; }
  const Path folder_ = Path(testing::TempDir()) / ("yunqi-sqlite-" + random_token(10));
};

TEST_F(SqliteStore, ASecondProcessIsToldWhoHoldsTheDatabase) {
  auto first = Store::open(options());
  ASSERT_TRUE(first.is_ok());
  const auto second = Store::open(options());
  EXPECT_EQ(second.status().code(), Code::kUnavailable);
  EXPECT_NE(second.status().message().find("another yunqi uses this database"), std::string::npos);
}

TEST_F(SqliteStore, OnlyTheOwnerMayReadTheDatabaseAndItsBackup) {
  auto store = Store::open(options());
  ASSERT_TRUE(store.is_ok());
  ASSERT_TRUE((*store)->write(put("a", "1")).is_ok());
  ASSERT_TRUE((*store)->backup_to(folder_ / "copy.db").is_ok());
  using std::filesystem::perms;
  for (const char* name : {"a.db", "a.db-wal", "copy.db"}) {
    EXPECT_EQ(std::filesystem::status(folder_ / name).permissions() & perms::all,
              perms::owner_read | perms::owner_write)
        << name;
  }
}

TEST_F(SqliteStore, AFileThatIsNoDatabaseIsRefused) {
  std::ofstream(folder_ / "a.db") << std::string(8192, 'x');
  const auto refused = Store::open(options());
  EXPECT_EQ(refused.status().code(), Code::kBadFile);
  EXPECT_NE(refused.status().message().find("restore it from a backup"), std::string::npos);
}

TEST_F(SqliteStore, ABackupIsAWholeDatabaseAndNeverReplacesAFile) {
  const Path copy = folder_ / "copy.db";
  {
    auto store = Store::open(options());
    ASSERT_TRUE(store.is_ok());
    ASSERT_TRUE((*store)->write(put("a", "1")).is_ok());
    ASSERT_TRUE((*store)->backup_to(copy).is_ok());
    EXPECT_EQ((*store)->backup_to(copy).code(), Code::kInvalidArgument);
  }
  auto restored = Store::open({.sqlite_path = copy});
  ASSERT_TRUE(restored.is_ok()) << restored.status().to_string();
  EXPECT_EQ(content_of(**restored, "a"), "1");
}

TEST(StoreDisk, WritesThatWaitTogetherShareOneSync) {
  FakeDisk disk("yunqi-sync-count");
  auto store = Store::open({.sqlite_path = "/db", .sqlite_vfs = disk.name()});
  ASSERT_TRUE(store.is_ok()) << store.status().to_string();
  const int64_t before = disk.syncs();
  for (int i = 0; i < 64; ++i) {
    ASSERT_TRUE((*store)
                    ->post(
                        put(std::to_string(i), "x"), [](const Status&) {}, false)
                    .is_ok());
  }
  ASSERT_TRUE((*store)->write(put("last", "x")).is_ok());
  EXPECT_LE(disk.syncs() - before, 4);
}

TEST(StoreDisk, HousekeepingRunsAlsoUnderLoad) {
  FakeDisk disk("yunqi-tick");
  auto store = Store::open({.sqlite_path = "/db", .sqlite_vfs = disk.name(), .tick_ms = 1});
  ASSERT_TRUE(store.is_ok());
  std::atomic<int> ticks{0};
  (*store)->on_tick([&](Sql&) {
    ++ticks;
    return Status::ok();
  });
  // There is always a next job waiting, so the writer is never idle.
  std::atomic<bool> is_done{false};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; !is_done && n < 1'000'000; ++n) {
        (void)(*store)->write(put(std::to_string(i) + "." + std::to_string(n), "x"));
      }
    });
  }
  while (ticks < 3) std::this_thread::yield();
  is_done = true;
  threads.clear();
  (*store)->on_tick({});
}

TEST(StoreDisk, TheQueueOfWritesHasAnEnd) {
  FakeDisk disk("yunqi-queue");
  auto store = Store::open({.sqlite_path = "/db", .sqlite_vfs = disk.name()});
  ASSERT_TRUE(store.is_ok());
  std::promise<void> is_running, may_end;
  const WriteJob waits = [&](Sql&) {
    is_running.set_value();
    may_end.get_future().wait();
    return Status::ok();
  };
  const auto ignore = [](const Status&) {};
  const WriteJob nothing = [](Sql&) { return Status::ok(); };
  ASSERT_TRUE((*store)->post(waits, ignore, true).is_ok());
  is_running.get_future().wait();
  for (size_t i = 0; i < kMaxQueuedWrites; ++i) {
    ASSERT_TRUE((*store)->post(nothing, ignore, false).is_ok()) << i;
  }
  EXPECT_EQ((*store)->post(nothing, ignore, true).code(), Code::kUnavailable);
  may_end.set_value();
  EXPECT_TRUE((*store)->health().is_ok());
}

TEST(StoreDisk, AFullDiskFailsWritesUntilThereIsRoom) {
  FakeDisk disk("yunqi-full");
  auto store = Store::open({.sqlite_path = "/db", .sqlite_vfs = disk.name()});
  ASSERT_TRUE(store.is_ok());
  disk.set_full(true);
  EXPECT_EQ((*store)->write(put("a", "x")).code(), Code::kNoResources);
  disk.set_full(false);
  EXPECT_TRUE((*store)->write(put("a", "x")).is_ok());
  EXPECT_TRUE((*store)->health().is_ok());
}

TEST(StoreDisk, ADiskThatCannotSyncStopsTheStoreForGood) {
  FakeDisk disk("yunqi-dying");
  auto store = Store::open({.sqlite_path = "/db", .sqlite_vfs = disk.name()});
  ASSERT_TRUE(store.is_ok());
  disk.fail_syncs();
  EXPECT_FALSE((*store)->write(put("a", "x")).is_ok());
  EXPECT_EQ((*store)->write(put("b", "x")).code(), Code::kUnavailable);
  EXPECT_NE((*store)->health().message().find("check the disk"), std::string::npos);
}

}  // namespace
}  // namespace yunqi
