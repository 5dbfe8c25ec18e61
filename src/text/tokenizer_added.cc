// A byte trie walked from every place where a token can start.
#include "text/tokenizer_added.h"

namespace yunqi {

AddedTokenMatcher AddedTokenMatcher::build(std::span<const std::string> texts) {
  AddedTokenMatcher out;
  out.nodes_.emplace_back();
  for (size_t token = 0; token < texts.size(); ++token) {
    if (texts[token].empty()) continue;
    uint32_t node = 0;
    for (const char byte : texts[token]) {
      uint32_t child = out.find_child(node, byte);
      if (child == 0) {
        child = static_cast<uint32_t>(out.nodes_.size());
        out.nodes_.push_back({.child = 0, .sibling = out.nodes_[node].child, .byte = byte});
        out.nodes_[node].child = child;
        if (node == 0) out.first_[static_cast<unsigned char>(byte)] = child;
      }
      node = child;
    }
    if (out.nodes_[node].token < 0) out.nodes_[node].token = static_cast<int32_t>(token);
  }
  return out;
}

uint32_t AddedTokenMatcher::find_child(uint32_t node, char byte) const {
  if (node == 0) return first_[static_cast<unsigned char>(byte)];
  uint32_t child = nodes_[node].child;
  while (child != 0 && nodes_[child].byte != byte) child = nodes_[child].sibling;
  return child;
}

bool AddedTokenMatcher::find(std::string_view text, size_t from, Match& match) const {
  for (size_t begin = from; begin < text.size(); ++begin) {
    uint32_t node = first_[static_cast<unsigned char>(text[begin])];
    bool found = false;
    for (size_t end = begin + 1; node != 0; ++end) {
      if (nodes_[node].token >= 0) {
        match = {begin, end, static_cast<size_t>(nodes_[node].token)};
        found = true;
      }
      if (end == text.size()) break;
      node = find_child(node, text[end]);
    }
    if (found) return true;
  }
  return false;
}

}  // namespace yunqi
