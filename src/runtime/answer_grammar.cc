// See answer_grammar.h.
#include "runtime/answer_grammar.h"

#include <algorithm>
#include <utility>

namespace yunqi {
namespace {

const Json* member(const Json& tool, const char* name) {
  const Json* function = tool.find("function");
  const Json* found = (function != nullptr ? *function : tool).find(name);
  return found == nullptr || found->is_null() ? nullptr : found;
}

bool is_strict(const Json& tool) {
  const Json* strict = member(tool, "strict");
  return strict != nullptr && strict->is_bool() && strict->as_bool();
}

// One call in the JSON format: from its opening tag to its closing one.
GrammarTag call_tag(const Json& tool) {
  GrammarTag tag;
  std::string name;
  append_json_string(name, member(tool, "name")->as_string());
  tag.begin = "<tool_call>\n{\"name\": " + name + ", \"arguments\": ";
  tag.trigger = "<tool_call>";
  tag.end = "}\n</tool_call>";
  if (const Json* schema = member(tool, "parameters"); schema != nullptr) {
    tag.content.kind = GrammarSpec::Kind::kJsonSchema;
    tag.content.schema = *schema;
  }
  return tag;
}

}  // namespace

Result<std::optional<GrammarSpec>> answer_grammar(const GenerateRequest& request,
                                                  ToolFormat tool_format) {
  const bool has_tools = request.tools.is_array() && !request.tools.as_array().empty() &&
                         request.tool_choice != ToolChoice::kNone;
  if (request.grammar.has_value()) {
    if (!has_tools) return request.grammar;
    return error(Code::kUnsupported, "can't be used with tools; set tool_choice to \"none\"")
        .at(request.grammar_field);
  }
  if (!has_tools) return std::optional<GrammarSpec>();
  const JsonArray& tools = request.tools.as_array();
  const bool must =
      request.tool_choice == ToolChoice::kRequired || request.tool_choice == ToolChoice::kNamed;
  const auto strict = std::find_if(tools.begin(), tools.end(), is_strict);
  if (!must && strict == tools.end()) return std::optional<GrammarSpec>();
  if (tool_format != ToolFormat::kJson) {
    if (strict == tools.end()) return std::optional<GrammarSpec>();
    return error(Code::kUnsupported,
                 "this model writes its calls in XML, which no schema is enforced on yet")
        .at(fmt::format("tools[{}].function.strict", strict - tools.begin()));
  }
  GrammarSpec spec;
  spec.kind = GrammarSpec::Kind::kTags;
  spec.free_text = !must;
  spec.separator = "\n";
  spec.min_tags = must ? 1 : 0;
  spec.many_tags = request.parallel_tool_calls && request.tool_choice != ToolChoice::kNamed;
  for (const Json& tool : tools) {
    const Json* name = member(tool, "name");
    if (name == nullptr || !name->is_string()) continue;
    const bool chosen =
        request.tool_choice != ToolChoice::kNamed || name->as_string() == request.tool_name;
    if (chosen) spec.tags.push_back(call_tag(tool));
  }
  return std::optional<GrammarSpec>(std::move(spec));
}

}  // namespace yunqi
