// Renders chat templates for comparison with jinja2: reads lines of JSON
// {"template": text, "variables": object}, writes one line each, {"ok": text} or {"error":
// message}. "pieces": true adds the pieces of the output, {"text", "user"}. See
// compare_templates.py.
#include <cstdio>
#include <iostream>
#include <string>

#include "base/json.h"
#include "text/chat_template.h"

namespace yunqi {
namespace {

Result<Json> render_line(const std::string& line) {
  YQ_TRY(const Json request, parse_json(line));
  const Json* source = request.find("template");
  const Json* variables = request.find("variables");
  if (source == nullptr || !source->is_string() || variables == nullptr) {
    return error(Code::kInvalidArgument, "want template and variables");
  }
  YQ_TRY(const ChatTemplate chat_template, ChatTemplate::parse(source->as_string()));
  YQ_TRY(std::string text, chat_template.render(*variables));
  Json out = Json::object({{"ok", std::move(text)}});
  if (request.find("pieces") == nullptr) return out;
  YQ_TRY(const auto pieces, chat_template.render_pieces(*variables));
  Json list = Json::array();
  for (const PromptPiece& piece : pieces) {
    list.push_back(Json::object({{"text", piece.text}, {"user", !piece.from_template}}));
  }
  out.set("pieces", std::move(list));
  return out;
}

}  // namespace
}  // namespace yunqi

int main() {
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    const auto result = yunqi::render_line(line);
    const yunqi::Json out =
        result.is_ok() ? *result : yunqi::Json::object({{"error", result.status().to_string()}});
    std::puts(out.dump().c_str());
  }
  return 0;
}
