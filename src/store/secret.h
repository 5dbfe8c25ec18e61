// A text that must never reach a log, an error or a page: keys, passwords, peppers, addresses with
// passwords. Printing one gives ***; reading it takes the word reveal(), which is easy to find.
#pragma once

#include <fmt/format.h>

#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace yunqi {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}
  ~Secret() { wipe(); }
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept : text_(std::move(other.text_)) { other.wipe(); }
  Secret& operator=(const Secret&) = default;
  Secret& operator=(Secret&& other) noexcept {
    wipe();
    text_ = std::move(other.text_);
    other.wipe();
    return *this;
  }

  const std::string& reveal() const { return text_; }
  bool empty() const { return text_.empty(); }

 private:
  // Clears the bytes in a way that the compiler can't drop.
  void wipe() {
    for (char& c : text_) c = 0;
    __asm__ __volatile__("" : : "r"(text_.data()) : "memory");
    text_.clear();
  }
  std::string text_;
};

inline std::ostream& operator<<(std::ostream& out, const Secret&) { return out << "***"; }

}  // namespace yunqi

template <>
struct fmt::formatter<yunqi::Secret> : fmt::formatter<std::string_view> {
  template <typename Context>
  auto format(const yunqi::Secret&, Context& context) const {
    return fmt::formatter<std::string_view>::format("***", context);
  }
};
