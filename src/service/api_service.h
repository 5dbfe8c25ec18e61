// The model service's HTTP face: authenticates, routes, and turns each dialect into runtime
// requests. handle() is called from worker threads; everything here is thread-safe.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "http/server.h"
#include "runtime/model_pool.h"
#include "service/router.h"
#include "service/running_requests.h"

namespace yunqi {

struct ApiOptions {
  std::vector<std::string> api_keys;  // empty: no key is asked for
  int64_t health_timeout_ms = 2'000;
  bool strict = false;  // fields without effect are errors instead of notes
};

struct ReplyOptions;

class ApiService {
 public:
  // All arguments must outlive the service.
  ApiService(ApiOptions options, ModelPool& models, MetricsRegistry& metrics, const Clock& clock);

  HttpReply handle(const HttpRequest& request);
  // From now on every request but GET /health and /metrics is answered 503 with Retry-After.
  void begin_drain() { draining_.store(true); }
  const Router& router() const { return router_; }

 private:
  void add_routes();
  Status authorize(const HttpRequest& request, Permission permission) const;
  HttpReply dispatch(const HttpRequest& request);

  HttpReply chat_completions(const HttpRequest& request);
  HttpReply completions(const HttpRequest& request);
  HttpReply act_on_request(const std::string& tail);
  // An error for the first field without effect, when the server is strict.
  Status check_strict(const ReplyOptions& reply) const;
  HttpReply list_models() const;
  HttpReply get_model(const std::string& id) const;
  HttpReply tokenize(const HttpRequest& request) const;
  HttpReply detokenize(const HttpRequest& request) const;
  HttpReply health() const;
  HttpReply prometheus() const;

  const ApiOptions options_;
  ModelPool& models_;
  MetricsRegistry& metrics_;
  const Clock& clock_;
  Router router_;
  RunningRequests running_;
  std::atomic<bool> draining_{false};
};

}  // namespace yunqi
