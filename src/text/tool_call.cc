// See tool_call.h.
#include "text/tool_call.h"

#include <algorithm>
#include <cctype>

#include "text/tool_call_json.h"

namespace yunqi {
namespace {

constexpr int kMaxSchemaDepth = 4;  // nested anyOf lists that are looked into

uint32_t type_bit(std::string_view name) {
  if (name == "string") return kTypeString;
  if (name == "integer") return kTypeInteger;
  if (name == "number") return kTypeNumber;
  if (name == "boolean") return kTypeBoolean;
  if (name == "object") return kTypeObject;
  if (name == "array") return kTypeArray;
  if (name == "null") return kTypeNull;
  return 0;
}

uint32_t types_in(const Json& schema, int depth) {
  uint32_t types = 0;
  if (const Json* type = schema.find("type"); type != nullptr) {
    if (type->is_string()) types |= type_bit(type->as_string());
    if (type->is_array()) {
      for (const Json& one : type->as_array()) {
        if (one.is_string()) types |= type_bit(one.as_string());
      }
    }
  } else if (const Json* values = schema.find("enum"); values != nullptr && values->is_array()) {
    for (const Json& value : values->as_array()) types |= type_bit(value.type_name());
  } else if (schema.find("properties") != nullptr) {
    types |= kTypeObject;
  } else if (schema.find("items") != nullptr) {
    types |= kTypeArray;
  }
  if (depth == 0) return types;
  for (const char* key : {"anyOf", "oneOf", "allOf"}) {
    const Json* list = schema.find(key);
    if (list == nullptr || !list->is_array()) continue;
    for (const Json& one : list->as_array()) types |= types_in(one, depth - 1);
  }
  return types;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

}  // namespace

ToolFormat detect_tool_format(std::string_view template_source) {
  if (template_source.find("<function=") != std::string_view::npos) return ToolFormat::kXml;
  if (template_source.find("<tool_call>") != std::string_view::npos) return ToolFormat::kJson;
  return ToolFormat::kNone;
}

bool is_tool_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxToolNameBytes) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return std::isalnum(byte) != 0 || byte >= 0x80 || c == '_' || c == '-' || c == '.' ||
           c == ':' || c == '/';
  });
}

ToolSet ToolSet::from(const Json& tools) {
  ToolSet out;
  if (!tools.is_array()) return out;
  for (const Json& item : tools.as_array()) {
    const Json* function = item.find("function");
    const Json& described = function != nullptr ? *function : item;
    const Json* name = described.find("name");
    if (name == nullptr || !name->is_string()) continue;
    Tool tool{name->as_string(), {}};
    const Json* schema = described.find("parameters");
    const Json* properties = schema != nullptr ? schema->find("properties") : nullptr;
    if (properties != nullptr && properties->is_object()) {
      for (const auto& [key, value] : properties->as_object()) {
        tool.parameters.push_back({key, types_in(value, kMaxSchemaDepth)});
      }
    }
    out.tools_.push_back(std::move(tool));
  }
  return out;
}

const ToolSet::Tool* ToolSet::find(std::string_view tool) const {
  for (const Tool& one : tools_) {
    if (one.name == tool) return &one;
  }
  return nullptr;
}

const ToolSet::Parameter* ToolSet::find(std::string_view tool, std::string_view parameter) const {
  const Tool* found = find(tool);
  if (found == nullptr) return nullptr;
  for (const Parameter& one : found->parameters) {
    if (one.name == parameter) return &one;
  }
  return nullptr;
}

uint32_t ToolSet::types_of(std::string_view tool, std::string_view parameter) const {
  const Parameter* found = find(tool, parameter);
  return found == nullptr ? 0 : found->types;
}

bool ToolSet::has_parameter(std::string_view tool, std::string_view parameter) const {
  return find(tool, parameter) != nullptr;
}

bool ToolSet::has_parameter_prefix(std::string_view tool, std::string_view prefix) const {
  const Tool* found = find(tool);
  return found != nullptr &&
         std::any_of(found->parameters.begin(), found->parameters.end(),
                     [&](const Parameter& one) { return one.name.starts_with(prefix); });
}

std::vector<std::string> ToolSet::names() const {
  std::vector<std::string> out;
  for (const Tool& tool : tools_) out.push_back(tool.name);
  return out;
}

void append_escaped(std::string& out, char byte) {
  static constexpr char kHex[] = "0123456789abcdef";
  const auto value = static_cast<unsigned char>(byte);
  if (byte == '"' || byte == '\\') {
    out += '\\';
    out += byte;
  } else if (byte == '\n') {
    out += "\\n";
  } else if (byte == '\t') {
    out += "\\t";
  } else if (byte == '\r') {
    out += "\\r";
  } else if (value < 0x20) {
    out += "\\u00";
    out += kHex[value >> 4];
    out += kHex[value & 15];
  } else {
    out += byte;
  }
}

std::string parameter_to_json(std::string_view text, uint32_t types) {
  const std::string_view word = trim(text);
  const bool only_string = (types & ~uint32_t{kTypeString}) == 0;
  if (!only_string) {
    const bool null_fits = (types & kTypeNull) != 0 || (types & kTypeString) == 0;
    if (null_fits && (word == "null" || word == "None")) return "null";
    if ((types & (kTypeInteger | kTypeNumber)) != 0 && is_json_number(word)) {
      const bool whole = word.find_first_of(".eE") == std::string_view::npos;
      if (whole || (types & kTypeNumber) != 0) return std::string(word);
    }
    if ((types & kTypeBoolean) != 0) {
      if (const std::string flag = lower(word); flag == "true" || flag == "false") return flag;
    }
    if ((types & (kTypeObject | kTypeArray)) != 0 && !word.empty() &&
        (word.front() == '{' || word.front() == '[')) {
      const bool fits = (types & (word.front() == '{' ? kTypeObject : kTypeArray)) != 0;
      if (std::optional<std::string> value = repair_json(word); fits && value.has_value()) {
        return *std::move(value);
      }
    }
  }
  std::string out;
  append_json_string(out, text);
  return out;
}

}  // namespace yunqi
