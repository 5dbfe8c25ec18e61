// See openai_tools.h.
#include "service/openai_tools.h"

#include <algorithm>
#include <set>
#include <utility>

#include "text/tool_call.h"

namespace yunqi {
namespace {

Status wrong(std::string path, std::string_view want, const Json* found) {
  return error(Code::kInvalidArgument, "want {}, found {}", want,
               found == nullptr ? "nothing" : found->type_name())
      .at(std::move(path));
}

Status check_tool(const Json& tool, const std::string& path, std::set<std::string>& names) {
  if (!tool.is_object()) return wrong(path, "an object", &tool);
  const Json* type = tool.find("type");
  if (type == nullptr || !type->is_string()) return wrong(path + ".type", "\"function\"", type);
  if (type->as_string() != "function") {
    return error(Code::kUnsupported, "only \"function\" tools are supported, found \"{}\"",
                 type->as_string())
        .at(path + ".type");
  }
  const Json* function = tool.find("function");
  if (function == nullptr || !function->is_object()) {
    return wrong(path + ".function", "an object", function);
  }
  const Json* name = function->find("name");
  if (name == nullptr || !name->is_string()) {
    return wrong(path + ".function.name", "a string", name);
  }
  if (!is_tool_name(name->as_string())) {
    return error(Code::kInvalidArgument, "want 1 to {} letters, digits or _ - . : /, found \"{}\"",
                 kMaxToolNameBytes, name->as_string().substr(0, kMaxToolNameBytes))
        .at(path + ".function.name");
  }
  if (!names.insert(name->as_string()).second) {
    return error(Code::kInvalidArgument, "\"{}\" is there twice", name->as_string())
        .at(path + ".function.name");
  }
  const Json* parameters = function->find("parameters");
  if (parameters != nullptr && !parameters->is_null() && !parameters->is_object()) {
    return wrong(path + ".function.parameters", "a JSON schema", parameters);
  }
  const Json* strict = function->find("strict");
  if (strict != nullptr && !strict->is_null() && !strict->is_bool()) {
    return wrong(path + ".function.strict", "true or false", strict);
  }
  return Status::ok();
}

Status read_choice(const Json& choice, const std::set<std::string>& names, GenerateRequest& out) {
  if (choice.is_string()) {
    const std::string& word = choice.as_string();
    if (word == "auto" || word == "none" || word == "required") {
      out.tool_choice = word == "auto"   ? ToolChoice::kAuto
                        : word == "none" ? ToolChoice::kNone
                                         : ToolChoice::kRequired;
      return Status::ok();
    }
    return error(Code::kInvalidArgument,
                 "want \"auto\", \"none\", \"required\" or a function, found \"{}\"", word)
        .at("tool_choice");
  }
  const Json* type = choice.find("type");
  if (type == nullptr || !type->is_string() || type->as_string() != "function") {
    const bool known = type != nullptr && type->is_string();
    return error(known ? Code::kUnsupported : Code::kInvalidArgument,
                 "want {{\"type\": \"function\", \"function\": {{\"name\": ...}}}}")
        .at(known ? "tool_choice.type" : "tool_choice");
  }
  const Json* function = choice.find("function");
  const Json* name = function == nullptr ? nullptr : function->find("name");
  if (name == nullptr || !name->is_string()) {
    return wrong("tool_choice.function.name", "a string", name);
  }
  if (!names.contains(name->as_string())) {
    return error(Code::kInvalidArgument, "\"{}\" is not among the tools", name->as_string())
        .at("tool_choice.function.name");
  }
  out.tool_choice = ToolChoice::kNamed;
  out.tool_name = name->as_string();
  return Status::ok();
}

// true, false or "auto".
bool set_thinking(const Json& value, GenerateRequest& out) {
  if (value.is_bool()) {
    out.thinking = value.as_bool() ? ThinkingMode::kOn : ThinkingMode::kOff;
    return true;
  }
  if (!value.is_string()) return false;
  if (value.as_string() == "auto") out.thinking = ThinkingMode::kAuto;
  if (value.as_string() == "on") out.thinking = ThinkingMode::kOn;
  if (value.as_string() == "off") out.thinking = ThinkingMode::kOff;
  return value.as_string() == "auto" || value.as_string() == "on" || value.as_string() == "off";
}

void read_switch(Fields& fields, const char* name, GenerateRequest& out) {
  const Json* value = fields.any(name);
  if (value == nullptr || set_thinking(*value, out)) return;
  fields.fail(error(Code::kInvalidArgument, "want true, false or \"auto\", found {}", value->dump())
                  .at(fields.path_of(name)));
}

// Template variables that a client may set; the rest belongs to the server.
void read_template_kwargs(Fields& fields, GenerateRequest& out) {
  fields.refuse("chat_template", "a request can't bring its own template");
  const Json* kwargs = fields.object("chat_template_kwargs");
  if (kwargs == nullptr) return;
  Fields inner(*kwargs, "chat_template_kwargs");
  read_switch(inner, "enable_thinking", out);
  if (const auto budget = inner.integer("thinking_budget"); budget.has_value()) {
    out.thinking_budget = budget;
  }
  if (const auto effort = inner.string("reasoning_effort"); effort.has_value()) {
    out.effort = effort;
  }
  if (const auto keep = inner.boolean("preserve_thinking"); keep.has_value()) {
    out.template_kwargs.set("preserve_thinking", Json(*keep));
  }
  fields.fail(inner.status());
  for (const std::string& name : inner.unread()) {
    fields.fail(error(Code::kInvalidArgument,
                      "want enable_thinking, thinking_budget, reasoning_effort or "
                      "preserve_thinking")
                    .at(inner.path_of(name)));
  }
}

}  // namespace

void read_tools(Fields& fields, GenerateRequest& out) {
  std::set<std::string> names;
  if (const Json* tools = fields.array("tools"); tools != nullptr) {
    // The length first: no work for a list that validate() will refuse.
    const size_t count = std::min(tools->as_array().size(), kMaxTools + 1);
    for (size_t i = 0; i < count; ++i) {
      fields.fail(check_tool(tools->as_array()[i], fmt::format("tools[{}]", i), names));
    }
    out.tools = *tools;
  }
  if (const Json* choice = fields.any("tool_choice"); choice != nullptr) {
    fields.fail(read_choice(*choice, names, out));
  }
  out.parallel_tool_calls = fields.boolean("parallel_tool_calls").value_or(true);
  fields.refuse("functions", "is deprecated; use tools");
  fields.refuse("function_call", "is deprecated; use tool_choice");
}

void read_thinking(Fields& fields, GenerateRequest& out) {
  read_template_kwargs(fields, out);
  read_switch(fields, "thinking", out);
  read_switch(fields, "enable_thinking", out);
  for (const char* name : {"thinking_token_budget", "thinking_budget"}) {
    if (const auto budget = fields.integer(name); budget.has_value()) out.thinking_budget = budget;
  }
  if (const Json* reasoning = fields.object("reasoning"); reasoning != nullptr) {
    Fields inner(*reasoning, "reasoning");
    if (const auto effort = inner.string("effort"); effort.has_value()) out.effort = effort;
    if (const auto most = inner.integer("max_tokens"); most.has_value()) out.thinking_budget = most;
    inner.accept("summary");
    inner.accept("generate_summary");
    fields.fail(inner.status());
    for (const std::string& name : inner.unread()) {
      fields.fail(error(Code::kInvalidArgument, "is not known").at(inner.path_of(name)));
    }
  }
  if (const auto effort = fields.string("reasoning_effort"); effort.has_value()) {
    out.effort = effort;
  }
}

}  // namespace yunqi
