// The public face of the template interpreter: limits, the clock, and pieces of the output.
#include "text/chat_template.h"

#include "base/clock.h"
#include "text/jinja_interpreter.h"
#include "text/jinja_parser.h"

namespace yunqi {

struct ChatTemplate::State {
  std::string source;
  TemplateLimits limits;
  jinja::Template tmpl;

  Result<jinja::TextBuilder> run(const Json& variables) const {
    const Json* now = variables.find(kTemplateNowVariable);
    const bool fixed = now != nullptr && now->is_int();
    jinja::Runtime runtime(limits, fixed ? now->as_int() : system_clock().unix_seconds());
    jinja::Interpreter interpreter(tmpl, runtime);
    YQ_RETURN_IF_ERROR(interpreter.bind(variables));
    return interpreter.run();
  }
};

ChatTemplate::ChatTemplate(std::unique_ptr<const State> state) : state_(std::move(state)) {}
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

Result<ChatTemplate> ChatTemplate::parse(std::string_view source, const TemplateLimits& limits) {
  if (source.size() > limits.max_source_bytes) {
    return error(Code::kBadFile, "chat template: want at most {} bytes, found {}",
                 limits.max_source_bytes, source.size());
  }
  auto state = std::make_unique<State>();
  state->source = source;
  state->limits = limits;
  YQ_TRY(state->tmpl, jinja::parse_template(source, limits.max_depth));
  return ChatTemplate(std::move(state));
}

Result<std::string> ChatTemplate::render(const Json& variables) const {
  YQ_TRY(jinja::TextBuilder text, state_->run(variables));
  return text.take_bytes();
}

Result<std::vector<PromptPiece>> ChatTemplate::render_pieces(const Json& variables) const {
  YQ_TRY(const jinja::TextBuilder text, state_->run(variables));
  std::vector<PromptPiece> out;
  size_t begin = 0;
  for (const jinja::TaintSpan& span : text.spans()) {
    out.push_back({text.bytes().substr(begin, span.end - begin), !span.user});
    begin = span.end;
  }
  return out;
}

bool ChatTemplate::mentions(std::string_view variable) const {
  const jinja::NameId name = state_->tmpl.find(variable);
  return name >= 0 && state_->tmpl.read[static_cast<size_t>(name)];
}

const std::string& ChatTemplate::source() const { return state_->source; }

}  // namespace yunqi
