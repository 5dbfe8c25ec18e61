// Result<T>: a value or a Status that says why there is none. Access to the missing one is a bug.
#pragma once

#include <optional>
#include <utility>

#include "base/check.h"
#include "base/status.h"

namespace yunqi {

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT: `return value;` is the point
  Result(Status status) : status_(std::move(status)) {  // NOLINT: and so is `return error(...);`
    YQ_CHECK(!status_.is_ok(), "a Result without a value needs an error");
  }

  bool is_ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }

  T& value() & {
    YQ_CHECK(value_.has_value(), "Result has no value: {}", status_.to_string());
    return *value_;
  }
  const T& value() const& {
    YQ_CHECK(value_.has_value(), "Result has no value: {}", status_.to_string());
    return *value_;
  }
  T&& value() && {
    YQ_CHECK(value_.has_value(), "Result has no value: {}", status_.to_string());
    return *std::move(value_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T value_or(T other) && { return value_ ? *std::move(value_) : std::move(other); }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace yunqi

#define YQ_CONCAT_INNER(a, b) a##b
#define YQ_CONCAT(a, b) YQ_CONCAT_INNER(a, b)
// YQ_TRY(auto file, open(path));  binds the value or returns the Status.
#define YQ_TRY(declaration, expr)                                         \
  auto YQ_CONCAT(yq_result_, __LINE__) = (expr);                          \
  if (!YQ_CONCAT(yq_result_, __LINE__).is_ok()) {                         \
    return YQ_CONCAT(yq_result_, __LINE__).status();                      \
  }                                                                       \
  declaration = std::move(YQ_CONCAT(yq_result_, __LINE__)).value()
