// See step_events.h. Format: "Trace Event Format" (JSON object form), times in microseconds.
#include "runtime/step_events.h"

#include <utility>

namespace yunqi {
namespace {

constexpr int kStepRow = 1, kPartRow = 2;

Json time_json(int64_t ns) { return Json(static_cast<double>(ns) / 1e3); }

// A span of time on one row of a process.
Json span_json(const char* name, int64_t begin_ns, int64_t duration_ns, int process, int row) {
  Json out = Json::object({{"name", name}, {"ph", "X"}});
  out.set("ts", time_json(begin_ns));
  out.set("dur", time_json(duration_ns));
  out.set("pid", Json(process));
  out.set("tid", Json(row));
  return out;
}

Json counter_json(const char* name, int64_t at_ns, int process, Json values) {
  Json out = Json::object({{"name", name}, {"ph", "C"}});
  out.set("ts", time_json(at_ns));
  out.set("pid", Json(process));
  out.set("args", std::move(values));
  return out;
}

Json step_arguments(const StepRecord& step) {
  return Json::object({{"step", step.step},
                       {"rows", step.rows},
                       {"decode_rows", step.decode_rows},
                       {"prefill_rows", step.prefill_rows},
                       {"draft_rows", step.draft_rows},
                       {"drafts_accepted", step.drafts_accepted},
                       {"runs", step.runs},
                       {"cache_hit_pages", step.cache_hit_pages},
                       {"cache_evictions", step.cache_evictions},
                       {"preemptions", step.preemptions}});
}

}  // namespace

void append_step_events(Json& events, std::span<const StepRecord> steps, int process) {
  for (const StepRecord& step : steps) {
    const int64_t gate_at = step.begin_ns + step.plan_ns;
    const int64_t execute_at = gate_at + step.gate_ns;
    const int64_t sample_at = execute_at + step.execute_ns;
    Json whole = span_json("step", step.begin_ns, sample_at + step.sample_ns - step.begin_ns,
                           process, kStepRow);
    whole.set("args", step_arguments(step));
    events.push_back(std::move(whole));
    events.push_back(span_json("plan", step.begin_ns, step.plan_ns, process, kPartRow));
    events.push_back(span_json("wait for the device", gate_at, step.gate_ns, process, kPartRow));
    events.push_back(span_json("execute", execute_at, step.execute_ns, process, kPartRow));
    events.push_back(span_json("sample", sample_at, step.sample_ns, process, kPartRow));
    events.push_back(
        counter_json("requests", step.begin_ns, process,
                     Json::object({{"running", step.running}, {"waiting", step.waiting}})));
    events.push_back(
        counter_json("pages", step.begin_ns, process,
                     Json::object({{"free", step.pages_free}, {"cached", step.cache_pages}})));
  }
}

}  // namespace yunqi
