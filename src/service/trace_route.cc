// See trace_route.h. Runs on a worker thread.
#include "service/trace_route.h"

#include <utility>

#include "runtime/step_events.h"
#include "service/errors.h"

namespace yunqi {
namespace {

Json process_json(const std::string& name, int process) {
  return Json::object({{"name", "process_name"},
                       {"ph", "M"},
                       {"pid", process},
                       {"args", Json::object({{"name", name}})}});
}

}  // namespace

void add_trace_route(Router& router, const ModelPool& models) {
  const auto trace = [&models](const HttpRequest&, const RouteMatch&) -> HttpReply {
    Json events = Json::array();
    int process = 0;
    for (const ModelPool::Entry& entry : models.entries()) {
      if (entry.model == nullptr) continue;
      events.push_back(process_json(entry.id, ++process));
      append_step_events(events, entry.model->engine().trace(), process);
    }
    return json_response(
        Json::object({{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}}));
  };
  // A server without keys listens on loopback only.
  router.add({"GET", "/debug/trace", Permission::kUse, trace});
}

}  // namespace yunqi
