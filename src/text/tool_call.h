// Tool calls as Qwen models write them: which format a checkpoint's template asks for, what a
// tool's parameters may be, and how an XML parameter's text becomes a JSON value. Immutable values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace yunqi {

// kJson: <tool_call>\n{"name": N, "arguments": {...}}\n</tool_call> (2.5, 3).
// kXml: <tool_call>\n<function=N>\n<parameter=P>\nV\n</parameter>\n</function>\n</tool_call>
// (Coder, 3.5 and later).
enum class ToolFormat { kNone, kJson, kXml };

// By the tags that the template itself writes.
ToolFormat detect_tool_format(std::string_view template_source);

inline constexpr size_t kMaxToolNameBytes = 128;

// 1 to kMaxToolNameBytes of letters, digits, "_", "-", ".", ":", "/" and bytes beyond ASCII.
bool is_tool_name(std::string_view name);

// JSON types as a bit set.
enum JsonTypeBit : uint32_t {
  kTypeString = 1,
  kTypeInteger = 2,
  kTypeNumber = 4,
  kTypeBoolean = 8,
  kTypeObject = 16,
  kTypeArray = 32,
  kTypeNull = 64,
};

// The tools of a request: names and the types of their top-level parameters.
class ToolSet {
 public:
  // From OpenAI's "tools"; what can't be understood is left out.
  static ToolSet from(const Json& tools);

  // Types that a schema allows; 0 for an unknown tool or parameter, or a schema without types.
  uint32_t types_of(std::string_view tool, std::string_view parameter) const;
  bool has_parameter(std::string_view tool, std::string_view parameter) const;
  // Whether some parameter of the tool begins with `prefix`.
  bool has_parameter_prefix(std::string_view tool, std::string_view prefix) const;
  std::vector<std::string> names() const;
  bool empty() const { return tools_.empty(); }

 private:
  struct Parameter {
    std::string name;
    uint32_t types = 0;
  };
  struct Tool {
    std::string name;
    std::vector<Parameter> parameters;
  };
  const Tool* find(std::string_view tool) const;
  const Parameter* find(std::string_view tool, std::string_view parameter) const;

  std::vector<Tool> tools_;
};

// The text of a parameter as JSON: by its types where the text fits one, else a JSON string.
std::string parameter_to_json(std::string_view text, uint32_t types);

// Appends `byte` as it stands inside a JSON string literal.
void append_escaped(std::string& out, char byte);

}  // namespace yunqi
