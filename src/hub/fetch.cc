// The rules of RFC 9110 for ranges (14), validators (8.8) and If-Range (13.1.5), as far as a
// download needs them.
#include "hub/fetch.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "http/client.h"

namespace yunqi {
namespace {

constexpr int64_t kMaxWaitMs = 30'000;
constexpr int64_t kMaxServerWaitMs = 120'000;
constexpr int kMaxJsonTries = 4;
constexpr uint64_t kMaxJsonBytes = uint64_t{16} << 20;
constexpr int64_t kWaitStepMs = 50;
constexpr int kMaxDoublings = 10;

using Verdict = FetchOutcome::Verdict;

std::optional<uint64_t> whole_number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct ContentRange {
  uint64_t begin = 0, end = 0;  // half-open
  uint64_t size = 0;            // 0 when the server wrote '*'
};

std::optional<ContentRange> parse_content_range(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  const size_t dash = text.find('-');
  const size_t slash = text.find('/');
  if (!text.starts_with(kUnit) || dash == std::string_view::npos ||
      slash == std::string_view::npos || slash < dash) {
    return std::nullopt;
  }
  const auto begin = whole_number(text.substr(kUnit.size(), dash - kUnit.size()));
  const auto last = whole_number(text.substr(dash + 1, slash - dash - 1));
  const std::string_view total = text.substr(slash + 1);
  const auto size = total == "*" ? std::optional<uint64_t>(0) : whole_number(total);
  if (!begin || !last || !size || *last < *begin || (*size != 0 && *last >= *size) ||
      *last == UINT64_MAX) {
    return std::nullopt;
  }
  return ContentRange{*begin, *last + 1, *size};
}

std::string validator_of(const ClientResponse& head) {
  const std::string* etag = head.header("etag");
  if (etag && etag->size() >= 2 && etag->front() == '"') return *etag;  // strong ones only
  const std::string* date = head.header("last-modified");
  return date ? *date : std::string();
}

int64_t retry_after_ms(const ClientResponse& head) {
  const std::string* text = head.header("retry-after");
  const auto seconds = text ? whole_number(*text) : std::nullopt;  // dates are rare: own back-off
  if (!seconds) return 0;
  return static_cast<int64_t>(std::min<uint64_t>(*seconds, kMaxServerWaitMs / 1000)) * 1000;
}

// Reads the head; decides whether the body is what was asked for.
class HeadCheck {
 public:
  HeadCheck(const FetchRequest& request, FetchOutcome& out) : request_(request), out_(out) {}

  // True when the body is wanted.
  bool operator()(const ClientResponse& head) {
    out_.answered = true;
    out_.validator = validator_of(head);
    const bool same = request_.validator.empty() || out_.validator == request_.validator;
    if (head.status == 206 && request_.ranged) {
      if (!same) return end(Verdict::kChanged, Code::kUnavailable, "the file changed meanwhile");
      return check_range(head);
    }
    if (head.status == 200) {
      if (!same) return end(Verdict::kChanged, Code::kUnavailable, "the file changed meanwhile");
      if (request_.ranged) {
        return end(Verdict::kNoRanges, Code::kUnavailable, "the server does not send ranges");
      }
      return check_whole(head);
    }
    return refuse(head);
  }

  uint64_t wanted() const { return wanted_; }  // bytes of body, 0 when not known
  bool knows_length() const { return knows_length_; }

 private:
  bool end(Verdict verdict, Code code, std::string why) {
    out_.verdict = verdict;
    out_.status = Status(code, std::move(why));
    return false;
  }

  bool check_range(const ClientResponse& head) {
    const std::string* text = head.header("content-range");
    const auto range = text ? parse_content_range(*text) : std::nullopt;
    if (!range || range->begin != request_.begin || range->end > request_.end ||
        (request_.size != 0 && range->size != 0 && range->size != request_.size)) {
      const bool other_size = range && request_.size != 0 && range->size != request_.size;
      return end(other_size ? Verdict::kChanged : Verdict::kRetry, Code::kUnavailable,
                 fmt::format("want Content-Range bytes {}-{}/{}, found \"{}\"", request_.begin,
                             request_.end - 1, request_.size, text ? *text : "none"));
    }
    out_.size = range->size;
    wanted_ = range->end - range->begin;
    knows_length_ = true;
    return true;
  }

  bool check_whole(const ClientResponse& head) {
    const std::string* text = head.header("content-length");
    const auto length = text ? whole_number(*text) : std::nullopt;
    if (length && request_.size != 0 && *length != request_.size) {
      return end(
          Verdict::kChanged, Code::kBadFile,
          fmt::format("want a file of {} bytes, the server sends {}", request_.size, *length));
    }
    out_.size = length ? *length : 0;
    wanted_ = length ? *length : request_.size;
    knows_length_ = length || request_.size != 0;
    return true;
  }

  bool refuse(const ClientResponse& head) {
    const int status = head.status;
    const std::string what = fmt::format("HTTP {} from {}", status, request_.url);
    if (status == 401) {
      return end(Verdict::kFailed, Code::kUnauthenticated, what + request_.access_hint);
    }
    if (status == 403) return end(Verdict::kFailed, Code::kPermission, what + request_.access_hint);
    if (status == 404 || status == 410) return end(Verdict::kFailed, Code::kNotFound, what);
    if (status == 416) return end(Verdict::kChanged, Code::kUnavailable, what);
    out_.retry_after_ms = retry_after_ms(head);
    const bool passing = status == 408 || status == 425 || status == 429 || status == 500 ||
                         status == 502 || status == 503 || status == 504;
    return end(passing ? Verdict::kRetry : Verdict::kFailed, Code::kUnavailable, what);
  }

