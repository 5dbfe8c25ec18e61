// JSON variables -> values, each string marked with where it came from.
#include <algorithm>

#include "text/jinja_interpreter.h"

namespace yunqi::jinja {
namespace {

// Variables whose strings are user input; a message's "role" is not.
constexpr std::string_view kMessages = "messages";
constexpr std::string_view kUserVariables[] = {kMessages, "tools", "documents"};

}  // namespace

Status Interpreter::bind(const Json& variables) {
  if (!variables.is_object()) {
    return template_error("want the template's variables as an object, found {}",
                          variables.type_name());
  }
  globals_.resize(tmpl_.names.size());
  for (size_t i = 0; i < globals_.size(); ++i) {
    if (const Builtin* function = find_function(tmpl_.names[i])) {
      globals_[i].kind = Kind::kFunction;
      globals_[i].function = function;
    }
  }
  for (const auto& [name, json] : variables.as_object()) {
    const NameId id = tmpl_.find(name);
    if (id < 0) continue;
    const bool user = std::find(std::begin(kUserVariables), std::end(kUserVariables), name) !=
                      std::end(kUserVariables);
    Value& slot = globals_[static_cast<size_t>(id)];
    if (name == kMessages && json.is_array()) {
      YQ_TRY(slot, convert_messages(json));
    } else {
      YQ_TRY(slot, convert(json, user, 0));
    }
  }
  return Status::ok();
}

Result<Value> Interpreter::convert_messages(const Json& messages) {
  std::vector<Value> out;
  for (const Json& message : messages.as_array()) {
    YQ_TRY(Value value, convert(message, true, 1));
    if (value.is(Kind::kDict)) {
      for (auto& [key, member] : value.dict->items) {
        if (key.str->text == "role" && member.is_string()) {
          member = runtime_.borrow(member.str->text, false);
        }
      }
    }
    out.push_back(value);
  }
  return runtime_.list(std::move(out));
}

Result<Value> Interpreter::convert(const Json& json, bool user, int depth) {
  YQ_RETURN_IF_ERROR(runtime_.charge(1));
  YQ_RETURN_IF_ERROR(runtime_.check_depth(depth));
  if (json.is_null()) return Value::none();
  if (json.is_bool()) return Value::of(json.as_bool());
  if (json.is_int()) return Value::of(json.as_int());
  if (json.is_uint()) return Value::of(json.as_uint());
  if (json.is_double()) return Value::of(json.as_double());
  if (json.is_string()) return runtime_.borrow(json.as_string(), user);
  if (json.is_array()) {
    std::vector<Value> items;
    items.reserve(json.as_array().size());
    for (const Json& item : json.as_array()) {
      YQ_TRY(Value value, convert(item, user, depth + 1));
      items.push_back(value);
    }
    return runtime_.list(std::move(items));
  }
  std::vector<DictItem> items;
  items.reserve(json.as_object().size());
  for (const auto& [name, member] : json.as_object()) {
    YQ_TRY(Value value, convert(member, user, depth + 1));
    items.emplace_back(runtime_.borrow(name, user), value);
  }
  return runtime_.dict(std::move(items));
}

}  // namespace yunqi::jinja
