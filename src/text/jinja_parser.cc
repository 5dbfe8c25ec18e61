// Statements of the chat template language, and the template as a whole.
#include "text/jinja_parser.h"

#include <algorithm>
#include <initializer_list>

#include "base/utf8.h"
#include "text/jinja_expression_parser.h"
#include "text/jinja_lexer.h"
#include "text/jinja_token_stream.h"

namespace yunqi::jinja {
namespace {

using Names = std::initializer_list<std::string_view>;
using StmtPtr = std::unique_ptr<Stmt>;

class StatementParser {
 public:
  explicit StatementParser(TokenStream& stream) : stream_(stream), expressions_(stream) {}

  Result<Body> parse_all() {
    YQ_TRY(Body body, parse_body({}));
    return body;
  }

 private:
  // Statements up to a block tag that starts with one of `stops`, which stays the current token;
  // without stops, up to the end of the template.
  Result<Body> parse_body(Names stops) {
    const TokenStream::Nesting nesting(stream_);
    YQ_RETURN_IF_ERROR(nesting.check());
    Body body;
    while (true) {
      switch (stream_.current().kind) {
        case TokenKind::kText: {
          StmtPtr node = make(StmtKind::kText);
          node->text = stream_.current().text;
          stream_.advance();
          body.push_back(std::move(node));
          break;
        }
        case TokenKind::kVariableBegin: {
          StmtPtr node = make(StmtKind::kPrint);
          stream_.advance();
          YQ_TRY(node->value, expressions_.parse_tuple(true));
          YQ_RETURN_IF_ERROR(stream_.expect(TokenKind::kVariableEnd, "'}}'"));
          body.push_back(std::move(node));
          break;
        }
        case TokenKind::kBlockBegin: {
          stream_.advance();
          if (at_one_of(stops)) return body;
          YQ_TRY(StmtPtr node, parse_statement());
          body.push_back(std::move(node));
          break;
        }
        default:
          if (stops.size() == 0 && stream_.current().kind == TokenKind::kEnd) return body;
          return stream_.unexpected(stops.size() == 0 ? "text or a tag"
                                                      : fmt::format("{{% {} %}}", *stops.begin()));
      }
    }
  }

  bool at_one_of(Names names) const {
    return std::any_of(names.begin(), names.end(),
                       [this](std::string_view name) { return stream_.is_name(name); });
  }

  // A body whose end tag is `end`; takes that tag whole.
  Result<Body> parse_body_to(std::string_view end) {
    YQ_TRY(Body body, parse_body({end}));
    stream_.advance();
    YQ_RETURN_IF_ERROR(end_tag());
    return body;
  }

  Status end_tag() { return stream_.expect(TokenKind::kBlockEnd, "'%}'"); }

  StmtPtr make(StmtKind kind) {
    auto node = std::make_unique<Stmt>();
    node->kind = kind;
    node->line = stream_.line();
    return node;
  }

  Result<StmtPtr> parse_statement() {
    if (stream_.current().kind != TokenKind::kName) return stream_.unexpected("a tag's name");
    const std::string_view name = stream_.current().text;
    if (name == "if") return parse_if();
    if (name == "for") return parse_for();
    if (name == "set") return parse_set();
    if (name == "with") return parse_with();
    if (name == "macro") return parse_macro();
    if (name == "call") return parse_call();
    if (name == "filter") return parse_filter_block();
    if (name == "print") return parse_print();
    if (name == "generation") return parse_generation();
    if (name == "break" || name == "continue") return parse_jump();
    static constexpr std::string_view kUnsupported[] = {
        "block", "extends", "include", "import", "from", "autoescape", "do", "trans", "debug"};
    const bool known =
        std::find(std::begin(kUnsupported), std::end(kUnsupported), name) != std::end(kUnsupported);
    if (known) {
      return stream_.fail(Code::kUnsupported, fmt::format("tag '{}' is not supported", name));
    }
    return stream_.fail(Code::kBadFile, fmt::format("unexpected tag '{}'", name));
  }

  Result<StmtPtr> parse_if() {
    const bool guarded = stream_.set_guarded(true);
    Result<StmtPtr> node = parse_branches();
    stream_.set_guarded(guarded);
    return node;
  }

