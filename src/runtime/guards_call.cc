// The rule that makes a model call a tool: it forces the opening text, lets the model choose among
// the names by masks, and leaves the arguments to it. See guards.h.
#include <algorithm>
#include <array>
#include <utility>

#include "runtime/guards.h"

namespace yunqi {
namespace {

// How arguments may open, as models write it after `"arguments":`.
constexpr std::array kBraces = {" {\"", " {}", " {\n", "{\"", "{}", "{\n"};

class CallRule final : public OutputRule {
 public:
  CallRule(const Tokenizer& tokenizer, CallRuleOptions options)
      : tokenizer_(tokenizer),
        options_(std::move(options)),
        parser_(options_.tools, options_.format) {
    if (options_.names.empty()) {
      part_ = Part::kFree;
      return;
    }
    const bool json = options_.format == ToolFormat::kJson;
    opening_ = json ? "<tool_call>\n{\"name\": \"" : "<tool_call>\n<function=";
    after_name_ = json ? "\", \"arguments\":" : ">\n";
    if (options_.names.size() == 1) opening_ += options_.names.front() + after_name_;
  }

  std::span<const uint64_t> mask(OutputPhase phase) override {
    switch (part_) {
      case Part::kStart:
        return start_mask(phase);
      case Part::kName:
        mask_ = mask_of(continuations(names_to_end()), options_.vocabulary);
        return mask_;
      case Part::kBrace:
        mask_ = mask_of(continuations({kBraces.begin(), kBraces.end()}), options_.vocabulary);
        return mask_;
      case Part::kOpening:
      case Part::kFree:
        break;
    }
    return {};
  }

  GuardVerdict accept(const GuardedToken& token) override {
    OutputDelta ignored;
    parser_.push(token.answer, ignored);
    if (part_ != Part::kFree) written_ += token.answer;
    switch (part_) {
      case Part::kStart:
        return start(token);
      case Part::kOpening:
        if (written_ == opening_) next_part();
        return {};
      case Part::kName:
        return choose_name();
      case Part::kBrace:
        if (chosen().find('{') != std::string_view::npos) part_ = Part::kFree;
        return {};
      case Part::kFree:
        if (!options_.one_call || parser_.complete_calls() == 0 || !parser_.idle()) return {};
        return {GuardVerdict::Action::kStop, {}};
    }
    return {};
  }

 private:
  enum class Part { kStart, kOpening, kName, kBrace, kFree };

  std::vector<TokenId> tokens(const std::string& text) const {
    return tokenizer_.encode(text, {.allow_added_tokens = true});
  }

  // What the output may begin with: the call, or the thinking before it.
  std::span<const uint64_t> start_mask(OutputPhase phase) {
    if (phase == OutputPhase::kThinking) return {};
    const bool may_think =
        phase == OutputPhase::kMaybe && (options_.thinks_first || options_.may_think);
    think_ = may_think ? tokens(std::string(kThinkOpen)) : std::vector<TokenId>();
    start_ = may_think && options_.thinks_first ? std::vector<TokenId>() : tokens(opening_);
    std::vector<TokenId> first;
    if (!think_.empty()) first.push_back(think_.front());
    if (!start_.empty()) first.push_back(start_.front());
    mask_ = mask_of(first, options_.vocabulary);
    return mask_;
  }

  static GuardVerdict force_rest(const std::vector<TokenId>& ids) {
    if (ids.size() < 2) return {};
    return {GuardVerdict::Action::kForce, {ids.begin() + 1, ids.end()}};
  }

  GuardVerdict start(const GuardedToken& token) {
    if (token.before != OutputPhase::kThinking) {
      if (!think_.empty() && token.id == think_.front()) {
        options_.thinks_first = options_.may_think = false;
        return force_rest(std::exchange(think_, {}));
      }
      if (!start_.empty() && token.id == start_.front()) {
        part_ = Part::kOpening;
        if (written_ == opening_) next_part();
        return force_rest(std::exchange(start_, {}));
      }
    }
    if (token.before != OutputPhase::kThinking || token.after == OutputPhase::kThinking) return {};
    // The thinking has ended: the call comes next, after the line breaks that models write there.
    part_ = Part::kOpening;
    return {GuardVerdict::Action::kForce, tokens(token.forced_next ? opening_ : "\n\n" + opening_)};
  }

  void next_part() {
    const bool named = options_.names.size() == 1;
    const bool json = options_.format == ToolFormat::kJson;
    choice_begin_ = written_.size();
    part_ = !named ? Part::kName : json ? Part::kBrace : Part::kFree;
  }

  // What was written since the model has had to choose.
  std::string_view chosen() const { return std::string_view(written_).substr(choice_begin_); }

  // The names, with the quote or bracket that ends them.
  std::vector<std::string> names_to_end() const {
    std::vector<std::string> out;
    for (const std::string& name : options_.names) out.push_back(name + after_name_.front());
    return out;
  }

  // Tokens that go on from what is chosen with some of the texts.
  std::vector<TokenId> continuations(const std::vector<std::string>& texts) const {
    std::vector<TokenId> ids;
    for (const std::string_view text : texts) {
      if (!text.starts_with(chosen())) continue;
      const std::string_view rest = text.substr(chosen().size());
      for (size_t n = 1; n <= rest.size(); ++n) ids.push_back(tokenizer_.find(rest.substr(0, n)));
    }
    return ids;
  }

  GuardVerdict choose_name() {
    const std::string_view typed = chosen();
    if (typed.empty() || typed.back() != after_name_.front()) return {};
    options_.names = {std::string(typed.substr(0, typed.size() - 1))};
    opening_ = written_ + after_name_.substr(1);
    part_ = Part::kOpening;
    return {GuardVerdict::Action::kForce, tokens(after_name_.substr(1))};
  }

  const Tokenizer& tokenizer_;
  CallRuleOptions options_;
  ToolCallParser parser_;
  Part part_ = Part::kStart;
  std::string opening_, after_name_;
  std::string written_;  // the answer up to the arguments
  size_t choice_begin_ = 0;
  std::vector<TokenId> start_, think_;  // what mask() allowed the output to begin with
  std::vector<uint64_t> mask_;
};

}  // namespace

std::unique_ptr<OutputRule> make_call_rule(const Tokenizer& tokenizer, CallRuleOptions options) {
  return std::make_unique<CallRule>(tokenizer, std::move(options));
}

}  // namespace yunqi
