// See thinking_splitter.h.
#include "text/thinking_splitter.h"

namespace yunqi {
namespace {

bool is_space(char byte) { return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r'; }

}  // namespace

ThinkingSplitter::ThinkingSplitter(bool enabled, bool starts_thinking) {
  if (!enabled) return;
  phase_ = starts_thinking ? Phase::kThinking : Phase::kMaybe;
}

void ThinkingSplitter::push(std::string_view bytes, std::string& thinking, std::string& answer) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (phase_ == Phase::kAnswer) {
      answer += bytes.substr(i);
      return;
    }
    step(bytes[i], thinking, answer);
  }
}

void ThinkingSplitter::answer_with(char byte, std::string& answer) {
  phase_ = Phase::kAnswer;
  answer += held_;
  answer += byte;
  held_.clear();
}

void ThinkingSplitter::step(char byte, std::string& thinking, std::string& answer) {
  switch (phase_) {
    case Phase::kMaybe: {
      if (tag_begin_ == held_.size() && is_space(byte)) {
        held_ += byte;
        ++tag_begin_;
        return;
      }
      held_ += byte;
      const std::string_view tag = std::string_view(held_).substr(tag_begin_);
      if (!kThinkOpen.starts_with(tag) && !kThinkClose.starts_with(tag)) {
        held_.pop_back();
        answer_with(byte, answer);
      } else if (tag == kThinkOpen || tag == kThinkClose) {
        // A closing tag without an opening one: the prompt had thinking closed already.
        phase_ = tag == kThinkOpen ? Phase::kThinking : Phase::kGap;
        held_.clear();
      }
      return;
    }
    case Phase::kThinking:
      held_ += byte;
      if (held_ == kThinkClose) {
        phase_ = Phase::kGap;
        held_.clear();
      } else if (!kThinkClose.starts_with(held_)) {
        held_.pop_back();
        thinking += held_;
        held_.clear();
        // "<" begins a tag and stands nowhere else in it.
        if (byte == '<') {
          held_ = byte;
        } else {
          thinking += byte;
        }
      }
      return;
    case Phase::kGap:
      if (held_.empty() && byte == '\n') return;
      held_ += byte;
      if (held_ == kThinkClose) {
        held_.clear();  // some models close twice
      } else if (!kThinkClose.starts_with(held_)) {
        held_.pop_back();
        answer_with(byte, answer);
      }
      return;
    case Phase::kAnswer:
      answer += byte;
      return;
  }
}

void ThinkingSplitter::finish(std::string& thinking, std::string& answer) {
  (phase_ == Phase::kThinking ? thinking : answer) += held_;
  held_.clear();
}

}  // namespace yunqi
