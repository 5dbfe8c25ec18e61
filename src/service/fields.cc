// See fields.h.
#include "service/fields.h"

#include <utility>

namespace yunqi {

Fields::Fields(const Json& object, std::string path) : object_(object), path_(std::move(path)) {
  if (!object.is_object()) {
    fail(error(Code::kInvalidArgument, "want a JSON object, found {}", object.type_name())
             .at(path_));
  }
}

std::string Fields::path_of(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

void Fields::fail(Status status) {
  if (status_.is_ok()) status_ = std::move(status);
}

void Fields::wrong_type(std::string_view name, std::string_view want, const Json& found) {
  fail(error(Code::kInvalidArgument, "want {}, found {}", want, found.type_name())
           .at(path_of(name)));
}

const Json* Fields::find(std::string_view name) {
  read_.emplace(name);
  const Json* value = object_.find(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

const Json* Fields::any(std::string_view name) { return find(name); }

std::optional<double> Fields::number(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_number()) return value->as_double();
  wrong_type(name, "a number", *value);
  return std::nullopt;
}

std::optional<int64_t> Fields::integer(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_int()) return value->as_int();
  // Some clients write every number as a double: 16.0 is 16.
  if (value->is_double()) {
    const double number = value->as_double();
    if (number >= -9e15 && number <= 9e15 &&
        number == static_cast<double>(static_cast<int64_t>(number))) {
      return static_cast<int64_t>(number);
    }
  }
  wrong_type(name, value->is_uint() ? "an integer below 2^63" : "an integer", *value);
  return std::nullopt;
}

std::optional<bool> Fields::boolean(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_bool()) return value->as_bool();
  wrong_type(name, "true or false", *value);
  return std::nullopt;
}

std::optional<std::string> Fields::string(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->as_string();
  wrong_type(name, "a string", *value);
  return std::nullopt;
}

const Json* Fields::array(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr || value->is_array()) return value;
  wrong_type(name, "a list", *value);
  return nullptr;
}

const Json* Fields::object(std::string_view name) {
  const Json* value = find(name);
  if (value == nullptr || value->is_object()) return value;
  wrong_type(name, "an object", *value);
  return nullptr;
}

void Fields::accept(std::string_view name) { read_.emplace(name); }

void Fields::refuse(std::string_view name, std::string_view why) {
  if (find(name) == nullptr) return;
  fail(error(Code::kUnsupported, "{}", why).at(path_of(name)));
}

std::vector<std::string> Fields::unread() const {
  std::vector<std::string> out;
  if (!object_.is_object()) return out;
  for (const auto& [name, value] : object_.as_object()) {
    if (!read_.contains(name)) out.push_back(name);
  }
  return out;
}

}  // namespace yunqi
