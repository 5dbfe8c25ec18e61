// Runs a parsed template: statements and expressions over a Runtime. One thread; lives for one
// render. Recursion is bounded by the template's height and a limit on macro calls.
#pragma once

#include <deque>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "text/jinja_ast.h"
#include "text/jinja_builtin.h"
#include "text/jinja_runtime.h"

namespace yunqi::jinja {

// Macros that call macros, at most so deep.
inline constexpr int kMaxCallDepth = 64;
// Evaluations inside one another, counted over all macro calls: bounds the stack.
inline constexpr int kMaxEvaluationDepth = 640;

// Names bound in one block; loops and macros make their own. Few names, so look-up is linear.
struct Scope {
  Scope* parent = nullptr;
  std::vector<std::pair<NameId, Value>> names;
};

struct MacroObject {
  const Stmt* node;
  Scope* scope;  // where it was defined
};

// The state of a running loop: what `loop` shows. Items pass the loop's filter when they are
// fetched, one ahead at most unless the template asks for the length.
struct LoopObject {
  std::vector<Value> source;
  size_t next = 0;  // in source
  const Stmt* stmt = nullptr;
  Scope* scope = nullptr;     // around the loop; the filter runs below it
  std::deque<Value> fetched;  // passed the filter, not yet current
  int64_t index = -1;         // of the current item, from 0
  Value previous, current;
  std::vector<Value> last_changed;  // loop.changed(): its last arguments
  bool changed_before = false;
};

class Interpreter {
 public:
  Interpreter(const Template& tmpl, Runtime& runtime) : tmpl_(tmpl), runtime_(runtime) {}

  // Makes `variables` the global scope; only what the template reads is converted.
  Status bind(const Json& variables);
  // The whole output.
  Result<TextBuilder> run();

 private:
  enum class Flow { kNormal, kBreak, kContinue };

  // jinja_convert.cc
  Result<Value> convert(const Json& json, bool user, int depth);
  Result<Value> convert_messages(const Json& messages);

  // jinja_interpreter.cc: statements
  Result<Flow> run_body(const Body& body, Scope& scope);
  Result<Flow> run_statement(const Stmt& stmt, Scope& scope);
  // Whether `more` bytes still fit in the output.
  Status check_output(size_t more) const;
  Status print(const Stmt& stmt, Scope& scope);
  Result<Flow> run_if(const Stmt& stmt, Scope& scope);
  Result<Flow> run_for(const Stmt& stmt, Scope& scope);
  Result<Flow> run_with(const Stmt& stmt, Scope& scope);
  Result<Flow> run_set_block(const Stmt& stmt, Scope& scope);
  Result<Flow> run_filter_block(const Stmt& stmt, Scope& scope);
  Status run_call_block(const Stmt& stmt, Scope& scope);
  // Runs `body` in a scope below `scope` with its output captured.
  Result<Flow> capture(const Body& body, Scope& scope, Value* text);
  Status assign(const Expr& target, const Value& value, Scope& scope);
  void set_name(Scope& scope, NameId name, const Value& value);
  Scope& new_scope(Scope& parent);

  // jinja_evaluate.cc: expressions
  Result<Value> evaluate(const Expr& expr, Scope& scope);
  Result<Value> dispatch(const Expr& expr, Scope& scope);
  Result<Value> evaluate_name(const Expr& expr, Scope& scope);
  Result<Value> evaluate_items(const Expr& expr, Scope& scope);
  Result<Value> evaluate_dict(const Expr& expr, Scope& scope);
  Result<Value> evaluate_arithmetic(const Expr& expr, Scope& scope);
  Result<Value> evaluate_concat(const Expr& expr, Scope& scope);
  Result<Value> evaluate_logic(const Expr& expr, Scope& scope);
  Result<Value> evaluate_compare(const Expr& expr, Scope& scope);
  Result<bool> compare(Op op, const Value& a, const Value& b);
  Result<Value> evaluate_conditional(const Expr& expr, Scope& scope);
  Result<Value> evaluate_attribute(const Expr& expr, Scope& scope);
  Result<Value> evaluate_item(const Expr& expr, Scope& scope);
  Result<Value> evaluate_call(const Expr& expr, Scope& scope);
  // Whether a filter or test that the parser let pass exists.
  static Status check_known(const Expr& expr);
  Result<Value> evaluate_filter(const Expr& expr, Scope& scope);
  // `expr`'s chain of filters applied to `text`, for filter blocks.
  Result<Value> apply_filters(const Expr& expr, const Value& text, Scope& scope);
  Result<Value> evaluate_test(const Expr& expr, Scope& scope);
  Status collect_arguments(const Expr& expr, Scope& scope, Arguments& out);
  Result<Value> call(const Value& callee, const Arguments& arguments);
  Result<Value> call_macro(const MacroObject& macro, const Arguments& arguments);
  Status bind_parameters(const MacroObject& macro, const Arguments& arguments, Scope& scope);
  Status bind_implicit(const MacroObject& macro, const Arguments& arguments,
                       const std::vector<bool>& taken, Scope& scope);
  Value lookup(const Scope& scope, NameId name) const;

  // jinja_loop.cc
  Result<Value> loop_attribute(LoopObject& loop, std::string_view name);
  // Makes sure one more item is fetched; false at the end.
  Result<bool> loop_fetch(LoopObject& loop);

  const Template& tmpl_;
  Runtime& runtime_;
  std::vector<Value> globals_;  // by NameId; missing: none
  std::deque<Scope> scopes_;
  std::deque<MacroObject> macros_;
  std::deque<LoopObject> loops_;
  TextBuilder* out_ = nullptr;
  int depth_ = 0, calls_ = 0;
};

}  // namespace yunqi::jinja
