// The error type of the whole project: a code, one line for a person, and, for requests, the JSON
// path of the field at fault. Values are immutable and cheap to copy; OK costs one null pointer.
// Codes map one to one to HTTP statuses (service/errors.cc) and exit codes (app/exit_code.cc).
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace yunqi {

enum class Code {
  kOk,
  kInvalidArgument,  // the caller's request or flags are wrong         HTTP 400, exit 2
  kUnauthenticated,  // no key, or a wrong one                          HTTP 401, exit 1
  kPermission,       // known, but not allowed (Host, Origin, scope)    HTTP 403, exit 1
  kNotFound,         // no such model, file, route                      HTTP 404, exit 3
  kTooLarge,         // body, prompt or list over a named limit         HTTP 413, exit 2
  kBadFile,          // a file is malformed or fails its hash           HTTP 422, exit 4
  kUnsupported,      // well-formed, but not something we can do        HTTP 400, exit 4
  kRateLimited,      // this flow's own limit is reached                HTTP 429, exit 5
  kUnavailable,      // the server is full, loading or draining         HTTP 503, exit 5
  kNoResources,      // memory, disk or descriptors do not suffice      HTTP 503, exit 5
  kCancelled,        // the caller went away or asked to stop           HTTP 499, exit 1
  kInternal,         // our bug or a broken machine                     HTTP 500, exit 1
};

// "invalid_argument", "not_found", ...
std::string_view code_name(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;  // OK
  Status(Code code, std::string message, std::string field = {});

  static Status ok() { return {}; }

  bool is_ok() const { return rep_ == nullptr; }
  Code code() const { return rep_ ? rep_->code : Code::kOk; }
  // One line: what was expected, found, where, and what to do. Empty when OK.
  const std::string& message() const;
  // JSON path of the request field at fault ("messages[0].content"); empty when there is none.
  const std::string& field() const;

  // The same error with `where: ` put before its message. No-op when OK.
  Status with_context(std::string_view where) const;
  // The same error naming the request field at fault. No-op when OK.
  Status at(std::string field) const;
  // "bad_file: model.gguf: truncated at byte 12", for logs and tests.
  std::string to_string() const;

 private:
  struct Rep {
    Code code;
    std::string message;
    std::string field;
  };
  std::shared_ptr<const Rep> rep_;  // shared by copies of one Status, immutable
};

// error(Code::kBadFile, "{}: want magic GGUF, found {:#x}", path, magic)
template <typename... Args>
Status error(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return Status(code, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace yunqi

// Returns the Status from the enclosing function unless it is OK.
#define YQ_RETURN_IF_ERROR(expr)                                   \
  do {                                                             \
    if (::yunqi::Status yq_status_ = (expr); !yq_status_.is_ok()) { \
      return yq_status_;                                           \
    }                                                              \
  } while (false)
