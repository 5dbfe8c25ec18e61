// See api_service.h. Authentication, routing and metrics; the OpenAI routes are in
// openai_routes.cc.
#include "service/api_service.h"

#include <fmt/format.h>

#include <utility>

#include "service/errors.h"
#include "service/page_routes.h"

namespace yunqi {
namespace {

// Compares without telling by its time where the first difference is.
bool equal_in_constant_time(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^
                  static_cast<unsigned char>(b.empty() ? 0 : b[i % b.size()]);
  }
  return difference == 0;
}

// "Authorization: Bearer KEY", or Anthropic's and Azure's headers.
std::string_view key_of(const HttpRequest& request) {
  if (const std::string* value = request.header("authorization"); value != nullptr) {
    constexpr std::string_view kScheme = "bearer ";
    if (value->size() <= kScheme.size()) return {};
    for (size_t i = 0; i < kScheme.size(); ++i) {
      if ((static_cast<unsigned char>((*value)[i]) | 0x20) != (kScheme[i] | 0x20)) return {};
    }
    return std::string_view(*value).substr(kScheme.size());
  }
  for (const char* name : {"x-api-key", "api-key"}) {
    if (const std::string* value = request.header(name); value != nullptr) return *value;
  }
  return {};
}

int status_of(const HttpReply& reply) {
  const auto* response = std::get_if<HttpResponse>(&reply);
  return response == nullptr ? 200 : response->status;
}

}  // namespace

ApiService::ApiService(ApiOptions options, ModelPool& models, MetricsRegistry& metrics,
                       const Clock& clock)
    : options_(std::move(options)), models_(models), metrics_(metrics), clock_(clock) {
  add_page_routes(router_, embedded_page());
  add_routes();
}

Status ApiService::authorize(const HttpRequest& request, Permission permission) const {
  if (permission == Permission::kPublic || options_.api_keys.empty()) return Status::ok();
  const std::string_view key = key_of(request);
  bool known = false;
  for (const std::string& want : options_.api_keys) known |= equal_in_constant_time(key, want);
  if (known) return Status::ok();
  return error(Code::kUnauthenticated, "{}",
               key.empty() ? "no API key: send it as \"Authorization: Bearer KEY\""
                           : "this API key is not known here");
}

HttpReply ApiService::dispatch(const HttpRequest& request) {
  Result<Router::Found> found = router_.find(request.method, request.path);
  if (!found.is_ok()) {
    HttpResponse response = error_response(found.status());
    if (found.status().code() == Code::kUnsupported) {
      response.status = 405;
      response.headers.emplace_back("Allow", router_.methods_of(request.path));
    }
    return response;
  }
  const Route& route = *found->route;
  if (Status status = authorize(request, route.permission); !status.is_ok()) {
    return error_response(status);
  }
  const bool always = route.pattern == "/health" || route.pattern == "/metrics";
  if (draining_.load() && !always) {
    return error_response(
        error(Code::kUnavailable, "the server is shutting down; try again later"));
  }
  return route.handler(request, found->match);
}

HttpReply ApiService::handle(const HttpRequest& request) {
  HttpReply reply = dispatch(request);
  metrics_
      .counter("yunqi_http_requests_total", "HTTP requests by first status",
               {{"status", fmt::format("{}", status_of(reply))}})
      .add();
  return reply;
}

}  // namespace yunqi
