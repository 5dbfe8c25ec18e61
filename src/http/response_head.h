// The text of response heads, and the responses that the server makes itself. Pure but for the
// clock and the ids; any thread.
#pragma once

#include <string>
#include <string_view>

#include "http/host_check.h"
#include "http/request_rules.h"
#include "http/server_shared.h"

namespace yunqi {

// 128 random bits in hex: unguessable is not needed, unique is.
std::string make_request_id();

// Null when there is none.
const std::string* find_header(const HttpHeaders& headers, std::string_view lower_case_name);

// Status line and headers with the empty line: the response's own and those that are the server's
// (length or coding, Connection, Date, ids, CORS). No value can end its line.
std::string response_head(const HostRules& rules, const RequestHead& request,
                          std::string_view request_id, const HttpResponse& response);

// The answer to OPTIONS: what an allowed origin may send.
HttpResponse preflight_response(const HostRules& rules, const RequestHead& request);

// `http_status` 0: the one that fits the code.
HttpResponse error_response(const Status& status, int http_status, std::string body);

// A 500 that says nothing of the inside; never throws what `error_body` may throw.
HttpResponse internal_error_response(const HttpErrorBody& error_body);

}  // namespace yunqi