  const FetchRequest& request_;
  FetchOutcome& out_;
  uint64_t wanted_ = 0;
  bool knows_length_ = false;
};

ClientRequest client_request(const FetchRequest& request) {
  ClientRequest out;
  out.url = request.url;
  out.headers = request.headers;
  if (request.ranged) {
    out.headers.emplace_back("range", fmt::format("bytes={}-{}", request.begin, request.end - 1));
    if (!request.validator.empty()) out.headers.emplace_back("if-range", request.validator);
  }
  return out;
}

std::string next_page(const ClientResponse& response) {
  const std::string* link = response.header("link");
  if (!link || link->find("rel=\"next\"") == std::string::npos) return {};
  const size_t open = link->find('<');
  const size_t close = link->find('>');
  if (open == std::string::npos || close == std::string::npos || close < open) return {};
  return link->substr(open + 1, close - open - 1);
}

}  // namespace

FetchOutcome fetch(const FetchRequest& request, const FetchSink& sink,
                   const std::function<bool()>& keep_going) {
  FetchOutcome out;
  HeadCheck check(request, out);
  bool decided = false;  // out.verdict says why the transfer was ended
  ClientSink client_sink;
  client_sink.keep_going = keep_going;
  client_sink.on_head = [&](const ClientResponse& head) {
    decided = !check(head);
    return !decided;
  };
  client_sink.on_chunk = [&](std::string_view chunk) {
    if (check.knows_length() && chunk.size() > check.wanted() - out.received) {
      out.verdict = Verdict::kRetry;
      out.status = error(Code::kUnavailable, "the server sent more than it announced");
      decided = true;
      return false;
    }
    if (Status kept = sink(chunk); !kept.is_ok()) {
      out.verdict = Verdict::kFailed;
      out.status = std::move(kept);
      decided = true;
      return false;
    }
    out.received += chunk.size();
    return true;
  };
  const Result<ClientResponse> response = http_stream(client_request(request), client_sink);
  if (decided) return out;
  if (!response.is_ok()) {
    out.status = response.status();
    out.verdict =
        response.status().code() == Code::kUnavailable ? Verdict::kRetry : Verdict::kFailed;
  } else if (check.knows_length() && out.received != check.wanted()) {
    out.status = error(Code::kUnavailable, "want {} bytes, the server sent {}", check.wanted(),
                       out.received);
    out.verdict = Verdict::kRetry;
  } else {
    out.verdict = Verdict::kDone;
  }
  return out;
}

int64_t retry_wait_ms(int tries, int64_t base_ms, int64_t retry_after) {
  const int64_t own = base_ms << std::clamp(tries - 1, 0, kMaxDoublings);
  return std::max(std::min(own, kMaxWaitMs), retry_after);
}

bool wait_ms(int64_t ms, const std::function<bool()>& keep_going) {
  using SteadyClock = std::chrono::steady_clock;
  std::mutex mutex;
  std::condition_variable nobody;  // a bounded wait that stays interruptible
  std::unique_lock lock(mutex);
  const auto end = SteadyClock::now() + std::chrono::milliseconds(ms);
  while (SteadyClock::now() < end) {
    if (keep_going && !keep_going()) return false;
    const auto step = SteadyClock::now() + std::chrono::milliseconds(kWaitStepMs);
    nobody.wait_until(lock, std::min(step, end));
  }
  return !keep_going || keep_going();
}

Result<Json> fetch_json(const FetchRequest& request, int64_t retry_base_ms,
                        const std::function<bool()>& keep_going, std::string* next_url) {
  for (int tries = 1;; ++tries) {
    FetchOutcome out;
    HeadCheck check(request, out);
    std::string body;
    ClientSink sink;
    sink.keep_going = keep_going;
    sink.on_head = [&](const ClientResponse& head) { return check(head); };
    sink.on_chunk = [&](std::string_view chunk) {
      if (body.size() + chunk.size() > kMaxJsonBytes) {
        out.status =
            error(Code::kTooLarge, "{}: want at most {} bytes of JSON", request.url, kMaxJsonBytes);
        return false;
      }
      body.append(chunk);
      return true;
    };
    const Result<ClientResponse> response = http_stream(client_request(request), sink);
    if (response.is_ok()) {
      *next_url = next_page(*response);
      Result<Json> json = parse_json(body);
      if (json.is_ok()) return json;
      return error(Code::kUnavailable, "{}: want JSON: {}", request.url, json.status().message());
    }
    const Status why = out.status.is_ok() ? response.status() : out.status;
    const bool passing =
        out.status.is_ok() ? why.code() == Code::kUnavailable : out.verdict == Verdict::kRetry;
    // A host that does not answer costs its 3 s once; the next source may be better.
    if (!passing || !out.answered || tries >= kMaxJsonTries) return why;
    if (!wait_ms(retry_wait_ms(tries, retry_base_ms, out.retry_after_ms), keep_going)) {
      return error(Code::kCancelled, "cancelled");
    }
  }
}

}  // namespace yunqi
