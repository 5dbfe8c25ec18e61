// Messages -> prompt text: the checkpoint's own Jinja template, run by a pure interpreter (no I/O,
// no host objects) with fuel, depth and output limits. Output equals Python's jinja2 under Hugging
// Face's settings (trim_blocks, lstrip_blocks, tojson without ASCII escapes), byte for byte.
// A ChatTemplate is immutable; render() is thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace yunqi {

struct TemplateLimits {
  uint64_t max_steps = 20'000'000;  // evaluated nodes and copied bytes
  size_t max_output_bytes = size_t{64} << 20;
  int max_depth = 128;  // nested expressions, statements and macro calls
  size_t max_source_bytes = size_t{1} << 20;
};

// A piece of the prompt. Text that came from a message or a tool (user input, directly or
// transformed) is not trusted to name control tokens: it is encoded as ordinary text.
struct PromptPiece {
  std::string text;
  bool from_template = true;  // false: user bytes; special tokens in it are not recognised
};

// A variable of this name, an integer, fixes the time that strftime_now() tells (seconds since
// 1970, UTC), so that a render can be repeated; without it the machine's clock is read.
inline constexpr std::string_view kTemplateNowVariable = "yunqi_now_unix_seconds";

class ChatTemplate {
 public:
  // Parses; errors name line and column and the construct: kBadFile for syntax, kUnsupported for
  // what the subset lacks.
  static Result<ChatTemplate> parse(std::string_view source, const TemplateLimits& limits = {});
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // `variables` is the template's global scope: messages, tools, add_generation_prompt,
  // enable_thinking, ... raise_exception and limits give kInvalidArgument with the message.
  Result<std::string> render(const Json& variables) const;
  // As render(), in pieces that remember where their bytes came from; the pieces' texts joined are
  // exactly what render() gives. Every string inside `messages`, `tools` and `documents` is user
  // input, except the value of a message's "role".
  Result<std::vector<PromptPiece>> render_pieces(const Json& variables) const;

  // Whether the template mentions this variable anywhere ("enable_thinking", "tools", ...).
  bool mentions(std::string_view variable) const;
  const std::string& source() const;

 private:
  struct State;
  explicit ChatTemplate(std::unique_ptr<const State> state);
  std::unique_ptr<const State> state_;
};

}  // namespace yunqi
