// JSON as models write it, made valid while it streams: raw line breaks and bad escapes in strings,
// single quotes, True/False/None and trailing commas are mended; anything worse is reported at its
// byte. Constant work per byte, depth bounded. Plain value, one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace yunqi {

// One object or array as a stream. Everything given out is a prefix of valid JSON.
class JsonMender {
 public:
  static constexpr size_t kMaxDepth = 60;         // below base/json's own limit
  static constexpr size_t kMaxScalarBytes = 512;  // a number or bare word

  enum class State { kOpen, kDone, kBroken };
  // Takes one byte; what is valid is appended to `out`. kDone: the outermost bracket closed, and
  // the byte was taken. kBroken: the byte can't follow; held() is what was not given out.
  State push(char byte, std::string& out);
  bool in_string() const { return quote_ != 0; }
  const std::string& held() const { return held_; }
  // Whether held() may stand at the end of a cut text: the start of a number or JSON word.
  bool held_is_valid_prefix() const;

 private:
  enum class Want { kValue, kValueOrEnd, kKey, kKeyOrEnd, kColon, kCommaOrEnd };
  State push_string(char byte, std::string& out);
  State push_scalar(char byte, std::string& out);
  State push_structure(char byte, std::string& out);
  State open(char byte, std::string& out);
  State close(char byte, std::string& out);
  void end_value();

  std::string brackets_;  // what is open, innermost last
  Want want_ = Want::kValue;
  char quote_ = 0;       // inside a string: the quote that ends it
  bool is_key_ = false;  // that string is an object's key
  bool escape_ = false;  // after a backslash
  int hex_left_ = 0;     // digits of \uXXXX still to come
  bool in_scalar_ = false;
  std::string held_;  // a comma with its white space, a bare word, or an escape
};

bool is_json_number(std::string_view text);

// `text`, one object or array and white space around it, as valid compact JSON; nullopt when it
// can't be mended.
std::optional<std::string> repair_json(std::string_view text);

}  // namespace yunqi
