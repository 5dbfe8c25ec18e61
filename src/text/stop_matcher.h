// Finds stop strings in a growing byte stream. Used by the reader's side (what to show) and by the
// engine's guard (when to end), so that both cut at the same byte. Plain value, one thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace yunqi {

// Finds the first occurrence of any stop string in a growing byte stream. Earliest end wins, then
// the longest.
class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops);
  // Appends bytes. True once a stop string is complete; further pushes are ignored.
  bool push(std::string_view bytes);
  bool matched() const { return match_end_ != kNone; }
  size_t match_begin() const { return match_begin_; }  // offsets into everything pushed
  size_t match_end() const { return match_end_; }
  const std::string& match() const { return stops_[match_index_]; }
  // Bytes pushed so far that can no longer become part of a stop string.
  size_t safe_end() const;

 private:
  static constexpr size_t kNone = ~size_t{0};
  std::vector<std::string> stops_;
  std::string tail_;  // the last longest-1 bytes
  size_t longest_ = 0;
  size_t pushed_ = 0;
  size_t match_begin_ = kNone, match_end_ = kNone, match_index_ = 0;
};

}  // namespace yunqi