  Result<StmtPtr> parse_branches() {
    StmtPtr node = make(StmtKind::kIf);
    while (true) {
      stream_.advance();  // if, elif
      Branch branch;
      YQ_TRY(branch.condition, expressions_.parse_tuple(false));
      YQ_RETURN_IF_ERROR(end_tag());
      YQ_TRY(branch.body, parse_body({"endif", "else", "elif"}));
      node->branches.push_back(std::move(branch));
      if (!stream_.is_name("elif")) break;
    }
    if (stream_.take_name("else")) {
      YQ_RETURN_IF_ERROR(end_tag());
      Branch branch;
      YQ_TRY(branch.body, parse_body_to("endif"));
      node->branches.push_back(std::move(branch));
      return node;
    }
    stream_.advance();  // endif
    YQ_RETURN_IF_ERROR(end_tag());
    return node;
  }

  Result<StmtPtr> parse_for() {
    StmtPtr node = make(StmtKind::kFor);
    stream_.advance();
    YQ_TRY(node->target, expressions_.parse_target(false));
    if (!stream_.take_name("in")) return stream_.unexpected("'in'");
    YQ_TRY(node->value, expressions_.parse_tuple(false, "recursive"));
    if (stream_.take_name("if")) {
      YQ_TRY(node->condition, expressions_.parse_expression());
    }
    if (stream_.is_name("recursive")) {
      return stream_.fail(Code::kUnsupported, "recursive loops are not supported");
    }
    YQ_RETURN_IF_ERROR(end_tag());
    const bool guarded = stream_.set_guarded(false);
    ++loops_;
    YQ_TRY(node->body, parse_body({"endfor", "else"}));
    --loops_;
    stream_.set_guarded(guarded);
    if (stream_.take_name("else")) {
      YQ_RETURN_IF_ERROR(end_tag());
      YQ_TRY(node->other, parse_body_to("endfor"));
      return node;
    }
    stream_.advance();  // endfor
    YQ_RETURN_IF_ERROR(end_tag());
    return node;
  }

  Result<StmtPtr> parse_set() {
    StmtPtr node = make(StmtKind::kSet);
    stream_.advance();
    YQ_TRY(node->target, expressions_.parse_target(true));
    if (stream_.take_operator("=")) {
      YQ_TRY(node->value, expressions_.parse_tuple(true));
      YQ_RETURN_IF_ERROR(end_tag());
      return node;
    }
    node->kind = StmtKind::kSetBlock;
    if (stream_.is_operator("|")) {
      YQ_TRY(node->value, expressions_.parse_filters(nullptr, false));
    }
    YQ_RETURN_IF_ERROR(end_tag());
    YQ_TRY(node->body, parse_body_to("endset"));
    return node;
  }

  Result<StmtPtr> parse_with() {
    StmtPtr node = make(StmtKind::kWith);
    stream_.advance();
    while (stream_.current().kind != TokenKind::kBlockEnd) {
      if (!node->bindings.empty()) YQ_RETURN_IF_ERROR(stream_.expect_operator(","));
      auto target = std::make_unique<Expr>();
      target->kind = ExprKind::kName;
      target->line = stream_.line();
      YQ_TRY(target->name, expressions_.parse_name());
      YQ_RETURN_IF_ERROR(stream_.expect_operator("="));
      YQ_TRY(ExprPtr value, expressions_.parse_expression());
      node->bindings.emplace_back(std::move(target), std::move(value));
    }
    YQ_RETURN_IF_ERROR(end_tag());
    YQ_TRY(node->body, parse_body_to("endwith"));
    return node;
  }

  // (a, b=1): the parameters of a macro or a caller.
  Result<std::vector<Parameter>> parse_parameters() {
    YQ_RETURN_IF_ERROR(stream_.expect_operator("("));
    std::vector<Parameter> out;
    while (!stream_.is_operator(")")) {
      if (!out.empty()) YQ_RETURN_IF_ERROR(stream_.expect_operator(","));
      Parameter parameter;
      parameter.text = stream_.current().text;
      YQ_TRY(parameter.name, expressions_.parse_name());
      if (stream_.take_operator("=")) {
        YQ_TRY(parameter.fallback, expressions_.parse_expression());
      } else if (!out.empty() && out.back().fallback != nullptr) {
        return stream_.fail(Code::kBadFile, "a parameter without a default after one with it");
      }
      out.push_back(std::move(parameter));
    }
    stream_.advance();
    return out;
  }

