// Outgoing HTTP through libcurl: one request a call, body to memory or to a sink as it arrives.
// Used by hub/ only; thread-safe (each call has its own handle).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace yunqi {

struct ClientRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;  // sent to the first host only when
                                                             // named authorization (never leaks)
  std::string body;
  int64_t connect_timeout_ms = 3'000;
  int64_t idle_timeout_ms = 30'000;              // no byte for this long ends the request
  uint64_t max_body_bytes = uint64_t{64} << 20;  // of a body kept in memory
  int max_redirects = 5;
};

struct ClientResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case, last hop's
  std::string body;                                          // empty when a sink took it
  std::string final_url;                                     // after redirects
  const std::string* header(std::string_view lower_case_name) const;
};

// Called with the response head once (final hop), then per chunk; return false to stop
// (kCancelled).
struct ClientSink {
  std::function<bool(const ClientResponse& head)> on_head;
  std::function<bool(std::string_view chunk)> on_chunk;
  // Asked about 10 times a second, also while nothing arrives; false ends the request (kCancelled).
  std::function<bool()> keep_going;
};

// The parts of a URL that say whose it is: "https", "example.org", 443. kInvalidArgument when the
// text is no http or https URL with a host.
struct UrlOrigin {
  std::string scheme;
  std::string host;  // lower case
  int port = 0;
  bool operator==(const UrlOrigin&) const = default;
};
Result<UrlOrigin> url_origin(std::string_view url);

// Any HTTP status is a value; errors are network errors: kUnavailable (connect, reset, timeout),
// kInvalidArgument (bad URL), kTooLarge (body over the limit), kCancelled (sink said stop).
Result<ClientResponse> http_request(const ClientRequest& request);
Result<ClientResponse> http_stream(const ClientRequest& request, const ClientSink& sink);

}  // namespace yunqi
