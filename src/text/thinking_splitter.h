// Tells thinking from the answer in a growing byte stream: <think> at the start, then </think>. The
// result depends on the bytes only, never on how they were cut into tokens. Reader and guard run
// the same machine, so that both see the answer begin at the same byte. Plain value, one thread.
#pragma once

#include <string>
#include <string_view>

namespace yunqi {

inline constexpr std::string_view kThinkOpen = "<think>";
inline constexpr std::string_view kThinkClose = "</think>";

class ThinkingSplitter {
 public:
  enum class Phase {
    kMaybe,     // nothing but white space yet: thinking may still be opened
    kThinking,  // after <think>
    kGap,       // after </think>, before the answer's first byte; line breaks are dropped
    kAnswer,
  };
  // `enabled` false: everything is answer. `starts_thinking`: the prompt ended inside <think>.
  explicit ThinkingSplitter(bool enabled = false, bool starts_thinking = false);

  // Appends what became certain: bytes of the thought, and bytes of the answer. Tags are dropped.
  void push(std::string_view bytes, std::string& thinking, std::string& answer);
  // Gives out what could have become a tag; call once at the end.
  void finish(std::string& thinking, std::string& answer);
  Phase phase() const { return phase_; }

 private:
  void step(char byte, std::string& thinking, std::string& answer);
  void answer_with(char byte, std::string& answer);

  Phase phase_ = Phase::kAnswer;
  std::string held_;      // may become a tag; in kMaybe with the white space before it
  size_t tag_begin_ = 0;  // kMaybe: where in held_ the tag would begin
};

}  // namespace yunqi
