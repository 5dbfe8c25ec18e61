// Many requests on one thread, against our own server on loopback: all answers come whole, errors
// end their own request only, and a request can follow from another's end.
#include "http/client_group.h"

#include <gtest/gtest.h>

#include "http/server.h"

namespace yunqi {
namespace {

// Gives `parts` pieces, one a read.
class Pieces final : public BodyStream {
 public:
  explicit Pieces(int parts) : left_(parts) {}
  State read(std::string& out) override {
    if (left_-- <= 0) return State::kEnd;
    out += "piece;";
    return State::kData;
  }
  void set_wake(std::function<void()>) override {}

 private:
  int left_;
};

class Group : public testing::Test {
 protected:
  void SetUp() override {
    HttpServerOptions options;
    options.port = 0;
    const auto handler = [](const HttpRequest& request) -> HttpReply {
      HttpResponse response;
      if (request.path == "/none") response.status = 404;
      if (request.path == "/pieces") response.stream = std::make_unique<Pieces>(50);
      response.body = request.method + " " + request.body;
      return response;
    };
    server_ = HttpServer::start(options, handler, [](const Status&) { return ""; }).value();
    group_ = ClientGroup::create(8).value();
  }
  ClientRequest to(const std::string& path) const {
    ClientRequest request;
    request.method = "POST";
    request.url = "http://127.0.0.1:" + std::to_string(server_->port()) + path;
    request.idle_timeout_ms = 20'000;
    return request;
  }
  void run_all() {
    while (group_->active() > 0) group_->run(1'000);
  }

  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<ClientGroup> group_;
};

struct Answer {
  int status = 0, ends = 0;
  std::string body;
  Status end;
};

ClientGroup::Callbacks into(Answer& answer) {
  return {[&](int status) { answer.status = status; },
          [&](std::string_view chunk) { answer.body += chunk; },
          [&](const Status& status) {
            ++answer.ends;
            answer.end = status;
          }};
}

TEST_F(Group, ManyStreamsComeWhole) {
  std::vector<Answer> answers(64);
  for (Answer& answer : answers) ASSERT_TRUE(group_->start(to("/pieces"), into(answer)).is_ok());
  EXPECT_EQ(group_->active(), 64u);
  run_all();
  for (const Answer& answer : answers) {
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body.size(), 300u);
    EXPECT_EQ(answer.ends, 1);
    EXPECT_TRUE(answer.end.is_ok());
  }
}

TEST_F(Group, AStatusIsAValueAndABodyIsSent) {
  Answer none, echo;
  ASSERT_TRUE(group_->start(to("/none"), into(none)).is_ok());
  ClientRequest request = to("/echo");
  request.body = "hello";
  ASSERT_TRUE(group_->start(request, into(echo)).is_ok());
  run_all();
  EXPECT_EQ(none.status, 404);
  EXPECT_TRUE(none.end.is_ok());
  EXPECT_EQ(echo.body, "POST hello");
}

TEST_F(Group, ANetworkErrorEndsItsOwnRequestOnly) {
  Answer refused, fine;
  ClientRequest nowhere = to("/");
  nowhere.url = "http://127.0.0.1:1/";
  ASSERT_TRUE(group_->start(nowhere, into(refused)).is_ok());
  ASSERT_TRUE(group_->start(to("/pieces"), into(fine)).is_ok());
  run_all();
  EXPECT_EQ(refused.ends, 1);
  EXPECT_EQ(refused.end.code(), Code::kUnavailable);
  EXPECT_EQ(refused.status, 0);
  EXPECT_EQ(fine.body.size(), 300u);
}

TEST_F(Group, AnEndMayStartTheNext) {
  Answer last;
  int left = 5;
  std::function<void(const Status&)> next = [&](const Status& status) {
    EXPECT_TRUE(status.is_ok());
    ClientGroup::Callbacks callbacks = into(last);
    if (--left > 0) callbacks.on_end = next;
    EXPECT_TRUE(group_->start(to("/echo"), std::move(callbacks)).is_ok());
  };
  ASSERT_TRUE(group_->start(to("/echo"), {{}, {}, next}).is_ok());
  run_all();
  EXPECT_EQ(left, 0);
  EXPECT_EQ(last.ends, 1);
}

TEST_F(Group, AHeaderOfTwoLinesIsRefused) {
  ClientRequest request = to("/echo");
  request.headers = {{"x-a", "1\r\nx-b: 2"}};
  EXPECT_EQ(group_->start(request, {}).code(), Code::kInvalidArgument);
  EXPECT_EQ(group_->active(), 0u);
}

}  // namespace
}  // namespace yunqi
