// Any bytes as a chat template, rendered over one conversation: a status or text, never more than
// the limits allow, and the pieces' texts joined are what render() gives.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/json.h"
#include "text/chat_template.h"

namespace yunqi {
namespace {

const Json& conversation() {
  static const Json kVariables =
      parse_json(R"({"messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "2 < 3 & \"é\"\n 你好"},
        {"role": "assistant", "content": "", "reasoning_content": "think",
         "tool_calls": [{"function": {"name": "add", "arguments": {"a": 1.0}}}]},
        {"role": "tool", "content": "[1, null, true]"}],
        "tools": [{"type": "function", "function": {"name": "add", "parameters": {}}}],
        "add_generation_prompt": true, "enable_thinking": false})")
          .value();
  return kVariables;
}

}  // namespace
}  // namespace yunqi

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Far below the defaults, so that one input takes milliseconds.
  const yunqi::TemplateLimits limits{
      .max_steps = 200'000, .max_output_bytes = 1 << 16, .max_source_bytes = 1 << 14};
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  const auto parsed = yunqi::ChatTemplate::parse(source, limits);
  if (!parsed.is_ok()) return 0;
  const auto whole = parsed->render(yunqi::conversation());
  const auto pieces = parsed->render_pieces(yunqi::conversation());
  YQ_CHECK(whole.is_ok() == pieces.is_ok(), "render and render_pieces must agree");
  if (!whole.is_ok()) return 0;
  YQ_CHECK(whole->size() <= limits.max_output_bytes, "more output than the limit");
  std::string joined;
  for (const yunqi::PromptPiece& piece : *pieces) joined += piece.text;
  YQ_CHECK(joined == *whole, "the pieces must join to the whole");
  return 0;
}
