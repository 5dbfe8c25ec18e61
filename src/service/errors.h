// Status to HTTP: the one table of codes, and the OpenAI-shaped error body.
#pragma once

#include <string>

#include "base/json.h"
#include "base/status.h"
#include "http/server.h"

namespace yunqi {

int http_status(Code code);
// {"error": {"message", "type", "param", "code"}}; param is the field's JSON path or null.
Json error_json(const Status& status);
// error_json as text: for errors that the HTTP server makes itself.
std::string error_body(const Status& status);
// The whole response, with Retry-After where a later try can help.
HttpResponse error_response(const Status& status);
HttpResponse json_response(const Json& body, int status = 200);

}  // namespace yunqi
