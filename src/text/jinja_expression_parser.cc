// Expressions, with jinja2's precedence: or, and, not, comparison, + -, ~, * / // %, **, unary,
// then postfix operators, filters and tests. `is` and `|` bind tighter than arithmetic.
#include "text/jinja_expression_parser.h"

#include <algorithm>

#include "base/utf8.h"
#include "text/jinja_builtin.h"
#include "text/jinja_literal.h"

namespace yunqi::jinja {

ExprPtr ExpressionParser::make(ExprKind kind) {
  auto node = std::make_unique<Expr>();
  node->kind = kind;
  node->line = stream_.line();
  return node;
}

Result<ExprPtr> ExpressionParser::finish(ExprPtr node) {
  int height = 0;
  for (const ExprPtr& item : node->items) {
    if (item != nullptr) height = std::max(height, item->height);
  }
  for (const Argument& argument : node->arguments) {
    height = std::max(height, argument.value->height);
  }
  node->height = height + 1;
  YQ_RETURN_IF_ERROR(stream_.check_depth(node->height));
  return node;
}

template <typename Parse>
Result<ExprPtr> ExpressionParser::parse_chain(
    Parse parse, std::initializer_list<std::pair<const char*, Op>> ops) {
  YQ_TRY(ExprPtr first, (this->*parse)());
  ExprPtr chain;
  while (true) {
    const auto found = std::find_if(
        ops.begin(), ops.end(), [this](const auto& op) { return stream_.is_operator(op.first); });
    if (found == ops.end()) break;
    if (chain == nullptr) {
      chain = make(ExprKind::kArithmetic);
      chain->items.push_back(std::move(first));
    }
    stream_.advance();
    YQ_TRY(ExprPtr next, (this->*parse)());
    chain->ops.push_back(found->second);
    chain->items.push_back(std::move(next));
  }
  if (chain == nullptr) return first;
  return finish(std::move(chain));
}

template <typename Parse>
Result<ExprPtr> ExpressionParser::parse_words(Parse parse, std::string_view word, ExprKind kind) {
  YQ_TRY(ExprPtr first, (this->*parse)());
  if (!stream_.is_name(word)) return first;
  ExprPtr node = make(kind);
  node->items.push_back(std::move(first));
  while (stream_.take_name(word)) {
    YQ_TRY(ExprPtr next, (this->*parse)());
    node->items.push_back(std::move(next));
  }
  return finish(std::move(node));
}

Result<ExprPtr> ExpressionParser::parse_expression() {
  const TokenStream::Nesting nesting(stream_);
  YQ_RETURN_IF_ERROR(nesting.check());
  YQ_TRY(ExprPtr value, parse_or());
  while (stream_.is_name("if")) {
    ExprPtr node = make(ExprKind::kConditional);
    stream_.advance();
    YQ_TRY(ExprPtr condition, parse_or());
    ExprPtr other;
    if (stream_.take_name("else")) {
      YQ_TRY(other, parse_expression());
    }
    node->items.push_back(std::move(condition));
    node->items.push_back(std::move(value));
    node->items.push_back(std::move(other));
    YQ_TRY(value, finish(std::move(node)));
  }
  return value;
}

Result<ExprPtr> ExpressionParser::parse_or() {
  return parse_words(&ExpressionParser::parse_and, "or", ExprKind::kOr);
}

Result<ExprPtr> ExpressionParser::parse_and() {
  return parse_words(&ExpressionParser::parse_not, "and", ExprKind::kAnd);
}

Result<ExprPtr> ExpressionParser::parse_not() {
  if (!stream_.is_name("not")) return parse_compare();
  const TokenStream::Nesting nesting(stream_);
  YQ_RETURN_IF_ERROR(nesting.check());
  ExprPtr node = make(ExprKind::kNot);
  stream_.advance();
  YQ_TRY(ExprPtr operand, parse_not());
  node->items.push_back(std::move(operand));
  return finish(std::move(node));
}

Result<ExprPtr> ExpressionParser::parse_compare() {
  static constexpr std::pair<const char*, Op> kOps[] = {
      {"==", Op::kEqual},     {"!=", Op::kNotEqual}, {"<", Op::kLess},
      {"<=", Op::kLessEqual}, {">", Op::kGreater},   {">=", Op::kGreaterEqual}};
  YQ_TRY(ExprPtr first, parse_sum());
  ExprPtr chain;
  while (true) {
    Op op{};
    const auto found = std::find_if(std::begin(kOps), std::end(kOps), [this](const auto& known) {
      return stream_.is_operator(known.first);
    });
    if (found != std::end(kOps)) {
      op = found->second;
    } else if (stream_.is_name("in")) {
      op = Op::kIn;
    } else if (stream_.is_name("not") && stream_.ahead().kind == TokenKind::kName &&
               stream_.ahead().text == "in") {
      op = Op::kNotIn;
      stream_.advance();
    } else {
      break;
    }
    if (chain == nullptr) {
      chain = make(ExprKind::kCompare);
      chain->items.push_back(std::move(first));
    }
    stream_.advance();
    YQ_TRY(ExprPtr next, parse_sum());
    chain->ops.push_back(op);
    chain->items.push_back(std::move(next));
  }
  if (chain == nullptr) return first;
  return finish(std::move(chain));
}

Result<ExprPtr> ExpressionParser::parse_sum() {
  return parse_chain(&ExpressionParser::parse_concat, {{"+", Op::kAdd}, {"-", Op::kSubtract}});
}

Result<ExprPtr> ExpressionParser::parse_concat() {
  YQ_TRY(ExprPtr first, parse_product());
  if (!stream_.is_operator("~")) return first;
  ExprPtr node = make(ExprKind::kConcat);
  node->items.push_back(std::move(first));
  while (stream_.take_operator("~")) {
    YQ_TRY(ExprPtr next, parse_product());
    node->items.push_back(std::move(next));
  }
  return finish(std::move(node));
}

Result<ExprPtr> ExpressionParser::parse_product() {
  return parse_chain(
      &ExpressionParser::parse_power,
      {{"*", Op::kMultiply}, {"/", Op::kDivide}, {"//", Op::kFloorDivide}, {"%", Op::kModulo}});
}

Result<ExprPtr> ExpressionParser::parse_power() {
  YQ_TRY(ExprPtr first, parse_unary());
  if (!stream_.is_operator("**")) return first;
  ExprPtr chain = make(ExprKind::kArithmetic);
  chain->items.push_back(std::move(first));
  while (stream_.take_operator("**")) {
    YQ_TRY(ExprPtr next, parse_unary());
    chain->ops.push_back(Op::kPower);
    chain->items.push_back(std::move(next));
  }
  return finish(std::move(chain));
}

Result<ExprPtr> ExpressionParser::parse_unary(bool with_filters) {
  const TokenStream::Nesting nesting(stream_);
  YQ_RETURN_IF_ERROR(nesting.check());
  ExprPtr node;
  if (stream_.is_operator("-") || stream_.is_operator("+")) {
    node = make(stream_.is_operator("-") ? ExprKind::kNegate : ExprKind::kPlus);
    stream_.advance();
    YQ_TRY(ExprPtr operand, parse_unary(false));
    node->items.push_back(std::move(operand));
    YQ_TRY(node, finish(std::move(node)));
  } else {
    YQ_TRY(node, parse_primary());
  }
  YQ_TRY(node, parse_postfix(std::move(node)));
  if (!with_filters) return node;
  return parse_filter_tail(std::move(node));
}

Result<ExprPtr> ExpressionParser::parse_primary() {
  const Token& token = stream_.current();
  switch (token.kind) {
    case TokenKind::kString:
      return parse_string();
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return parse_number();
    case TokenKind::kName: {
      ExprPtr node = make(ExprKind::kConst);
      if (token.text == "true" || token.text == "True") {
        node->value = Value::of(true);
      } else if (token.text == "false" || token.text == "False") {
        node->value = Value::of(false);
      } else if (token.text == "none" || token.text == "None") {
        node->value = Value::none();
      } else {
        node->kind = ExprKind::kName;
        node->text = token.text;
        node->name = stream_.tmpl().intern(token.text);
        stream_.tmpl().read[static_cast<size_t>(node->name)] = true;
      }
      stream_.advance();
      return node;
    }
    case TokenKind::kOperator:
      if (token.text == "(") return parse_parentheses();
      if (token.text == "[") return parse_list();
      if (token.text == "{") return parse_dict();
      break;
    default:
      break;
  }
  return stream_.unexpected("an expression");
}

Result<ExprPtr> ExpressionParser::parse_parentheses() {
  stream_.advance();
  if (stream_.is_operator(")")) {
    ExprPtr empty = make(ExprKind::kTuple);
    stream_.advance();
    return empty;
  }
  YQ_TRY(ExprPtr inner, parse_tuple(true));
  YQ_RETURN_IF_ERROR(stream_.expect_operator(")"));
  return inner;
}

Result<ExprPtr> ExpressionParser::parse_tuple(bool with_condition, std::string_view stop) {
  const TokenStream::Nesting nesting(stream_);
  YQ_RETURN_IF_ERROR(nesting.check());
  const auto parse_one = [&] { return with_condition ? parse_expression() : parse_or(); };
  YQ_TRY(ExprPtr first, parse_one());
  if (!stream_.is_operator(",")) return first;
  ExprPtr node = make(ExprKind::kTuple);
  node->items.push_back(std::move(first));
  while (stream_.take_operator(",")) {
    const TokenKind kind = stream_.current().kind;
    if (kind == TokenKind::kVariableEnd || kind == TokenKind::kBlockEnd ||
        stream_.is_operator(")") || (!stop.empty() && stream_.is_name(stop))) {
      break;
    }
    YQ_TRY(ExprPtr next, parse_one());
    node->items.push_back(std::move(next));
  }
  return finish(std::move(node));
}

Result<ExprPtr> ExpressionParser::parse_list() {
  ExprPtr node = make(ExprKind::kList);
  stream_.advance();
  while (!stream_.is_operator("]")) {
    if (!node->items.empty()) YQ_RETURN_IF_ERROR(stream_.expect_operator(","));
    if (stream_.is_operator("]")) break;
    YQ_TRY(ExprPtr item, parse_expression());
    node->items.push_back(std::move(item));
  }
  stream_.advance();
  return finish(std::move(node));
}

Result<ExprPtr> ExpressionParser::parse_dict() {
  ExprPtr node = make(ExprKind::kDict);
  stream_.advance();
  while (!stream_.is_operator("}")) {
    if (!node->items.empty()) YQ_RETURN_IF_ERROR(stream_.expect_operator(","));
    if (stream_.is_operator("}")) break;
    YQ_TRY(ExprPtr key, parse_expression());
    YQ_RETURN_IF_ERROR(stream_.expect_operator(":"));
    YQ_TRY(ExprPtr value, parse_expression());
    node->items.push_back(std::move(key));
    node->items.push_back(std::move(value));
  }
  stream_.advance();
  return finish(std::move(node));
}

Result<ExprPtr> ExpressionParser::parse_string() {
  ExprPtr node = make(ExprKind::kConst);
  while (stream_.current().kind == TokenKind::kString) {
    const std::string_view quoted = stream_.current().text;
    if (!append_unescaped(node->text, quoted.substr(1, quoted.size() - 2))) {
      return stream_.fail(Code::kBadFile, "a string with an escape that is no character");
    }
    stream_.advance();
  }
  node->str.text = node->text;
  node->value = Value::of(&node->str);
  return node;
}

Result<ExprPtr> ExpressionParser::parse_number() {
  ExprPtr node = make(ExprKind::kConst);
  const Token& token = stream_.current();
  const auto value = token.kind == TokenKind::kFloat ? parse_float_literal(token.text)
                                                     : parse_integer_literal(token.text);
  if (!value) return stream_.fail(Code::kBadFile, "a number that is malformed or beyond 64 bits");
  node->value = *value;
  stream_.advance();
  return node;
}

Result<ExprPtr> ExpressionParser::parse_postfix(ExprPtr operand) {
  while (true) {
    if (stream_.is_operator(".")) {
      YQ_TRY(operand, parse_attribute(std::move(operand)));
    } else if (stream_.is_operator("[")) {
      YQ_TRY(operand, parse_subscript(std::move(operand)));
    } else if (stream_.is_operator("(")) {
      YQ_TRY(operand, parse_call(std::move(operand)));
    } else {
      return operand;
    }
  }
}

Result<ExprPtr> ExpressionParser::parse_filter_tail(ExprPtr operand) {
  while (true) {
    if (stream_.is_operator("|")) {
      YQ_TRY(operand, parse_filters(std::move(operand), false));
    } else if (stream_.is_name("is")) {
      YQ_TRY(operand, parse_test(std::move(operand)));
    } else if (stream_.is_operator("(")) {
      YQ_TRY(operand, parse_call(std::move(operand)));
    } else {
      return operand;
    }
  }
}

Result<ExprPtr> ExpressionParser::parse_attribute(ExprPtr operand) {
  stream_.advance();
  const Token token = stream_.current();
  if (token.kind == TokenKind::kName) {
    ExprPtr node = make(ExprKind::kAttribute);
    node->text = token.text;
    node->str.text = node->text;
    stream_.advance();
    node->items.push_back(std::move(operand));
    return finish(std::move(node));
  }
  if (token.kind != TokenKind::kInteger) return stream_.unexpected("a name or a number");
  ExprPtr node = make(ExprKind::kItem);
  YQ_TRY(ExprPtr index, parse_number());
  node->items.push_back(std::move(operand));
  node->items.push_back(std::move(index));
  return finish(std::move(node));
}

Result<ExprPtr> ExpressionParser::parse_subscript(ExprPtr operand) {
  ExprPtr node = make(ExprKind::kItem);
  stream_.advance();
  std::vector<ExprPtr> indices;
  bool has_comma = false;
  while (!stream_.is_operator("]")) {
    if (!indices.empty()) {
      YQ_RETURN_IF_ERROR(stream_.expect_operator(","));
      has_comma = true;
    }
    YQ_TRY(ExprPtr index, parse_index());
    indices.push_back(std::move(index));
  }
  if (indices.empty()) return stream_.unexpected("an index");
  stream_.advance();
  node->items.push_back(std::move(operand));
  if (has_comma) {
    ExprPtr tuple = make(ExprKind::kTuple);
    tuple->items = std::move(indices);
    YQ_TRY(tuple, finish(std::move(tuple)));
    node->items.push_back(std::move(tuple));
  } else {
    node->items.push_back(std::move(indices.front()));
  }
  return finish(std::move(node));
}

Result<ExprPtr> ExpressionParser::parse_index() {
  ExprPtr start;
  if (!stream_.is_operator(":")) {
    YQ_TRY(start, parse_expression());
    if (!stream_.is_operator(":")) return start;
  }
  ExprPtr node = make(ExprKind::kSlice);
  node->items.push_back(std::move(start));
  for (int part = 0; part < 2; ++part) {
    ExprPtr bound;
    if (stream_.take_operator(":") && !stream_.is_operator(":") && !stream_.is_operator("]") &&
        !stream_.is_operator(",")) {
      YQ_TRY(bound, parse_expression());
    }
    node->items.push_back(std::move(bound));
  }
  return finish(std::move(node));
}

Result<ExprPtr> ExpressionParser::parse_filters(ExprPtr operand, bool inline_start) {
  while (inline_start || stream_.take_operator("|")) {
    inline_start = false;
    ExprPtr node = make(ExprKind::kFilter);
    if (stream_.current().kind != TokenKind::kName) return stream_.unexpected("a filter's name");
    node->builtin = find_filter(stream_.current().text);
    if (node->builtin == nullptr && !stream_.is_guarded()) {
      return stream_.fail(Code::kUnsupported,
                          fmt::format("there is no filter '{}'", stream_.current().text));
    }
    node->text = stream_.current().text;
    stream_.advance();
    node->items.push_back(std::move(operand));
    if (stream_.is_operator("(")) {
      YQ_TRY(node->arguments, parse_arguments());
    }
    YQ_TRY(operand, finish(std::move(node)));
  }
  return operand;
}

Result<ExprPtr> ExpressionParser::parse_test(ExprPtr operand) {
  stream_.advance();
  ExprPtr node = make(ExprKind::kTest);
  node->negated = stream_.take_name("not");
  const Token token = stream_.current();
  if (token.kind != TokenKind::kName) return stream_.unexpected("a test's name");
  node->builtin = find_predicate(token.text);
  if (node->builtin == nullptr && !stream_.is_guarded()) {
    return stream_.fail(Code::kUnsupported, fmt::format("there is no test '{}'", token.text));
  }
  node->text = token.text;
  stream_.advance();
  node->items.push_back(std::move(operand));
  const Token& next = stream_.current();
  const bool starts_operand = (next.kind == TokenKind::kName && next.text != "else" &&
                               next.text != "or" && next.text != "and") ||
                              next.kind == TokenKind::kString || next.kind == TokenKind::kInteger ||
                              next.kind == TokenKind::kFloat || stream_.is_operator("[") ||
                              stream_.is_operator("{");
  if (stream_.is_operator("(")) {
    YQ_TRY(node->arguments, parse_arguments());
  } else if (starts_operand) {
    if (stream_.is_name("is")) return stream_.unexpected("no second test on a test");
    YQ_TRY(ExprPtr argument, parse_primary());
    YQ_TRY(argument, parse_postfix(std::move(argument)));
    node->arguments.push_back({Argument::Mode::kPositional, {}, std::move(argument)});
  }
  return finish(std::move(node));
}

Result<ExprPtr> ExpressionParser::parse_call(ExprPtr operand) {
  ExprPtr node = make(ExprKind::kCall);
  node->items.push_back(std::move(operand));
  YQ_TRY(node->arguments, parse_arguments());
  return finish(std::move(node));
}

Result<std::vector<Argument>> ExpressionParser::parse_arguments() {
  YQ_RETURN_IF_ERROR(stream_.expect_operator("("));
  std::vector<Argument> out;
  bool after_positional = false;
  while (!stream_.is_operator(")")) {
    if (!out.empty()) {
      YQ_RETURN_IF_ERROR(stream_.expect_operator(","));
      if (stream_.is_operator(")")) break;
    }
    YQ_TRY(Argument argument, parse_argument(after_positional));
    out.push_back(std::move(argument));
  }
  stream_.advance();
  return out;
}

Result<Argument> ExpressionParser::parse_argument(bool& after_positional) {
  Argument out;
  if (stream_.take_operator("*")) {
    out.mode = Argument::Mode::kSpread;
  } else if (stream_.take_operator("**")) {
    out.mode = Argument::Mode::kSpreadNamed;
  } else if (stream_.current().kind == TokenKind::kName &&
             stream_.ahead().kind == TokenKind::kOperator && stream_.ahead().text == "=") {
    out.mode = Argument::Mode::kNamed;
    out.name = stream_.current().text;
    stream_.advance();
    stream_.advance();
  } else if (after_positional) {
    return stream_.unexpected("a named argument after a named one");
  }
  if (out.mode != Argument::Mode::kPositional) after_positional = true;
  YQ_TRY(out.value, parse_expression());
  return out;
}

Result<NameId> ExpressionParser::parse_name() {
  const Token token = stream_.current();
  if (token.kind != TokenKind::kName) return stream_.unexpected("a name");
  static constexpr std::string_view kConstants[] = {"true",  "True", "false",
                                                    "False", "none", "None"};
  if (std::find(std::begin(kConstants), std::end(kConstants), token.text) != std::end(kConstants)) {
    return stream_.unexpected("a name that can be assigned");
  }
  stream_.advance();
  return stream_.tmpl().intern(token.text);
}

Result<ExprPtr> ExpressionParser::parse_target(bool with_namespace) {
  const TokenStream::Nesting nesting(stream_);
  YQ_RETURN_IF_ERROR(nesting.check());
  ExprPtr tuple = make(ExprKind::kTuple);
  bool has_comma = false;
  while (true) {
    ExprPtr item;
    if (stream_.take_operator("(")) {
      YQ_TRY(item, parse_target(with_namespace));
      YQ_RETURN_IF_ERROR(stream_.expect_operator(")"));
    } else {
      item = make(ExprKind::kName);
      item->text = stream_.current().text;
      YQ_TRY(item->name, parse_name());
      if (with_namespace && stream_.take_operator(".")) {
        item->kind = ExprKind::kAttribute;
        item->text = stream_.current().text;
        item->str.text = item->text;
        YQ_RETURN_IF_ERROR(stream_.expect(TokenKind::kName, "an attribute's name"));
      }
    }
    tuple->items.push_back(std::move(item));
    if (!stream_.take_operator(",")) break;
    has_comma = true;
    if (stream_.current().kind != TokenKind::kName && !stream_.is_operator("(")) break;
    if (stream_.is_name("in")) break;
  }
  if (!has_comma) return std::move(tuple->items.front());
  return finish(std::move(tuple));
}

}  // namespace yunqi::jinja
