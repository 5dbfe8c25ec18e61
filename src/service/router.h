// Routes by method and path. Every route declares who may use it: there is no default, so a route
// without a permission does not compile.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/server.h"

namespace yunqi {

enum class Permission {
  kPublic,  // anyone who reaches the port
  kUse,     // a valid key, when the server has keys
};

struct RouteMatch {
  std::string tail;  // what "{id}" at the end of a pattern stood for, slashes included
};

using RouteHandler = std::function<HttpReply(const HttpRequest&, const RouteMatch&)>;

struct Route {
  std::string method;
  std::string pattern;  // "/v1/models", or "/v1/models/{id}"
  Permission permission;
  RouteHandler handler;
};

class Router {
 public:
  void add(Route route) { routes_.push_back(std::move(route)); }

  struct Found {
    const Route* route = nullptr;
    RouteMatch match;
  };
  // kNotFound, or kUnsupported with the methods that the path has (answered as 405).
  Result<Found> find(std::string_view method, std::string_view path) const;
  // What an Allow header says: "GET, POST"; empty when nothing has this path.
  std::string methods_of(std::string_view path) const;
  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

}  // namespace yunqi
