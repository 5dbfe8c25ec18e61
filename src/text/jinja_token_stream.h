// What both halves of the parser (expressions, statements) share: the tokens, the nesting limit,
// errors with positions, and the template under construction.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "text/jinja_ast.h"
#include "text/jinja_lexer.h"

namespace yunqi::jinja {

class TokenStream {
 public:
  TokenStream(Template& tmpl, std::vector<Token> tokens, int max_depth)
      : tmpl_(tmpl), tokens_(std::move(tokens)), max_depth_(max_depth) {}

  const Token& current() const { return tokens_[at_]; }
  // The one after; the end token repeats for ever.
  const Token& ahead() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  void advance() {
    if (at_ + 1 < tokens_.size()) ++at_;
  }

  bool is_operator(std::string_view op) const {
    return current().kind == TokenKind::kOperator && current().text == op;
  }
  bool is_name(std::string_view name) const {
    return current().kind == TokenKind::kName && current().text == name;
  }
  // Takes the token when it is this one.
  bool take_operator(std::string_view op) {
    const bool found = is_operator(op);
    if (found) advance();
    return found;
  }
  bool take_name(std::string_view name) {
    const bool found = is_name(name);
    if (found) advance();
    return found;
  }
  Status expect_operator(std::string_view op) {
    return take_operator(op) ? Status::ok() : unexpected(fmt::format("'{}'", op));
  }
  Status expect(TokenKind kind, std::string_view what) {
    if (current().kind != kind) return unexpected(what);
    advance();
    return Status::ok();
  }

  int line() const { return current().line; }
  Status unexpected(std::string_view wanted) const {
    const bool end = current().kind == TokenKind::kEnd;
    return fail(Code::kBadFile,
                fmt::format("want {}, found {}", wanted,
                            end ? "the end of the template" : fmt::format("'{}'", current().text)));
  }
  Status fail(Code code, std::string_view what) const {
    const SourcePosition at = position_of(tmpl_.source, current().offset);
    return error(code, "chat template line {}, column {}: {}", at.line, at.column, what);
  }

  // One level of nesting; the parser's own recursion and the height of what it builds.
  class Nesting {
   public:
    explicit Nesting(TokenStream& stream) : stream_(stream) { ++stream_.depth_; }
    ~Nesting() { --stream_.depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;
    Status check() const { return stream_.check_depth(stream_.depth_); }

   private:
    TokenStream& stream_;
  };
  Status check_depth(int depth) const {
    if (depth <= max_depth_) return Status::ok();
    return fail(Code::kBadFile, fmt::format("nested deeper than {}", max_depth_));
  }

  // Inside an if statement an unknown filter or test is an error only once it is reached, so that
  // templates can guard what an interpreter may lack. Sets the state and returns the one before.
  bool set_guarded(bool guarded) { return std::exchange(guarded_, guarded); }
  bool is_guarded() const { return guarded_; }

  Template& tmpl() { return tmpl_; }

 private:
  Template& tmpl_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  bool guarded_ = false;
  const int max_depth_;
};

}  // namespace yunqi::jinja
