// The databases that the store's tests run against: SQLite in a temporary folder, and a real
// PostgreSQL server, started once a program in a temporary folder when Debian's `postgresql` is
// installed. YUNQI_STORE_BACKENDS names those to use (default "sqlite").
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/process.h"
#include "store/store.h"
#include "store/token.h"

namespace yunqi {

// A real server; named a fake because only tests may have it. Ends with the program.
class FakePostgres {
 public:
  static FakePostgres& shared() {
    static FakePostgres server;
    return server;
  }
  // Empty when the server runs.
  const std::string& why_not() const { return why_not_; }
  std::string address() const { return "host=" + folder_.string() + " dbname=postgres user=yunqi"; }

  ~FakePostgres() {
    server_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

 private:
  FakePostgres() : folder_("/tmp/yunqi-postgres-" + random_token(10)) {
    const std::string bin = find_programs();
    if (bin.empty()) {
      why_not_ = "skipped: Debian's `postgresql` is not installed (tools/setup test installs it)";
      return;
    }
    const auto made = run_process(
        {.arguments = as_server_user({bin + "/initdb", "-D", folder_.string(), "-A", "trust", "-U",
                                      "yunqi", "--no-sync", "-E", "UTF8", "--locale=C"})});
    if (!made.is_ok() || made->exit_code != 0) {
      why_not_ = "skipped: initdb failed: " + (made.is_ok() ? made->output : "can't be started");
      return;
    }
    auto started = ChildProcess::start(
        {.arguments = as_server_user(
             {bin + "/postgres", "-D", folder_.string(), "-c", "listen_addresses=", "-c",
              "unix_socket_directories=" + folder_.string(), "-c", "max_connections=200"})});
    if (!started.is_ok()) {
      why_not_ = "skipped: the server can't be started: " + started.status().message();
      return;
    }
    server_ = std::move(started).value();
    wait_until_ready();
  }

  static std::string find_programs() {
    std::string newest;
    std::error_code failed;
    for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", failed)) {
      const std::string bin = entry.path().string() + "/bin";
      if (std::filesystem::exists(bin + "/initdb", failed) && bin > newest) newest = bin;
    }
    return newest;
  }
  // The server refuses to run as root, so there it runs as nobody; it dies with us.
  static std::vector<std::string> as_server_user(std::vector<std::string> command) {
    std::vector<std::string> out = {"setpriv", "--pdeathsig", "KILL"};
    const auto id = run_process({.arguments = {"id", "-u"}});
    if (id.is_ok() && id->output == "0\n") {
      out.insert(out.end(), {"--reuid", "nobody", "--regid", "nogroup", "--clear-groups"});
    }
    out.insert(out.end(), command.begin(), command.end());
    return out;
  }
  void wait_until_ready() {
    for (int attempt = 0; attempt < 300; ++attempt) {
      const auto sql = open_postgres({.address = Secret(address())});
      if (sql.is_ok()) return;
      if (server_->wait(100)) break;
    }
    why_not_ = "skipped: the server did not get ready: " + server_->exit().output;
    server_.reset();
  }

  Path folder_;
  std::optional<ChildProcess> server_;
  std::string why_not_;
};

enum class Backend { kSqlite, kPostgres };

inline std::vector<Backend> backends_to_test() {
  const char* chosen = std::getenv("YUNQI_STORE_BACKENDS");
  const std::string names = chosen == nullptr ? "sqlite" : chosen;
  std::vector<Backend> out;
  if (names.find("sqlite") != std::string::npos) out.push_back(Backend::kSqlite);
  if (names.find("postgres") != std::string::npos) out.push_back(Backend::kPostgres);
  return out;
}

inline std::string backend_name(const testing::TestParamInfo<Backend>& info) {
  return info.param == Backend::kSqlite ? "Sqlite" : "Postgres";
}

// A fresh database a test, opened as often as the test likes.
class StoreTest : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    if (GetParam() == Backend::kPostgres && !FakePostgres::shared().why_not().empty()) {
      GTEST_SKIP() << FakePostgres::shared().why_not();
    }
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  StoreOptions options() const {
    StoreOptions out;
    if (GetParam() == Backend::kSqlite) {
      out.sqlite_path = folder_ / "yunqi.db";
    } else {
      out.postgres = {.address = Secret(FakePostgres::shared().address()), .schema = schema_};
    }
    return out;
  }
  std::unique_ptr<Store> open_store() const { return open_store(options()); }
  static std::unique_ptr<Store> open_store(const StoreOptions& options) {
    auto store = Store::open(options);
    EXPECT_TRUE(store.is_ok()) << store.status().to_string();
    return store.is_ok() ? std::move(store).value() : nullptr;
  }

  const std::string schema_ = "t_" + random_token(10);
  const Path folder_ = Path(testing::TempDir()) / ("yunqi-store-" + random_token(10));
};

}  // namespace yunqi