  // A macro's body, and which of the implicit names it reads.
  Status parse_macro_body(Stmt& node, std::string_view end) {
    std::vector<bool>& read = stream_.tmpl().read;
    const bool before[] = {read[kCallerName], read[kVarargsName], read[kKwargsName]};
    read[kCallerName] = read[kVarargsName] = read[kKwargsName] = false;
    const int loops = std::exchange(loops_, 0);
    const bool guarded = stream_.set_guarded(false);
    YQ_TRY(node.body, parse_body_to(end));
    stream_.set_guarded(guarded);
    loops_ = loops;
    std::vector<bool>& after = stream_.tmpl().read;
    node.uses_caller = after[kCallerName];
    node.uses_varargs = after[kVarargsName];
    node.uses_kwargs = after[kKwargsName];
    if (before[0]) after[kCallerName] = true;
    if (before[1]) after[kVarargsName] = true;
    if (before[2]) after[kKwargsName] = true;
    return Status::ok();
  }

  Result<StmtPtr> parse_macro() {
    StmtPtr node = make(StmtKind::kMacro);
    stream_.advance();
    node->text = stream_.current().text;
    YQ_TRY(node->name, expressions_.parse_name());
    YQ_TRY(node->parameters, parse_parameters());
    YQ_RETURN_IF_ERROR(end_tag());
    YQ_RETURN_IF_ERROR(parse_macro_body(*node, "endmacro"));
    return node;
  }

  Result<StmtPtr> parse_call() {
    StmtPtr node = make(StmtKind::kCallBlock);
    node->text = "caller";
    stream_.advance();
    if (stream_.is_operator("(")) {
      YQ_TRY(node->parameters, parse_parameters());
    }
    YQ_TRY(node->value, expressions_.parse_expression());
    if (node->value->kind != ExprKind::kCall) return stream_.unexpected("a call");
    YQ_RETURN_IF_ERROR(end_tag());
    YQ_RETURN_IF_ERROR(parse_macro_body(*node, "endcall"));
    return node;
  }

  Result<StmtPtr> parse_filter_block() {
    StmtPtr node = make(StmtKind::kFilterBlock);
    stream_.advance();
    YQ_TRY(node->value, expressions_.parse_filters(nullptr, true));
    YQ_RETURN_IF_ERROR(end_tag());
    YQ_TRY(node->body, parse_body_to("endfilter"));
    return node;
  }

  Result<StmtPtr> parse_print() {
    return stream_.fail(Code::kUnsupported, "tag 'print' is not supported; write {{ ... }}");
  }

  Result<StmtPtr> parse_generation() {
    StmtPtr node = make(StmtKind::kScope);
    stream_.advance();
    YQ_RETURN_IF_ERROR(end_tag());
    const int loops = std::exchange(loops_, 0);
    YQ_TRY(node->body, parse_body_to("endgeneration"));
    loops_ = loops;
    return node;
  }

  Result<StmtPtr> parse_jump() {
    const bool is_break = stream_.is_name("break");
    if (loops_ == 0) return stream_.fail(Code::kBadFile, "break or continue outside a loop");
    StmtPtr node = make(is_break ? StmtKind::kBreak : StmtKind::kContinue);
    stream_.advance();
    YQ_RETURN_IF_ERROR(end_tag());
    return node;
  }

  TokenStream& stream_;
  ExpressionParser expressions_;
  int loops_ = 0;  // loops around the current statement
};

}  // namespace

NameId Template::intern(std::string_view name) {
  const auto [found, added] =
      name_ids.try_emplace(std::string(name), static_cast<NameId>(names.size()));
  if (added) {
    names.emplace_back(name);
    read.push_back(false);
  }
  return found->second;
}

NameId Template::find(std::string_view name) const {
  const auto found = name_ids.find(std::string(name));
  return found == name_ids.end() ? -1 : found->second;
}

Result<Template> parse_template(std::string_view source, int max_depth) {
  if (!is_valid_utf8(source)) {
    return error(Code::kBadFile, "chat template: want UTF-8, found other bytes");
  }
  Template out;
  for (const std::string_view name : {"loop", "caller", "varargs", "kwargs"}) out.intern(name);
  out.source = normalize_newlines(source);
  YQ_TRY(std::vector<Token> tokens, tokenize(out.source));
  TokenStream stream(out, std::move(tokens), max_depth);
  YQ_TRY(out.body, StatementParser(stream).parse_all());
  return out;
}

}  // namespace yunqi::jinja
