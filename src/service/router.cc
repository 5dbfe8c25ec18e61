// See router.h.
#include "service/router.h"

namespace yunqi {
namespace {

constexpr std::string_view kTail = "{id}";

bool matches(const Route& route, std::string_view path, RouteMatch& match) {
  std::string_view pattern = route.pattern;
  if (!pattern.ends_with(kTail)) return pattern == path;
  pattern.remove_suffix(kTail.size());
  if (!path.starts_with(pattern) || path.size() == pattern.size()) return false;
  match.tail = path.substr(pattern.size());
  return true;
}

}  // namespace

std::string Router::methods_of(std::string_view path) const {
  std::string methods;
  for (const Route& route : routes_) {
    RouteMatch match;
    if (matches(route, path, match)) methods += (methods.empty() ? "" : ", ") + route.method;
  }
  return methods;
}

Result<Router::Found> Router::find(std::string_view method, std::string_view path) const {
  for (const Route& route : routes_) {
    Found found;
    if (!matches(route, path, found.match)) continue;
    // HEAD is GET without the body, which the server leaves out.
    if (route.method == method || (route.method == "GET" && method == "HEAD")) {
      found.route = &route;
      return found;
    }
  }
  if (const std::string methods = methods_of(path); !methods.empty()) {
    return error(Code::kUnsupported, "{} is not for {}; want {}", path, method, methods);
  }
  return error(Code::kNotFound, "there is no {} {} here; see GET /", method, path);
}

}  // namespace yunqi
