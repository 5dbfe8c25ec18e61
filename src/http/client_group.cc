// See client_group.h. libcurl tells which sockets and which deadline it waits for; epoll waits.
#include "http/client_group.h"

#include <curl/curl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace yunqi {
namespace {

constexpr int kEventsPerWait = 64;
constexpr size_t kMaxActive = 16'384;

int64_t now_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

struct Transfer {
  std::string body;
  curl_slist* headers = nullptr;
  CURL* easy = nullptr;
  ClientGroup::Callbacks callbacks;
  char detail[CURL_ERROR_SIZE] = "";
  bool head_given = false;

  Transfer() = default;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() {
    if (easy != nullptr) curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
  }

  void give_head() {
    if (std::exchange(head_given, true)) return;
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (callbacks.on_head) callbacks.on_head(static_cast<int>(status));
  }
};

size_t on_body(char* data, size_t size, size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  transfer.give_head();
  if (transfer.callbacks.on_chunk) transfer.callbacks.on_chunk({data, size * count});
  return size * count;
}

class CurlGroup final : public ClientGroup {
 public:
  ~CurlGroup() override {
    for (const auto& [easy, transfer] : transfers_) curl_multi_remove_handle(multi_, easy);
    transfers_.clear();
    if (multi_ != nullptr) curl_multi_cleanup(multi_);
    if (epoll_ >= 0) ::close(epoll_);
  }

  Status open(int connections) {
    static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    if (started == CURLE_OK) multi_ = curl_multi_init();
    if (epoll_ < 0 || multi_ == nullptr) return error(Code::kNoResources, "libcurl can't start");
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &CurlGroup::on_socket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &CurlGroup::on_timer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(connections));
    return Status::ok();
  }

  Status start(const ClientRequest& request, Callbacks callbacks) override {
    if (transfers_.size() >= kMaxActive) {
      return error(Code::kNoResources, "want at most {} requests at once", kMaxActive);
    }
    auto transfer = std::make_unique<Transfer>();
    transfer->body = request.body;
    transfer->callbacks = std::move(callbacks);
    transfer->headers = curl_slist_append(nullptr, "Expect:");
    for (const auto& [name, value] : request.headers) {
      if ((name + value).find_first_of("\r\n") != std::string::npos) {
        return error(Code::kInvalidArgument, "request header {}: want one line of text", name);
      }
      transfer->headers = curl_slist_append(transfer->headers, (name + ": " + value).c_str());
    }
    CURL* easy = curl_easy_init();
    transfer->easy = easy;
    if (easy == nullptr) return error(Code::kNoResources, "libcurl can't start");
    set_options(*transfer, request);
    if (curl_multi_add_handle(multi_, easy) != CURLM_OK) {
      return error(Code::kInternal, "libcurl takes no more requests");
    }
    transfers_.emplace(easy, std::move(transfer));
    return Status::ok();
  }

  void run(int64_t wait_ms) override {
    if (timer_at_ms_ >= 0) {
      wait_ms = std::clamp<int64_t>(timer_at_ms_ - now_ms(), 0, std::max<int64_t>(wait_ms, 0));
    }
    epoll_event events[kEventsPerWait];
    const int count = ::epoll_wait(epoll_, events, kEventsPerWait, static_cast<int>(wait_ms));
    int running = 0;
    if (timer_at_ms_ >= 0 && now_ms() >= timer_at_ms_) {
      timer_at_ms_ = -1;
      curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    for (int i = 0; i < count; ++i) {
      int ready = 0;
      if ((events[i].events & EPOLLIN) != 0) ready |= CURL_CSELECT_IN;
      if ((events[i].events & EPOLLOUT) != 0) ready |= CURL_CSELECT_OUT;
      if ((events[i].events & (EPOLLERR | EPOLLHUP)) != 0) ready |= CURL_CSELECT_ERR;
      curl_multi_socket_action(multi_, events[i].data.fd, ready, &running);
    }
    end_finished();
  }

  size_t active() const override { return transfers_.size(); }

 private:
  static void set_options(Transfer& transfer, const ClientRequest& request) {
    CURL* easy = transfer.easy;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(request.connect_timeout_ms));
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.idle_timeout_ms));
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "yunqi/0.1");
    curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer.headers);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer.detail);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
    if (request.method == "POST") {
      curl_easy_setopt(easy, CURLOPT_POST, 1L);
      curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                       static_cast<curl_off_t>(transfer.body.size()));
      curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer.body.data());
    }
  }

  static int on_socket(CURL*, curl_socket_t socket, int what, void* context, void* known) {
    auto& self = *static_cast<CurlGroup*>(context);
    if (what == CURL_POLL_REMOVE) {
      // The socket may be closed already: then epoll has forgotten it.
      ::epoll_ctl(self.epoll_, EPOLL_CTL_DEL, socket, nullptr);
      return 0;
    }
    epoll_event event = {};
    if ((what & CURL_POLL_IN) != 0) event.events |= EPOLLIN;
    if ((what & CURL_POLL_OUT) != 0) event.events |= EPOLLOUT;
    event.data.fd = socket;
    ::epoll_ctl(self.epoll_, known == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, &event);
    curl_multi_assign(self.multi_, socket, &self);
    return 0;
  }

  static int on_timer(CURLM*, long timeout_ms, void* context) {
    static_cast<CurlGroup*>(context)->timer_at_ms_ = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
    return 0;
  }

  void end_finished() {
    std::vector<std::pair<std::unique_ptr<Transfer>, CURLcode>> ended;
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      const auto found = transfers_.find(message->easy_handle);
      curl_multi_remove_handle(multi_, found->first);
      ended.emplace_back(std::move(found->second), code);
      transfers_.erase(found);
    }
    for (const auto& [transfer, code] : ended) {
      if (code == CURLE_OK) transfer->give_head();
      if (!transfer->callbacks.on_end) continue;
      const char* detail = transfer->detail[0] != 0 ? transfer->detail : curl_easy_strerror(code);
      transfer->callbacks.on_end(code == CURLE_OK ? Status::ok()
                                                  : error(Code::kUnavailable, "{}", detail));
    }
  }

  CURLM* multi_ = nullptr;
  int epoll_ = -1;
  int64_t timer_at_ms_ = -1;  // when libcurl wants to be called; -1: not
  std::map<CURL*, std::unique_ptr<Transfer>> transfers_;
};

}  // namespace

Result<std::unique_ptr<ClientGroup>> ClientGroup::create(int connections) {
  auto group = std::make_unique<CurlGroup>();
  YQ_RETURN_IF_ERROR(group->open(connections));
  return std::unique_ptr<ClientGroup>(std::move(group));
}

}  // namespace yunqi
