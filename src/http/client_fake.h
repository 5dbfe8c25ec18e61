// For tests: starts tests/hub/fake_hub.py, a hub on loopback with two ports whose faults are set by
// POST /_set. Its process ends with the object; tests of one program share one.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "http/client.h"

namespace yunqi {

class FakeServer {
 public:
  static FakeServer& shared() {
    static FakeServer server;
    return server;
  }

  FakeServer() {
    // A proxy of the machine has no business on loopback.
    ::setenv("no_proxy", "127.0.0.1", 1);
    folder_ =
        std::filesystem::temp_directory_path() / ("yunqi-hub-test-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    const Path ports = folder_ / "ports";
    Result<ChildProcess> child = ChildProcess::start(
        {.arguments = {"python3", YUNQI_SOURCE_DIR "/tests/hub/fake_hub.py", ports.string()},
         .environment = {},
         .keep_output = false});
    EXPECT_TRUE(child.is_ok()) << child.status().to_string();
    if (!child.is_ok()) return;
    child_ = std::make_unique<ChildProcess>(std::move(*child));
    for (int i = 0; i < 200 && !std::filesystem::exists(ports) && !child_->wait(50); ++i) {
    }
    const Result<std::string> text = read_file(ports);
    EXPECT_TRUE(text.is_ok()) << "the fake hub did not start";
    if (!text.is_ok()) return;
    const size_t space = text->find(' ');
    url_ = "http://127.0.0.1:" + text->substr(0, space);
    other_url_ = "http://127.0.0.1:" + text->substr(space + 1);
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;
  ~FakeServer() {
    child_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  const std::string& url() const { return url_; }
  const std::string& other_url() const { return other_url_; }
  // A new folder, deleted with this object.
  Path new_folder() {
    const Path folder = folder_ / std::to_string(folders_++);
    std::filesystem::create_directories(folder);
    return folder;
  }

  // `state` as the head of fake_hub.py says: {"repos": ..., "faults": ...}.
  void set(const std::string& state) const {
    ClientRequest request;
    request.method = "POST";
    request.url = url_ + "/_set";
    request.body = state;
    const Result<ClientResponse> response = http_request(request);
    ASSERT_TRUE(response.is_ok()) << response.status().to_string();
    ASSERT_EQ(response->status, 200);
  }

  std::string get(const std::string& path) const {
    ClientRequest request;
    request.url = url_ + path;
    const Result<ClientResponse> response = http_request(request);
    EXPECT_TRUE(response.is_ok()) << response.status().to_string();
    return response.is_ok() ? response->body : "";
  }

  // The requests since set(), in order.
  Json log() const {
    Result<Json> log = parse_json(get("/_log"));
    EXPECT_TRUE(log.is_ok());
    return log.is_ok() ? *log : Json::array();
  }

 private:
  Path folder_;
  int folders_ = 0;
  std::unique_ptr<ChildProcess> child_;
  std::string url_, other_url_;
};

}  // namespace yunqi
