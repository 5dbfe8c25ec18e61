// The expression half of the chat template parser. Borrows the token stream; not shared.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/jinja_ast.h"
#include "text/jinja_token_stream.h"

namespace yunqi::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& stream) : stream_(stream) {}

  // a if b else c
  Result<ExprPtr> parse_expression();
  // a, b, c: a tuple when there is a comma, else the expression itself. A conditional is allowed
  // unless `with_condition` is false; `stop` is a name that ends the list ("recursive").
  Result<ExprPtr> parse_tuple(bool with_condition, std::string_view stop = {});
  // What can stand left of `=` or `in`.
  Result<ExprPtr> parse_target(bool with_namespace);
  // |a|b(c) applied to `operand`, which is null in a filter block. When `inline_start`, the first
  // `|` was taken already.
  Result<ExprPtr> parse_filters(ExprPtr operand, bool inline_start);
  // A name where one is wanted, interned.
  Result<NameId> parse_name();
  Result<ExprPtr> parse_unary(bool with_filters = true);

 private:
  Result<ExprPtr> parse_or();
  Result<ExprPtr> parse_and();
  Result<ExprPtr> parse_not();
  Result<ExprPtr> parse_compare();
  Result<ExprPtr> parse_sum();
  Result<ExprPtr> parse_concat();
  Result<ExprPtr> parse_product();
  Result<ExprPtr> parse_power();
  Result<ExprPtr> parse_primary();
  Result<ExprPtr> parse_parentheses();
  Result<ExprPtr> parse_list();
  Result<ExprPtr> parse_dict();
  Result<ExprPtr> parse_string();
  Result<ExprPtr> parse_number();
  Result<ExprPtr> parse_postfix(ExprPtr operand);
  Result<ExprPtr> parse_filter_tail(ExprPtr operand);
  Result<ExprPtr> parse_attribute(ExprPtr operand);
  Result<ExprPtr> parse_subscript(ExprPtr operand);
  Result<ExprPtr> parse_index();
  Result<ExprPtr> parse_test(ExprPtr operand);
  Result<ExprPtr> parse_call(ExprPtr operand);
  Result<std::vector<Argument>> parse_arguments();
  Result<Argument> parse_argument(bool& after_positional);
  // parse() { operand (op operand)* } for operators of one level.
  template <typename Parse>
  Result<ExprPtr> parse_chain(Parse parse, std::initializer_list<std::pair<const char*, Op>> ops);
  template <typename Parse>
  Result<ExprPtr> parse_words(Parse parse, std::string_view word, ExprKind kind);

  ExprPtr make(ExprKind kind);
  // Sets the node's height from its parts and checks it.
  Result<ExprPtr> finish(ExprPtr node);

  TokenStream& stream_;
};

}  // namespace yunqi::jinja
