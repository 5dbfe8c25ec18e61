// Drives an OpenAI-compatible server: sessions of one or several turns, so many at once or at
// random times, and a record of every request. One thread; blocks until all is done.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "app/bench_serve_report.h"
#include "app/bench_serve_text.h"
#include "base/json.h"
#include "base/result.h"

namespace yunqi {

struct LoadOptions {
  std::string base_url;  // "http://127.0.0.1:8080", without "/v1"
  bool chat = true;      // else /v1/completions
  std::string model;     // empty: the server's first
  std::vector<std::pair<std::string, std::string>> headers;
  Json extra_body = Json::object();  // set in every request, over what is made here

  int64_t requests = 100;   // in all
  double duration_s = 0;    // > 0: nothing starts after so long
  int64_t concurrency = 1;  // sessions at once; with a rate, the most
  double rate = 0;          // sessions a second, at exponential gaps; 0: the next when one ends

  LengthDistribution prompt{128}, output{128};
  int64_t prefix_tokens = 0;  // shared by all sessions: a system message, or the text's begin
  int64_t turns = 1;          // requests of one session, each with all that came before
  int64_t tool_tokens = 0;    // a tool's result after each answer
  std::string tool_role = "user";
  bool ignore_eos = true;  // answers have exactly the drawn length
  double temperature = 0;
  uint64_t seed = 0;
  int64_t timeout_ms = 600'000;  // one request
};

// What the server's tokenizer makes of our words, found by asking it.
struct Calibration {
  std::string model;
  double tokens_per_word = 1;
};
// /tokenize where the server has it, else the prompt_tokens of two short requests.
Result<Calibration> calibrate(const LoadOptions& options);

// `keep_going` is asked about ten times a second; false cuts off what runs.
Result<std::vector<LoadRecord>> run_load(const LoadOptions& options, const Calibration& server,
                                         const std::function<bool()>& keep_going);

}  // namespace yunqi
