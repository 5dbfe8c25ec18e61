// See errors.h.
#include "service/errors.h"

namespace yunqi {
namespace {

// OpenAI's error types and codes, as its SDKs map them to exceptions.
struct ErrorKind {
  int http;
  const char* type;
  const char* code;
};

ErrorKind kind_of(Code code) {
  switch (code) {
    case Code::kOk:
      return {200, "", ""};
    case Code::kInvalidArgument:
      return {400, "invalid_request_error", "invalid_value"};
    case Code::kUnauthenticated:
      return {401, "authentication_error", "invalid_api_key"};
    case Code::kPermission:
      return {403, "permission_error", "forbidden"};
    case Code::kNotFound:
      return {404, "invalid_request_error", "not_found"};
    case Code::kTooLarge:
      return {413, "invalid_request_error", "request_too_large"};
    case Code::kBadFile:
      return {422, "invalid_request_error", "bad_file"};
    case Code::kUnsupported:
      return {400, "invalid_request_error", "unsupported"};
    case Code::kRateLimited:
      return {429, "rate_limit_error", "rate_limit_exceeded"};
    case Code::kUnavailable:
      return {503, "server_error", "unavailable"};
    case Code::kNoResources:
      return {503, "server_error", "no_resources"};
    case Code::kCancelled:
      return {499, "server_error", "cancelled"};
    case Code::kInternal:
      return {500, "server_error", "internal_error"};
  }
  return {500, "server_error", "internal_error"};
}

}  // namespace

int http_status(Code code) { return kind_of(code).http; }

Json error_json(const Status& status) {
  const ErrorKind kind = kind_of(status.code());
  std::string code = kind.code;
  if (status.code() == Code::kNotFound && status.field() == "model") code = "model_not_found";
  std::string message = status.message();
  if (!status.field().empty()) message = status.field() + ": " + message;
  Json inner = Json::object({{"message", std::move(message)}, {"type", kind.type}});
  inner.set("param", status.field().empty() ? Json() : Json(status.field()));
  inner.set("code", Json(std::move(code)));
  return Json::object({{"error", std::move(inner)}});
}

std::string error_body(const Status& status) { return error_json(status).dump(); }

HttpResponse error_response(const Status& status) {
  HttpResponse response = json_response(error_json(status), http_status(status.code()));
  if (response.status == 429 || response.status == 503) {
    response.headers.emplace_back("Retry-After", "1");
  }
  if (response.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

HttpResponse json_response(const Json& body, int status) {
  HttpResponse response;
  response.status = status;
  response.headers.emplace_back("Content-Type", "application/json");
  response.body = body.dump();
  return response;
}

}  // namespace yunqi
