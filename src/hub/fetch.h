// One GET, checked: the answer's status, range, size and version are what was asked for before a
// byte of it is kept. Also the waits between tries.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace yunqi {

using HeaderFields = std::vector<std::pair<std::string, std::string>>;

struct FetchRequest {
  std::string url;
  HeaderFields headers;
  bool ranged = false;  // ask for [begin, end) only
  uint64_t begin = 0, end = 0;
  uint64_t size = 0;        // of the whole file, 0 when not known
  std::string validator;    // of the version wanted, "" when any will do
  std::string access_hint;  // added to 401 and 403: what the user can do
};

struct FetchOutcome {
  enum class Verdict {
    kDone,      // all of it was received
    kRetry,     // may work when tried again (or continued from `received`)
    kChanged,   // the file there is another version: start over
    kNoRanges,  // the server sends the whole file only
    kFailed,    // trying again is of no use
  };
  Verdict verdict = Verdict::kFailed;
  Status status;          // why, unless kDone
  bool answered = false;  // a response head arrived
  uint64_t received = 0;  // bytes given to the sink
  uint64_t size = 0;      // of the whole file, 0 when the server did not say
  std::string validator;  // of the version that was sent
  int64_t retry_after_ms = 0;
};

// Takes bytes in order; an error from it ends the request as kFailed.
using FetchSink = std::function<Status(std::string_view chunk)>;

FetchOutcome fetch(const FetchRequest& request, const FetchSink& sink,
                   const std::function<bool()>& keep_going);

// How long to wait before the `tries`-th next try: doubling, bounded, the server's wish included.
int64_t retry_wait_ms(int tries, int64_t base_ms, int64_t retry_after_ms);
// False when keep_going said stop before the time was over.
bool wait_ms(int64_t ms, const std::function<bool()>& keep_going);

// A small JSON answer, with tries. Gives up at once when the host does not answer at all.
// `next_url` receives the next page's URL from a Link header, "" when there is none.
Result<Json> fetch_json(const FetchRequest& request, int64_t retry_base_ms,
                        const std::function<bool()>& keep_going, std::string* next_url);

}  // namespace yunqi
