// See stop_matcher.h.
#include "text/stop_matcher.h"

#include <algorithm>

namespace yunqi {

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase(stops_, "");
  for (const std::string& stop : stops_) longest_ = std::max(longest_, stop.size());
}

bool StopMatcher::push(std::string_view bytes) {
  if (matched()) return true;
  if (stops_.empty()) {
    pushed_ += bytes.size();
    return false;
  }
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
  const size_t keep = longest_ == 0 ? 0 : longest_ - 1;
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

}  // namespace yunqi
