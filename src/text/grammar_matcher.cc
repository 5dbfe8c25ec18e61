// A matcher's public side: tokens in, masks out, steps taken back. The moves are grammar_run.cc's.
#include <algorithm>

#include "text/grammar.h"
#include "text/grammar_run.h"

namespace yunqi {

std::shared_ptr<const LocalMask> LeafMasks::find(uint32_t state) {
  const std::lock_guard lock(mutex_);
  const auto at = masks_.find(state);
  return at == masks_.end() ? nullptr : at->second;
}

void LeafMasks::keep(uint32_t state, const std::shared_ptr<const LocalMask>& mask) {
  const std::lock_guard lock(mutex_);
  const size_t bytes = mask->bytes();
  if (used_->fetch_add(bytes) + bytes > kMaxMaskCacheBytes) {
    used_->fetch_sub(bytes);
    return;
  }
  if (masks_.try_emplace(state, mask).second) {
    own_bytes_ += bytes;
  } else {
    used_->fetch_sub(bytes);
  }
}

// Finds the tokens that a matcher's threads allow.
class MaskMaker {
 public:
  explicit MaskMaker(GrammarMatcher& matcher)
      : m_(matcher), run_(matcher), vocabulary_(matcher.grammar_->vocabulary()) {}

  void fill(TokenMask& mask) {
    const GrammarProgram& program = m_.grammar_->program();
    // Keys first: they also take tokens away, which no other thread's tokens may suffer.
    TokenMask own;
    for (const Thread& thread : m_.state_.threads) {
      const GrammarLeaf& leaf = *program.leaves[thread.leaf];
      if (leaf.kind == GrammarLeaf::Kind::kKey) {
        own = TokenMask(mask.size());
        add(thread, leaf, own);
        remove_used_keys(thread, leaf, own);
        mask.add(own);
      }
    }
    for (const Thread& thread : m_.state_.threads) {
      const GrammarLeaf& leaf = *program.leaves[thread.leaf];
      if (leaf.kind != GrammarLeaf::Kind::kKey) add(thread, leaf, mask);
    }
    if (m_.state_.complete) {
      for (const TokenId id : vocabulary_.stop()) mask.set(id);
    }
  }

 private:
  using Thread = GrammarMatcher::Thread;
  using State = GrammarMatcher::State;

  void add(const Thread& thread, const GrammarLeaf& leaf, TokenMask& mask) {
    if (leaf.kind == GrammarLeaf::Kind::kCounted) {
      if (thread.state == leaf.string->body) {
        leaf.tables->add_to(mask, leaf.max - thread.reg);
        add_rests(thread, leaf, leaf.tables->ends(), mask);
        return;
      }
      const LocalMask local =
          counted_mask(vocabulary_, *leaf.string, thread.state, thread.reg, leaf.min, leaf.max);
      local.add_to(mask);
      add_rests(thread, leaf, local, mask);
      return;
    }
    std::shared_ptr<const LocalMask> local = leaf.masks->find(thread.state);
    if (!local) {
      local = std::make_shared<const LocalMask>(
          local_mask(vocabulary_, leaf.dfa, thread.state, leaf.takes_added, leaf.follow.get()));
      leaf.masks->keep(thread.state, local);
    }
    local->add_to(mask);
    add_rests(thread, leaf, *local, mask);
  }

  // Tokens that go on after the leaf's end: their rests are tried against what follows it.
  void add_rests(const Thread& thread, const GrammarLeaf& leaf, const LocalMask& local,
                 TokenMask& mask) {
    if (local.rests.empty()) return;
    const GrammarMatcher::Marks marks = m_.marks();
    if (states_.empty()) states_.emplace_back();
    run_.finish_leaf(thread, states_[0]);
    std::vector<GrammarMatcher::Marks> cuts = {m_.marks()};
    const uint32_t wanted = leaf.min > thread.reg ? leaf.min - thread.reg : 0;
    const uint32_t left = leaf.max - thread.reg;
    for (uint32_t i = 0; i < local.rests.size();) {
      const LocalMask::Rest& rest = local.rests[i];
      if (states_.size() <= rest.depth) states_.resize(rest.depth + size_t{1});
      if (rest.depth > 0) {
        cuts.resize(rest.depth);
        m_.cut(cuts.back());
        m_.history_.push_back(static_cast<char>(rest.byte));
        run_.step(states_[rest.depth - 1u], rest.byte, states_[rest.depth]);
        cuts.push_back(m_.marks());
      }
      const State& state = states_[rest.depth];
      if (state.threads.empty() && !state.complete) {
        i = rest.end;
        continue;
      }
      for (uint32_t t = rest.first_token; t < rest.last_token; ++t) {
        if (!local.marks.empty() && (local.marks[t] < wanted || local.marks[t] > left)) continue;
        mask.set(local.tokens[t]);
      }
      i = state.threads.empty() ? rest.end : i + 1;
    }
    m_.cut(marks);
  }

