// See guards.h. The guard that runs the rules, and the rules that only count or compare.
#include "runtime/guards.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "runtime/output_session.h"

namespace yunqi {
namespace {

class OutputGuard final : public TokenGuard {
 public:
  OutputGuard(const Tokenizer& tokenizer, ThinkingSplitter splitter, OutputRules rules)
      : tokenizer_(tokenizer), splitter_(std::move(splitter)), rules_(std::move(rules)) {}

  std::span<const uint64_t> mask() override {
    std::span<const uint64_t> only;
    size_t masks = 0;
    for (const auto& rule : rules_) {
      const std::span<const uint64_t> mask = rule->mask(splitter_.phase());
      if (mask.empty()) continue;
      if (++masks == 1) {
        only = mask;
        continue;
      }
      if (masks == 2) both_.assign(only.begin(), only.end());
      both_.resize(std::min(both_.size(), mask.size()));
      for (size_t i = 0; i < both_.size(); ++i) both_[i] &= mask[i];
    }
    return masks > 1 ? std::span<const uint64_t>(both_) : only;
  }

  GuardVerdict accept(int32_t token) override {
    GuardedToken seen;
    seen.id = token;
    seen.forced = !forced_.empty() && forced_.front() == token;
    if (seen.forced) {
      forced_.pop_front();
    } else {
      forced_.clear();
    }
    seen.forced_next = !forced_.empty();
    seen.before = splitter_.phase();
    thinking_.clear();
    answer_.clear();
    splitter_.push(output_bytes(tokenizer_, token), thinking_, answer_);
    seen.after = splitter_.phase();
    seen.answer = answer_;
    const size_t queued = forced_.size();
    for (const auto& rule : rules_) {
      const GuardVerdict verdict = rule->accept(seen);
      if (verdict.action == GuardVerdict::Action::kStop) return verdict;
      if (verdict.action != GuardVerdict::Action::kForce) continue;
      forced_.insert(forced_.end(), verdict.forced.begin(), verdict.forced.end());
    }
    if (forced_.size() == queued) return {};
    return {GuardVerdict::Action::kForce, {forced_.begin(), forced_.end()}};
  }

 private:
  const Tokenizer& tokenizer_;
  ThinkingSplitter splitter_;
  const OutputRules rules_;
  std::deque<TokenId> forced_;  // told to the engine, not seen yet
  std::string thinking_, answer_;
  std::vector<uint64_t> both_;
};

class StopRule final : public OutputRule {
 public:
  explicit StopRule(std::vector<std::string> stops) : matcher_(std::move(stops)) {}
  GuardVerdict accept(const GuardedToken& token) override {
    if (!matcher_.push(token.answer)) return {};
    return {GuardVerdict::Action::kStop, {}};
  }

 private:
  StopMatcher matcher_;
};

class ThinkingRule final : public OutputRule {
 public:
  explicit ThinkingRule(ThinkingRuleOptions options) : options_(std::move(options)) {
    if (options_.budget < 0 || options_.stop_ids.empty()) return;
    goes_on_.assign((static_cast<size_t>(options_.vocabulary) + 63) / 64, ~uint64_t{0});
    for (const TokenId id : options_.stop_ids) {
      if (id < 0 || id >= options_.vocabulary) continue;
      goes_on_[static_cast<size_t>(id) / 64] &= ~(uint64_t{1} << (static_cast<size_t>(id) % 64));
    }
  }

  std::span<const uint64_t> mask(OutputPhase phase) override {
    if (options_.budget < 0) return {};
    // A budget of nothing in a prompt that ends inside <think>: the very first token closes it.
    if (phase == OutputPhase::kThinking && options_.budget == 0 && !closing_) {
      first_ = mask_of({options_.closing.data(), 1}, options_.vocabulary);
      return first_;
    }
    // The answer follows: the sequence can't end before it has begun.
    const bool no_answer_yet = phase == OutputPhase::kThinking || phase == OutputPhase::kGap;
    return no_answer_yet ? std::span<const uint64_t>(goes_on_) : std::span<const uint64_t>();
  }

  GuardVerdict accept(const GuardedToken& token) override {
    if (!first_.empty() && token.id == options_.closing.front() && !closing_) {
      return close(OutputNotes::Closed::kBudget, 1);
    }
    if (token.after != OutputPhase::kThinking || closing_) return {};
    if (token.before == OutputPhase::kThinking) ++count_;
    if (options_.budget >= 0 && count_ >= options_.budget) {
      return close(OutputNotes::Closed::kBudget, 0);
    }
    if (options_.notes->closed.load() == OutputNotes::Closed::kRepetition) {
      return close(OutputNotes::Closed::kRepetition, 0);
    }
    if (options_.control->finish.load(std::memory_order_relaxed)) {
      return close(OutputNotes::Closed::kRequest, 0);
    }
    return {};
  }

