// The rule that binds an answer to a grammar: masks from the matcher, thinking left free before it.
// See guards.h.
#include <utility>

#include "runtime/guards.h"

namespace yunqi {
namespace {

class AnswerGrammarRule final : public OutputRule {
 public:
  AnswerGrammarRule(const Tokenizer& tokenizer, GrammarRuleOptions options)
      : options_(std::move(options)),
        matcher_(options_.grammar),
        mask_(options_.grammar->vocabulary().size()),
        think_(tokenizer.encode(kThinkOpen, {.allow_added_tokens = true})),
        gap_(tokenizer.encode("\n\n")) {}

  std::span<const uint64_t> mask(OutputPhase phase) override {
    if (phase == OutputPhase::kThinking) return {};
    const bool before_all = phase == OutputPhase::kMaybe && !begun_;
    const bool thinks = before_all && options_.thinks_first;
    if (thinks) {
      mask_.clear();
    } else {
      matcher_.fill_mask(mask_);
    }
    if (thinks || (before_all && options_.may_think)) mask_.set(think_.front());
    return mask_.words();
  }

  GuardVerdict accept(const GuardedToken& token) override {
    if (token.before == OutputPhase::kThinking) {
      const bool ended = token.after != OutputPhase::kThinking;
      // The line breaks that models write between the thinking and the answer are no part of it.
      if (!ended || token.forced_next) return {};
      return {GuardVerdict::Action::kForce, gap_};
    }
    const bool opens = token.before == OutputPhase::kMaybe && !begun_ &&
                       (options_.thinks_first || options_.may_think) && token.id == think_.front();
    if (opens) {
      options_.thinks_first = options_.may_think = false;
      if (think_.size() == 1) return {};
      return {GuardVerdict::Action::kForce, {think_.begin() + 1, think_.end()}};
    }
    if (token.forced && token.answer.empty()) return {};
    begun_ = true;
    (void)matcher_.accept(token.id);
    if (!matcher_.is_finished()) return {};
    return {GuardVerdict::Action::kStop, {}};
  }

 private:
  GrammarRuleOptions options_;
  GrammarMatcher matcher_;
  TokenMask mask_;
  const std::vector<TokenId> think_, gap_;
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<OutputRule> make_grammar_rule(const Tokenizer& tokenizer,
                                              GrammarRuleOptions options) {
  return std::make_unique<AnswerGrammarRule>(tokenizer, std::move(options));
}

}  // namespace yunqi
