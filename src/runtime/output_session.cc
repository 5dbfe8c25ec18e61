// See output_session.h.
#include "runtime/output_session.h"

#include <algorithm>

#include "base/utf8.h"

namespace yunqi {
namespace {

std::string_view bytes_of(const Tokenizer& tokenizer, TokenId token, bool skip_special) {
  if (skip_special && tokenizer.is_special(token)) return {};
  return tokenizer.token_bytes(token);
}

class StopGuard final : public TokenGuard {
 public:
  StopGuard(const Tokenizer& tokenizer, std::vector<std::string> stops)
      : tokenizer_(tokenizer), matcher_(std::move(stops)) {}

  std::span<const uint64_t> mask() override { return {}; }

  GuardVerdict accept(int32_t token) override {
    const bool stop = matcher_.push(bytes_of(tokenizer_, token, true));
    return {stop ? GuardVerdict::Action::kStop : GuardVerdict::Action::kGo, {}};
  }

 private:
  const Tokenizer& tokenizer_;
  StopMatcher matcher_;
};

}  // namespace

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase(stops_, "");
}

bool StopMatcher::push(std::string_view bytes) {
  if (matched()) return true;
  for (const char byte : bytes) {
    tail_.push_back(byte);
    ++pushed_;
    // The longest stop that ends at this byte; the earliest end wins by scanning byte by byte.
    for (size_t i = 0; i < stops_.size(); ++i) {
      if (!tail_.ends_with(stops_[i])) continue;
      const size_t begin = pushed_ - stops_[i].size();
      if (matched() && begin >= match_begin_) continue;
      match_begin_ = begin;
      match_end_ = pushed_;
      match_index_ = i;
    }
    if (matched()) return true;
  }
  size_t longest = 0;
  for (const std::string& stop : stops_) longest = std::max(longest, stop.size());
  const size_t keep = longest == 0 ? 0 : longest - 1;
  if (tail_.size() > keep) tail_.erase(0, tail_.size() - keep);
  return false;
}

size_t StopMatcher::safe_end() const {
  // The longest suffix that is a proper prefix of some stop string must wait.
  size_t wait = 0;
  for (const std::string& stop : stops_) {
    for (size_t n = std::min(tail_.size(), stop.size() - 1); n > wait; --n) {
      if (std::string_view(tail_).ends_with(std::string_view(stop).substr(0, n))) {
        wait = n;
        break;
      }
    }
  }
  return pushed_ - wait;
}

std::unique_ptr<TokenGuard> make_stop_guard(const Tokenizer& tokenizer,
                                            std::vector<std::string> stops) {
  return std::make_unique<StopGuard>(tokenizer, std::move(stops));
}

OutputSession::OutputSession(const Tokenizer& tokenizer, OutputOptions options)
    : tokenizer_(&tokenizer), options_(std::move(options)), matcher_(options_.stop) {
  if (options_.think_open < 0 || options_.think_close < 0) {
    state_ = State::kAnswer;
  } else if (options_.starts_thinking) {
    state_ = State::kThinking;
    strip_leading_ = true;
  } else {
    state_ = State::kMaybeThinking;
  }
}

TextDelta OutputSession::push(TokenId token) {
  if (matcher_.matched()) return {};
  const std::string_view bytes = bytes_of(*tokenizer_, token, options_.skip_special);
  const bool opens = state_ == State::kMaybeThinking && token == options_.think_open;
  const bool closes = state_ == State::kThinking && token == options_.think_close;
  if (opens || closes) {
    // A tag ends its segment: what was held is final, and the tag itself is never shown. It may
    // still complete a stop string that began before it.
    matcher_.push(bytes);
    TextDelta delta = route(release(/*at_end=*/true));
    line_breaks_.clear();
    held_begin_ += bytes.size();
    state_ = opens ? State::kThinking : State::kAnswer;
    strip_leading_ = true;
    return delta;
  }
  if (state_ == State::kThinking) ++reasoning_tokens_;
  matcher_.push(bytes);
  held_ += bytes;
  return route(release(/*at_end=*/false));
}

TextDelta OutputSession::finish() {
  TextDelta delta = route(release(/*at_end=*/true));
  // An unclosed thought keeps its line breaks: nothing of the output is lost.
  if (state_ == State::kThinking) delta.reasoning += line_breaks_;
  line_breaks_.clear();
  return delta;
}

std::string OutputSession::stop_string() const {
  return matcher_.matched() ? matcher_.match() : std::string();
}

std::string OutputSession::release(bool at_end) {
  size_t end = held_begin_ + held_.size();
  if (matcher_.matched()) {
    end = std::min(end, options_.include_stop ? matcher_.match_end() : matcher_.match_begin());
    at_end = true;
  } else if (!at_end) {
    end = std::min(end, matcher_.safe_end());
  }
  size_t count = end > held_begin_ ? end - held_begin_ : 0;
  if (!at_end) count -= incomplete_utf8_suffix(std::string_view(held_).substr(0, count));
  std::string out = sanitize_utf8(std::string_view(held_).substr(0, count));
  if (at_end) count = held_.size();
  held_.erase(0, count);
  held_begin_ += count;
  return out;
}

TextDelta OutputSession::route(std::string text) {
  if (strip_leading_) {
    const size_t start = text.find_first_not_of('\n');
    if (start == std::string::npos) return {};
    text.erase(0, start);
    strip_leading_ = false;
  }
  if (text.empty()) return {};
  TextDelta delta;
  if (state_ == State::kThinking) {
    const size_t last = text.find_last_not_of('\n');
    if (last == std::string::npos) {
      line_breaks_ += text;
      return {};
    }
    delta.reasoning = line_breaks_ + text.substr(0, last + 1);
    line_breaks_ = text.substr(last + 1);
    return delta;
  }
  if (state_ == State::kMaybeThinking) {
    if (text.find_first_not_of(" \n\t") != std::string::npos) state_ = State::kAnswer;
  }
  delta.content = std::move(text);
  return delta;
}

}  // namespace yunqi
