// The statements of a template: text, printing, branches, loops, assignments, blocks.
#include "text/jinja_interpreter.h"

namespace yunqi::jinja {

Result<TextBuilder> Interpreter::run() {
  TextBuilder out;
  out_ = &out;
  Scope& root = scopes_.emplace_back();
  YQ_RETURN_IF_ERROR(run_body(tmpl_.body, root).status());
  return out;
}

Scope& Interpreter::new_scope(Scope& parent) {
  Scope& scope = scopes_.emplace_back();
  scope.parent = &parent;
  return scope;
}

void Interpreter::set_name(Scope& scope, NameId name, const Value& value) {
  for (auto& [known, bound] : scope.names) {
    if (known == name) {
      bound = value;
      return;
    }
  }
  scope.names.emplace_back(name, value);
}

Result<Interpreter::Flow> Interpreter::run_body(const Body& body, Scope& scope) {
  if (depth_ >= kMaxEvaluationDepth) return template_error("the template nests too deeply");
  ++depth_;
  Result<Flow> flow = Flow::kNormal;
  for (const auto& stmt : body) {
    flow = run_statement(*stmt, scope);
    if (!flow.is_ok() || *flow != Flow::kNormal) break;
  }
  --depth_;
  return flow;
}

Result<Interpreter::Flow> Interpreter::run_statement(const Stmt& stmt, Scope& scope) {
  YQ_RETURN_IF_ERROR(runtime_.charge(1));
  switch (stmt.kind) {
    case StmtKind::kText:
      YQ_RETURN_IF_ERROR(check_output(stmt.text.size()));
      YQ_RETURN_IF_ERROR(runtime_.charge_text(stmt.text.size()));
      out_->append(stmt.text, false);
      break;
    case StmtKind::kPrint:
      YQ_RETURN_IF_ERROR(print(stmt, scope));
      break;
    case StmtKind::kIf:
      return run_if(stmt, scope);
    case StmtKind::kFor:
      return run_for(stmt, scope);
    case StmtKind::kSet: {
      YQ_TRY(const Value value, evaluate(*stmt.value, scope));
      YQ_RETURN_IF_ERROR(assign(*stmt.target, value, scope));
      break;
    }
    case StmtKind::kSetBlock:
      return run_set_block(stmt, scope);
    case StmtKind::kWith:
      return run_with(stmt, scope);
    case StmtKind::kMacro: {
      YQ_RETURN_IF_ERROR(runtime_.charge(kStepsPerObject));
      Value macro;
      macro.kind = Kind::kMacro;
      macro.macro = &macros_.emplace_back(MacroObject{&stmt, &scope});
      set_name(scope, stmt.name, macro);
      break;
    }
    case StmtKind::kCallBlock:
      YQ_RETURN_IF_ERROR(run_call_block(stmt, scope));
      break;
    case StmtKind::kFilterBlock:
      return run_filter_block(stmt, scope);
    case StmtKind::kScope:
      YQ_RETURN_IF_ERROR(runtime_.charge(kStepsPerObject));
      return run_body(stmt.body, new_scope(scope));
    case StmtKind::kBreak:
      return Flow::kBreak;
    case StmtKind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNormal;
}

Status Interpreter::print(const Stmt& stmt, Scope& scope) {
  YQ_TRY(const Value value, evaluate(*stmt.value, scope));
  YQ_TRY(const Str* text, to_str(runtime_, value));
  YQ_RETURN_IF_ERROR(check_output(text->text.size()));
  return append_str(runtime_, *out_, Value::of(text));
}

Status Interpreter::check_output(size_t more) const {
  const size_t limit = runtime_.limits().max_output_bytes;
  if (more <= limit && out_->size() <= limit - more) return Status::ok();
  return template_error("the output is over the template's limit of {} bytes", limit);
}

Result<Interpreter::Flow> Interpreter::run_if(const Stmt& stmt, Scope& scope) {
  for (const Branch& branch : stmt.branches) {
    if (branch.condition != nullptr) {
      YQ_TRY(const Value condition, evaluate(*branch.condition, scope));
      if (!truthy(condition)) continue;
    }
    return run_body(branch.body, scope);
  }
  return Flow::kNormal;
}

Result<Interpreter::Flow> Interpreter::run_for(const Stmt& stmt, Scope& scope) {
  YQ_TRY(const Value source, evaluate(*stmt.value, scope));
  LoopObject& loop = loops_.emplace_back();
  YQ_TRY(loop.source, iterate(runtime_, source));
  loop.stmt = &stmt;
  loop.scope = &scope;
  Value shown;
  shown.kind = Kind::kLoop;
  shown.loop = &loop;
  bool completed = false;  // jinja2 runs `else` unless some iteration ran to its end
  while (true) {
    YQ_TRY(const bool more, loop_fetch(loop));
    if (!more) break;
    YQ_RETURN_IF_ERROR(runtime_.charge(2 * kStepsPerObject));
    ++loop.index;
    loop.previous = loop.current;
    loop.current = loop.fetched.front();
    loop.fetched.pop_front();
    Scope& inner = new_scope(scope);
    set_name(inner, kLoopName, shown);
    YQ_RETURN_IF_ERROR(assign(*stmt.target, loop.current, inner));
    YQ_TRY(const Flow flow, run_body(stmt.body, inner));
    if (flow == Flow::kBreak) break;
    if (flow == Flow::kNormal) completed = true;
  }
  if (completed || stmt.other.empty()) return Flow::kNormal;
  return run_body(stmt.other, new_scope(scope));
}

Result<Interpreter::Flow> Interpreter::run_with(const Stmt& stmt, Scope& scope) {
  YQ_RETURN_IF_ERROR(runtime_.charge(kStepsPerObject));
  Scope& inner = new_scope(scope);
  for (const auto& [target, value] : stmt.bindings) {
    YQ_TRY(const Value bound, evaluate(*value, scope));
    set_name(inner, target->name, bound);
  }
  return run_body(stmt.body, inner);
}

Result<Interpreter::Flow> Interpreter::capture(const Body& body, Scope& scope, Value* text) {
  YQ_RETURN_IF_ERROR(runtime_.charge(kStepsPerObject));
  TextBuilder captured;
  TextBuilder* outer = std::exchange(out_, &captured);
  Result<Flow> flow = run_body(body, new_scope(scope));
  out_ = outer;
  if (flow.is_ok()) *text = runtime_.add(std::move(captured));
  return flow;
}

Result<Interpreter::Flow> Interpreter::run_set_block(const Stmt& stmt, Scope& scope) {
  Value text;
  YQ_TRY(const Flow flow, capture(stmt.body, scope, &text));
  if (flow != Flow::kNormal) return flow;
  if (stmt.value != nullptr) {
    YQ_TRY(text, apply_filters(*stmt.value, text, scope));
  }
  YQ_RETURN_IF_ERROR(assign(*stmt.target, text, scope));
  return Flow::kNormal;
}

Result<Interpreter::Flow> Interpreter::run_filter_block(const Stmt& stmt, Scope& scope) {
  Value text;
  YQ_TRY(const Flow flow, capture(stmt.body, scope, &text));
  if (flow != Flow::kNormal) return flow;
  YQ_TRY(const Value filtered, apply_filters(*stmt.value, text, scope));
  YQ_RETURN_IF_ERROR(append_str(runtime_, *out_, filtered));
  return Flow::kNormal;
}

Status Interpreter::run_call_block(const Stmt& stmt, Scope& scope) {
  YQ_RETURN_IF_ERROR(runtime_.charge(kStepsPerObject));
  Value caller;
  caller.kind = Kind::kMacro;
  caller.macro = &macros_.emplace_back(MacroObject{&stmt, &scope});
  YQ_TRY(const Value callee, evaluate(*stmt.value->items[0], scope));
  Arguments arguments;
  YQ_RETURN_IF_ERROR(collect_arguments(*stmt.value, scope, arguments));
  arguments.named.emplace_back("caller", caller);
  YQ_TRY(const Value result, call(callee, arguments));
  return append_str(runtime_, *out_, result);
}

Status Interpreter::assign(const Expr& target, const Value& value, Scope& scope) {
  if (target.kind == ExprKind::kName) {
    set_name(scope, target.name, value);
    return Status::ok();
  }
  if (target.kind == ExprKind::kAttribute) {
    const Value object = lookup(scope, target.name);
    if (!object.is(Kind::kNamespace)) {
      return template_error("line {}: cannot assign attribute on non-namespace object",
                            target.line);
    }
    if (target.text.starts_with('_')) {
      return template_error("line {}: a namespace's attribute can't begin with an underscore",
                            target.line);
    }
    return dict_set(runtime_, *object.dict, runtime_.add(target.str), value);
  }
  YQ_TRY(const std::vector<Value> items, iterate(runtime_, value));
  if (items.size() != target.items.size()) {
    return template_error("line {}: want {} values to unpack, found {}", target.line,
                          target.items.size(), items.size());
  }
  for (size_t i = 0; i < items.size(); ++i) {
    YQ_RETURN_IF_ERROR(assign(*target.items[i], items[i], scope));
  }
  return Status::ok();
}

}  // namespace yunqi::jinja
