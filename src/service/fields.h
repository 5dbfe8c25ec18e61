// Typed reading of a JSON request object. The first wrong type is kept as the error with its JSON
// path; fields that nobody read are reported, so that none is dropped silently.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace yunqi {

class Fields {
 public:
  // `object` must outlive this. `path` is put before names in errors ("stream_options").
  explicit Fields(const Json& object, std::string path = {});

  // Absent and null give nullopt; another type records an error and gives nullopt.
  std::optional<double> number(std::string_view name);
  std::optional<int64_t> integer(std::string_view name);
  std::optional<bool> boolean(std::string_view name);
  std::optional<std::string> string(std::string_view name);
  // The value, or null when absent or JSON null.
  const Json* any(std::string_view name);
  const Json* array(std::string_view name);
  const Json* object(std::string_view name);

  // Marks a field as known, whatever its value: accepted and without effect.
  void accept(std::string_view name);
  // An error when the field is present and not null.
  void refuse(std::string_view name, std::string_view why);
  void fail(Status status);

  const Status& status() const { return status_; }
  std::string path_of(std::string_view name) const;
  // Names of fields that nobody asked for, in the order of the request.
  std::vector<std::string> unread() const;

 private:
  const Json* find(std::string_view name);
  void wrong_type(std::string_view name, std::string_view want, const Json& found);

  const Json& object_;
  std::string path_;
  std::set<std::string, std::less<>> read_;
  Status status_;
};

}  // namespace yunqi
