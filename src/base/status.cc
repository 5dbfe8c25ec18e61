// See status.h.
#include "base/status.h"

namespace yunqi {
namespace {

const std::string& empty_string() {
  static const std::string kEmpty;
  return kEmpty;
}

}  // namespace

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kOk:
      return "ok";
    case Code::kInvalidArgument:
      return "invalid_argument";
    case Code::kUnauthenticated:
      return "unauthenticated";
    case Code::kPermission:
      return "permission";
    case Code::kNotFound:
      return "not_found";
    case Code::kTooLarge:
      return "too_large";
    case Code::kBadFile:
      return "bad_file";
    case Code::kUnsupported:
      return "unsupported";
    case Code::kRateLimited:
      return "rate_limited";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kNoResources:
      return "no_resources";
    case Code::kCancelled:
      return "cancelled";
    case Code::kInternal:
      return "internal";
  }
  return "unknown";
}

Status::Status(Code code, std::string message, std::string field) {
  if (code != Code::kOk) {
    rep_ = std::make_shared<const Rep>(Rep{code, std::move(message), std::move(field)});
  }
}

const std::string& Status::message() const { return rep_ ? rep_->message : empty_string(); }

const std::string& Status::field() const { return rep_ ? rep_->field : empty_string(); }

Status Status::with_context(std::string_view where) const {
  if (is_ok()) return *this;
  return Status(rep_->code, fmt::format("{}: {}", where, rep_->message), rep_->field);
}

Status Status::at(std::string field) const {
  if (is_ok()) return *this;
  return Status(rep_->code, rep_->message, std::move(field));
}

std::string Status::to_string() const {
  if (is_ok()) return "ok";
  return fmt::format("{}: {}", code_name(rep_->code), rep_->message);
}

}  // namespace yunqi