  // Inside a key: tokens that would end it as one that is named or was used before.
  void remove_used_keys(const Thread& thread, const GrammarLeaf& leaf, TokenMask& mask) {
    // After the closing quote the register names the used key and not the start of the key.
    if (leaf.past_key[thread.state]) return;
    const bool at_start = thread.state == leaf.dfa.start;
    const std::string_view history = m_.history_;
    const std::string_view begun = at_start ? std::string_view() : history.substr(thread.reg);
    const auto remove = [&](std::string_view key) {
      if (!key.starts_with(begun)) return;
      std::string rest = at_start ? "\"" : "";
      rest += key.substr(begun.size());
      rest += '"';
      const auto [first, last] = vocabulary_.tree().below(rest);
      for (uint32_t i = first; i < last; ++i) {
        const TokenId id = vocabulary_.tree().nodes[i].token;
        if (id >= 0) mask.reset(id);
      }
    };
    const GrammarMatcher::Frame& frame = m_.frames_[thread.frame];
    if (frame.kind == GrammarMatcher::FrameKind::kObject) {
      for (const auto& named : m_.grammar_->program().objects[frame.node].keys) remove(named.name);
    }
    for (auto at = static_cast<uint32_t>(m_.words_[frame.data]); at != GrammarMatcher::kNone;
         at = m_.used_[at].before) {
      remove(history.substr(m_.used_[at].start, m_.used_[at].length));
    }
  }

  GrammarMatcher& m_;
  GrammarRun run_;
  const GrammarVocabulary& vocabulary_;
  std::vector<State> states_;
};

GrammarMatcher::GrammarMatcher(std::shared_ptr<const CompiledGrammar> grammar)
    : grammar_(std::move(grammar)) {
  reset();
}

void GrammarMatcher::reset() {
  cut({});
  snapshots_.clear();
  ended_ = false;
  GrammarRun(*this).begin(state_);
}

void GrammarMatcher::cut(const Marks& marks) {
  frames_.resize(marks.frames);
  words_.resize(marks.words);
  used_.resize(marks.used);
  history_.resize(marks.history);
}

void GrammarMatcher::remember(Snapshot before) {
  if (snapshots_.size() == kMaxRollbackTokens) snapshots_.erase(snapshots_.begin());
  snapshots_.push_back(std::move(before));
}

bool GrammarMatcher::accept_bytes(std::string_view bytes) {
  if (ended_) return false;
  Snapshot before = {state_, marks(), ended_};
  GrammarRun run(*this);
  State next;
  for (const char c : bytes) {
    history_.push_back(c);
    run.step(state_, static_cast<uint8_t>(c), next);
    std::swap(state_, next);
    if (state_.threads.empty() && !state_.complete) {
      state_ = std::move(before.state);
      cut(before.marks);
      return false;
    }
  }
  remember(std::move(before));
  return true;
}

bool GrammarMatcher::accept(TokenId id) {
  const GrammarVocabulary& vocabulary = grammar_->vocabulary();
  if (vocabulary.is_stop(id)) {
    if (ended_ || !state_.complete) return false;
    remember({state_, marks(), false});
    ended_ = true;
    return true;
  }
  const std::string_view text = vocabulary.text(id);
  if (text.empty()) return false;
  if (!vocabulary.is_added(id)) return accept_bytes(text);
  // Allowed for literals and free text only, which is what the mask says.
  const std::vector<Thread> all = state_.threads;
  const auto& leaves = grammar_->program().leaves;
  std::erase_if(state_.threads,
                [&](const Thread& thread) { return !leaves[thread.leaf]->takes_added; });
  const bool accepted = accept_bytes(text);
  (accepted ? snapshots_.back().state.threads : state_.threads) = all;
  return accepted;
}

void GrammarMatcher::fill_mask(TokenMask& mask) {
  if (mask.size() != grammar_->vocabulary().size()) mask = TokenMask(grammar_->vocabulary().size());
  mask.clear();
  if (!ended_) MaskMaker(*this).fill(mask);
}

std::string GrammarMatcher::forced_bytes(size_t most) {
  std::string out;
  if (ended_) return out;
  const Marks at = marks();
  GrammarRun run(*this);
  State state = state_, next;
  while (out.size() < most && !state.complete && !state.threads.empty()) {
    int byte = -1;
    bool forced = true;
    for (const Thread& thread : state.threads) {
      int own = -1;
      if (run.next_bytes(thread, own) != 1 || (byte >= 0 && own != byte)) {
        forced = false;
        break;
      }
      byte = own;
    }
    if (!forced) break;
    history_.push_back(static_cast<char>(byte));
    run.step(state, static_cast<uint8_t>(byte), next);
    std::swap(state, next);
    out.push_back(static_cast<char>(byte));
  }
  cut(at);
  return out;
}

bool GrammarMatcher::rollback(size_t steps) {
  if (steps > snapshots_.size()) return false;
  if (steps == 0) return true;
  Snapshot& to = snapshots_[snapshots_.size() - steps];
  state_ = std::move(to.state);
  ended_ = to.ended;
  cut(to.marks);
  snapshots_.resize(snapshots_.size() - steps);
  return true;
}

}  // namespace yunqi
