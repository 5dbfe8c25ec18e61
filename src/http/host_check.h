// Which Host and Origin a server answers, so that a web page elsewhere (also by DNS rebinding)
// can't use a server on this machine. Pure functions, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace yunqi {

// "localhost", "*.localhost", 127.0.0.0/8, "[::1]".
bool is_loopback_name(std::string_view name);

// The name of "name", "name:port", "[v6]" or "[v6]:port", lower case; "" when it is none of these.
std::string host_name(std::string_view host_header);

struct HostRules {
  std::string bound;                       // the address served on
  std::vector<std::string> allowed_hosts;  // "*" is all
  std::vector<std::string> cors_origins;   // "*" is all
};

// kPermission names the header and what to do; kInvalidArgument when Host is malformed. A server on
// every address is also reached under any address: no other site's page can be behind one, only
// behind a name.
Status check_host(const HostRules& rules, std::string_view host_header);
// An Origin is fine when it is the server's own (its host is one check_host accepts and equals the
// request's Host) or listed. "null" must be listed too.
Status check_origin(const HostRules& rules, std::string_view origin, std::string_view host_header);
// Whether replies to this origin carry CORS headers: it is listed.
bool is_cors_origin(const HostRules& rules, std::string_view origin);

}  // namespace yunqi