 private:
  GuardVerdict close(OutputNotes::Closed why, ptrdiff_t already) {
    closing_ = true;
    options_.notes->closed.store(why);
    options_.notes->thinking_tokens.store(count_);
    return {GuardVerdict::Action::kForce,
            {options_.closing.begin() + already, options_.closing.end()}};
  }

  const ThinkingRuleOptions options_;
  std::vector<uint64_t> first_, goes_on_;  // masks: the first closing token; all but stop ids
  int64_t count_ = 0;
  bool closing_ = false;
};

class AnswerLimitRule final : public OutputRule {
 public:
  AnswerLimitRule(int64_t limit, std::shared_ptr<OutputNotes> notes)
      : limit_(limit), notes_(std::move(notes)) {}
  GuardVerdict accept(const GuardedToken& token) override {
    if (token.after == OutputPhase::kThinking) {
      count_ = 0;  // white space before <think> was no answer
      return {};
    }
    if (token.before == OutputPhase::kThinking || token.forced || ++count_ < limit_) return {};
    notes_->ended.store(OutputNotes::Ended::kAnswerLimit);
    return {GuardVerdict::Action::kStop, {}};
  }

 private:
  const int64_t limit_;
  const std::shared_ptr<OutputNotes> notes_;
  int64_t count_ = 0;
};

class LoopRule final : public OutputRule {
 public:
  explicit LoopRule(std::shared_ptr<OutputNotes> notes) : notes_(std::move(notes)) {}
  GuardVerdict accept(const GuardedToken& token) override {
    if (token.forced || !detector_.push(token.id)) return {};
    if (token.after == OutputPhase::kThinking) {
      notes_->closed.store(OutputNotes::Closed::kRepetition);
      detector_.reset();
      return {};
    }
    notes_->ended.store(OutputNotes::Ended::kRepetition);
    return {GuardVerdict::Action::kStop, {}};
  }

 private:
  const std::shared_ptr<OutputNotes> notes_;
  LoopDetector detector_;
};

}  // namespace

std::unique_ptr<TokenGuard> make_output_guard(const Tokenizer& tokenizer, ThinkingSplitter splitter,
                                              OutputRules rules) {
  return std::make_unique<OutputGuard>(tokenizer, std::move(splitter), std::move(rules));
}

std::vector<uint64_t> mask_of(std::span<const TokenId> ids, int32_t vocabulary) {
  std::vector<uint64_t> mask((static_cast<size_t>(vocabulary) + 63) / 64);
  for (const TokenId id : ids) {
    if (id < 0 || id >= vocabulary) continue;
    mask[static_cast<size_t>(id) / 64] |= uint64_t{1} << (static_cast<size_t>(id) % 64);
  }
  return mask;
}

std::unique_ptr<OutputRule> make_stop_rule(std::vector<std::string> stops) {
  return std::make_unique<StopRule>(std::move(stops));
}

std::unique_ptr<OutputRule> make_thinking_rule(ThinkingRuleOptions options) {
  return std::make_unique<ThinkingRule>(std::move(options));
}

std::unique_ptr<OutputRule> make_answer_limit_rule(int64_t limit,
                                                   std::shared_ptr<OutputNotes> notes) {
  return std::make_unique<AnswerLimitRule>(limit, std::move(notes));
}

std::unique_ptr<OutputRule> make_loop_rule(std::shared_ptr<OutputNotes> notes) {
  return std::make_unique<LoopRule>(std::move(notes));
}

LoopDetector::LoopDetector() : recent_(kMaxPeriod, -1), runs_(kMaxPeriod, 0) {}

void LoopDetector::reset() {
  count_ = 0;
  std::fill(recent_.begin(), recent_.end(), -1);
  std::fill(runs_.begin(), runs_.end(), 0);
}

bool LoopDetector::push(TokenId token) {
  bool loops = false;
  for (size_t period = 1; period <= kMaxPeriod; ++period) {
    const TokenId before = recent_[(count_ + kMaxPeriod - period) % kMaxPeriod];
    uint32_t& run = runs_[period - 1];
    run = before == token ? run + 1 : 0;
    loops |= run + period >= std::max(kMinTokens, kMinRepeats * period);
  }
  recent_[count_ % kMaxPeriod] = token;
  ++count_;
  return loops;
}

}  // namespace yunqi
