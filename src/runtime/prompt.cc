// See prompt.h.
#include "runtime/prompt.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "text/tool_call_json.h"

namespace yunqi {
namespace {

constexpr std::array<std::string_view, 5> kRoles = {"system", "user", "assistant", "tool",
                                                    "function"};

std::string path_of(size_t index, std::string_view member) {
  return fmt::format("messages[{}].{}", index, member);
}

// A content value as one string; null for an absent one.
Result<Json> flatten_content(const Json& content, size_t index) {
  if (content.is_null()) return Json("");
  if (content.is_string()) return content;
  if (!content.is_array()) {
    return error(Code::kInvalidArgument, "want a string or a list of parts, found {}",
                 content.type_name())
        .at(path_of(index, "content"));
  }
  std::string joined;
  for (size_t part = 0; part < content.as_array().size(); ++part) {
    const Json& item = content.as_array()[part];
    const std::string field = fmt::format("messages[{}].content[{}]", index, part);
    const Json* type = item.find("type");
    if (type == nullptr || !type->is_string()) {
      return error(Code::kInvalidArgument, "want an object with a string \"type\"").at(field);
    }
    const Json* text = item.find("text");
    if (type->as_string() != "text") {
      return error(Code::kUnsupported, "this model reads text only; part type \"{}\" can't be used",
                   type->as_string())
          .at(field + ".type");
    }
    if (text == nullptr || !text->is_string()) {
      return error(Code::kInvalidArgument, "want a string").at(field + ".text");
    }
    joined += text->as_string();
  }
  return Json(std::move(joined));
}

// OpenAI clients send a call's arguments as JSON text; templates want the value. Text that is no
// JSON object stays text.
void parse_call_arguments(Json& call) {
  Json* function = call.find("function");
  Json* arguments = (function != nullptr ? *function : call).find("arguments");
  if (arguments == nullptr || !arguments->is_string()) return;
  Result<Json> parsed = parse_json(arguments->as_string());
  if (!parsed.is_ok()) {
    // What a model wrote and a client sent back as it was: mended where that is certain.
    const std::optional<std::string> mended = repair_json(arguments->as_string());
    if (mended.has_value()) parsed = parse_json(*mended);
  }
  if (parsed.is_ok() && parsed->is_object()) *arguments = std::move(parsed).value();
}

Result<Json> normalize_message(const Json& message, size_t index) {
  if (!message.is_object()) {
    return error(Code::kInvalidArgument, "want an object, found {}", message.type_name())
        .at(fmt::format("messages[{}]", index));
  }
  const Json* role = message.find("role");
  if (role == nullptr || !role->is_string()) {
    return error(Code::kInvalidArgument, "want a string such as \"user\"")
        .at(path_of(index, "role"));
  }
  Json out = message;
  std::string name = role->as_string();
  if (name == "developer") name = "system";
  if (std::find(kRoles.begin(), kRoles.end(), name) == kRoles.end()) {
    return error(Code::kInvalidArgument,
                 "unknown role \"{}\"; want system, developer, user, assistant or tool", name)
        .at(path_of(index, "role"));
  }
  out.set("role", Json(name));
  const Json* content = message.find("content");
  if (content == nullptr && name != "assistant") {
    return error(Code::kInvalidArgument, "is missing").at(path_of(index, "content"));
  }
  YQ_TRY(Json flat, flatten_content(content == nullptr ? Json() : *content, index));
  out.set("content", std::move(flat));
  if (Json* calls = out.find("tool_calls"); calls != nullptr) {
    if (calls->is_null()) {
      std::erase_if(out.as_object(), [](const JsonMember& m) { return m.first == "tool_calls"; });
    } else if (!calls->is_array()) {
      return error(Code::kInvalidArgument, "want a list, found {}", calls->type_name())
          .at(path_of(index, "tool_calls"));
    } else {
      for (Json& call : calls->as_array()) parse_call_arguments(call);
    }
  }
  return out;
}

}  // namespace

Result<Json> normalize_messages(const Json& messages) {
  if (!messages.is_array()) {
    return error(Code::kInvalidArgument, "want a list, found {}", messages.type_name())
        .at("messages");
  }
  Json out = Json::array();
  for (size_t i = 0; i < messages.as_array().size(); ++i) {
    YQ_TRY(Json message, normalize_message(messages.as_array()[i], i));
    out.push_back(std::move(message));
  }
  return out;
}

std::vector<TokenId> encode_pieces(const Tokenizer& tokenizer,
                                   std::span<const PromptPiece> pieces) {
  std::vector<TokenId> ids;
  std::string plain;  // text since the last control token, across pieces
  const auto flush = [&] {
    tokenizer.encode_append(plain, {.allow_added_tokens = false}, ids);
    plain.clear();
  };
  for (const PromptPiece& piece : pieces) {
    if (!piece.from_template) {
      plain += piece.text;
      continue;
    }
    size_t at = 0;
    while (const auto match = tokenizer.find_added(piece.text, at)) {
      plain.append(piece.text, at, match->begin - at);
      flush();
      ids.push_back(match->id);
      at = match->end;
    }
    plain.append(piece.text, at, std::string::npos);
  }
  flush();
  return ids;
}

Result<std::vector<TokenId>> encode_infill(const Tokenizer& tokenizer, std::string_view text,
                                           std::string_view suffix) {
  const TokenId prefix_id = tokenizer.find("<|fim_prefix|>");
  const TokenId suffix_id = tokenizer.find("<|fim_suffix|>");
  const TokenId middle_id = tokenizer.find("<|fim_middle|>");
  if (prefix_id < 0 || suffix_id < 0 || middle_id < 0) {
    return error(Code::kUnsupported,
                 "this model's vocabulary has no <|fim_prefix|>, <|fim_suffix|> and <|fim_middle|>;"
                 " use a Coder model to fill in the middle")
        .at("suffix");
  }
  std::vector<TokenId> ids = {prefix_id};
  tokenizer.encode_append(text, {}, ids);
  ids.push_back(suffix_id);
  tokenizer.encode_append(suffix, {}, ids);
  ids.push_back(middle_id);
  return ids;
}

std::vector<TokenId> infill_stop_ids(const Tokenizer& tokenizer) {
  std::vector<TokenId> ids;
  for (const char* name : {"<|endoftext|>", "<|fim_pad|>", "<|file_sep|>", "<|repo_name|>",
                           "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"}) {
    if (const TokenId id = tokenizer.find(name); id >= 0) ids.push_back(id);
  }
  return ids;
}

bool wrap_text_arguments(Json& variables) {
  bool wrapped = false;
  Json* messages = variables.find("messages");
  if (messages == nullptr || !messages->is_array()) return false;
  for (Json& message : messages->as_array()) {
    Json* calls = message.find("tool_calls");
    if (calls == nullptr || !calls->is_array()) continue;
    for (Json& call : calls->as_array()) {
      Json* function = call.find("function");
      Json* arguments = (function != nullptr ? *function : call).find("arguments");
      if (arguments == nullptr || arguments->is_object()) continue;
      const bool empty =
          arguments->is_null() || (arguments->is_string() && arguments->as_string().empty());
      Json object = Json::object();
      if (!empty) object.set("arguments", *arguments);
      *arguments = std::move(object);
      wrapped = true;
    }
  }
  return wrapped;
}

Result<Json> template_variables(const GenerateRequest& request) {
  Json variables = Json::object();
  for (const auto& [name, value] : request.template_kwargs.as_object()) variables.set(name, value);
  YQ_TRY(Json messages, normalize_messages(request.messages));
  variables.set("messages", std::move(messages));
  // None, not undefined, when there are none: as Hugging Face calls its templates.
  // A model that may not call is not told of what it could.
  const bool has_tools = request.tools.is_array() && !request.tools.as_array().empty() &&
                         request.tool_choice != ToolChoice::kNone;
  variables.set("tools", has_tools ? request.tools : Json());
  variables.set("documents", Json());
  variables.set("add_generation_prompt", Json(request.add_generation_prompt));
  if (request.thinking == ThinkingMode::kOn) variables.set("enable_thinking", Json(true));
  if (request.thinking == ThinkingMode::kOff) variables.set("enable_thinking", Json(false));
  return variables;
}

}  // namespace yunqi
