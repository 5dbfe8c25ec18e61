// The expressions of a template, and calls of macros and builtins.
#include <algorithm>

#include "text/jinja_interpreter.h"

namespace yunqi::jinja {

Result<Value> Interpreter::evaluate(const Expr& expr, Scope& scope) {
  YQ_RETURN_IF_ERROR(runtime_.charge(1));
  if (expr.kind == ExprKind::kConst) return expr.value;
  if (depth_ >= kMaxEvaluationDepth) return template_error("the template nests too deeply");
  ++depth_;
  Result<Value> out = dispatch(expr, scope);
  --depth_;
  return out;
}

Result<Value> Interpreter::dispatch(const Expr& expr, Scope& scope) {
  switch (expr.kind) {
    case ExprKind::kConst:
      return expr.value;
    case ExprKind::kName:
      return evaluate_name(expr, scope);
    case ExprKind::kList:
    case ExprKind::kTuple:
      return evaluate_items(expr, scope);
    case ExprKind::kDict:
      return evaluate_dict(expr, scope);
    case ExprKind::kArithmetic:
      return evaluate_arithmetic(expr, scope);
    case ExprKind::kConcat:
      return evaluate_concat(expr, scope);
    case ExprKind::kAnd:
    case ExprKind::kOr:
      return evaluate_logic(expr, scope);
    case ExprKind::kNot: {
      YQ_TRY(const Value operand, evaluate(*expr.items[0], scope));
      return Value::of(!truthy(operand));
    }
    case ExprKind::kNegate:
    case ExprKind::kPlus: {
      YQ_TRY(const Value operand, evaluate(*expr.items[0], scope));
      return negate(operand, expr.kind == ExprKind::kNegate);
    }
    case ExprKind::kCompare:
      return evaluate_compare(expr, scope);
    case ExprKind::kConditional:
      return evaluate_conditional(expr, scope);
    case ExprKind::kAttribute:
      return evaluate_attribute(expr, scope);
    case ExprKind::kItem:
      return evaluate_item(expr, scope);
    case ExprKind::kCall:
      return evaluate_call(expr, scope);
    case ExprKind::kFilter:
      return evaluate_filter(expr, scope);
    case ExprKind::kTest:
      return evaluate_test(expr, scope);
    case ExprKind::kSlice:
      break;
  }
  return template_error("line {}: a slice outside an index", expr.line);
}

Value Interpreter::lookup(const Scope& scope, NameId name) const {
  for (const Scope* at = &scope; at != nullptr; at = at->parent) {
    for (const auto& [known, value] : at->names) {
      if (known == name) return value;
    }
  }
  return globals_[static_cast<size_t>(name)];
}

Result<Value> Interpreter::evaluate_name(const Expr& expr, Scope& scope) {
  const Value value = lookup(scope, expr.name);
  return value.given() ? value : runtime_.undefined(expr.text);
}

Result<Value> Interpreter::evaluate_items(const Expr& expr, Scope& scope) {
  YQ_RETURN_IF_ERROR(runtime_.charge_items(expr.items.size()));
  std::vector<Value> items;
  items.reserve(expr.items.size());
  for (const ExprPtr& item : expr.items) {
    YQ_TRY(const Value value, evaluate(*item, scope));
    items.push_back(value);
  }
  return runtime_.list(std::move(items), expr.kind == ExprKind::kList ? Kind::kList : Kind::kTuple);
}

Result<Value> Interpreter::evaluate_dict(const Expr& expr, Scope& scope) {
  const Value out = runtime_.dict({});
  for (size_t i = 0; i + 1 < expr.items.size(); i += 2) {
    YQ_TRY(const Value key, evaluate(*expr.items[i], scope));
    YQ_TRY(const Value value, evaluate(*expr.items[i + 1], scope));
    YQ_RETURN_IF_ERROR(dict_set(runtime_, *out.dict, key, value));
  }
  return out;
}

Result<Value> Interpreter::evaluate_arithmetic(const Expr& expr, Scope& scope) {
  YQ_TRY(Value left, evaluate(*expr.items[0], scope));
  for (size_t i = 0; i < expr.ops.size(); ++i) {
    YQ_TRY(const Value right, evaluate(*expr.items[i + 1], scope));
    // Op's arithmetic members come first, in Arithmetic's order.
    YQ_TRY(left, arithmetic(runtime_, static_cast<Arithmetic>(expr.ops[i]), left, right));
  }
  return left;
}

Result<Value> Interpreter::evaluate_concat(const Expr& expr, Scope& scope) {
  TextBuilder out;
  for (const ExprPtr& item : expr.items) {
    YQ_TRY(const Value value, evaluate(*item, scope));
    YQ_RETURN_IF_ERROR(append_str(runtime_, out, value));
  }
  return runtime_.add(std::move(out));
}

Result<Value> Interpreter::evaluate_logic(const Expr& expr, Scope& scope) {
  Value value;
  for (const ExprPtr& item : expr.items) {
    YQ_TRY(value, evaluate(*item, scope));
    if (truthy(value) == (expr.kind == ExprKind::kOr)) break;
  }
  return value;
}

Result<bool> Interpreter::compare(Op op, const Value& a, const Value& b) {
  switch (op) {
    case Op::kEqual:
      return equal(runtime_, a, b);
    case Op::kNotEqual: {
      YQ_TRY(const bool same, equal(runtime_, a, b));
      return !same;
    }
    case Op::kLess:
      return less(runtime_, a, b);
    case Op::kGreater:
      return less(runtime_, b, a);
    case Op::kLessEqual:
    case Op::kGreaterEqual: {
      const bool swapped = op == Op::kGreaterEqual;
      YQ_TRY(const bool below, less(runtime_, swapped ? b : a, swapped ? a : b));
      if (below) return true;
      return equal(runtime_, a, b);
    }
    case Op::kIn:
      return contains(runtime_, b, a);
    default: {
      YQ_TRY(const bool inside, contains(runtime_, b, a));
      return !inside;
    }
  }
}

Result<Value> Interpreter::evaluate_compare(const Expr& expr, Scope& scope) {
  YQ_TRY(Value left, evaluate(*expr.items[0], scope));
  for (size_t i = 0; i < expr.ops.size(); ++i) {
    YQ_TRY(const Value right, evaluate(*expr.items[i + 1], scope));
    YQ_TRY(const bool holds, compare(expr.ops[i], left, right));
    if (!holds) return Value::of(false);
    left = right;
  }
  return Value::of(true);
}

Result<Value> Interpreter::evaluate_conditional(const Expr& expr, Scope& scope) {
  YQ_TRY(const Value condition, evaluate(*expr.items[0], scope));
  if (truthy(condition)) return evaluate(*expr.items[1], scope);
  if (expr.items[2] != nullptr) return evaluate(*expr.items[2], scope);
  return runtime_.undefined("an if expression without else");
}

Result<Value> Interpreter::evaluate_attribute(const Expr& expr, Scope& scope) {
  YQ_TRY(const Value object, evaluate(*expr.items[0], scope));
  if (object.is(Kind::kLoop)) return loop_attribute(*object.loop, expr.text);
  return get_attribute(runtime_, object, expr.str);
}

Result<Value> Interpreter::evaluate_item(const Expr& expr, Scope& scope) {
  YQ_TRY(const Value object, evaluate(*expr.items[0], scope));
  const Expr& index = *expr.items[1];
  if (index.kind != ExprKind::kSlice) {
    YQ_TRY(const Value key, evaluate(index, scope));
    if (object.is(Kind::kLoop) && key.is_string()) {
      return loop_attribute(*object.loop, key.str->text);
    }
    return get_item(runtime_, object, key);
  }
  SliceBounds bounds;
  Value* const parts[] = {&bounds.start, &bounds.stop, &bounds.step};
  for (size_t i = 0; i < 3; ++i) {
    if (index.items[i] == nullptr) continue;
    YQ_TRY(*parts[i], evaluate(*index.items[i], scope));
  }
  return get_slice(runtime_, object, bounds);
}

Status Interpreter::collect_arguments(const Expr& expr, Scope& scope, Arguments& out) {
  for (const Argument& argument : expr.arguments) {
    YQ_TRY(const Value value, evaluate(*argument.value, scope));
    switch (argument.mode) {
      case Argument::Mode::kPositional:
        out.positional.push_back(value);
        break;
      case Argument::Mode::kNamed:
        out.named.emplace_back(argument.name, value);
        break;
      case Argument::Mode::kSpread: {
        YQ_TRY(const std::vector<Value> items, iterate(runtime_, value));
        out.positional.insert(out.positional.end(), items.begin(), items.end());
        break;
      }
      case Argument::Mode::kSpreadNamed:
        if (!value.is(Kind::kDict)) {
          return template_error("line {}: argument after ** must be a mapping", expr.line);
        }
        for (const auto& [key, item] : value.dict->items) {
          YQ_RETURN_IF_ERROR(runtime_.charge(1));
          if (!key.is_string()) return template_error("keywords must be strings");
          out.named.emplace_back(key.str->text, item);
        }
    }
  }
  return Status::ok();
}

Result<Value> Interpreter::evaluate_call(const Expr& expr, Scope& scope) {
  YQ_TRY(const Value callee, evaluate(*expr.items[0], scope));
  Arguments arguments;
  YQ_RETURN_IF_ERROR(collect_arguments(expr, scope, arguments));
  return call(callee, arguments);
}

Result<Value> Interpreter::call(const Value& callee, const Arguments& arguments) {
  YQ_RETURN_IF_ERROR(runtime_.charge(2));
  switch (callee.kind) {
    case Kind::kMacro:
      return call_macro(*callee.macro, arguments);
    case Kind::kFunction:
      return call_builtin(runtime_, *callee.function, Value(), arguments);
    case Kind::kMethod:
      return call_builtin(runtime_, *callee.method->builtin, callee.method->self, arguments);
    case Kind::kJoiner: {
      CyclerObject& joiner = *callee.cycler;
      if (joiner.position++ == 0) return runtime_.borrow("");
      return joiner.items[0];
    }
    case Kind::kUndefined:
      return undefined_error(callee);
    default:
      return template_error("'{}' object is not callable", type_name(callee));
  }
}

Result<Value> Interpreter::call_macro(const MacroObject& macro, const Arguments& arguments) {
  if (calls_ >= kMaxCallDepth) {
    return template_error("macro '{}' is called deeper than {}", macro.node->text, kMaxCallDepth);
  }
  YQ_RETURN_IF_ERROR(runtime_.charge(2 * kStepsPerObject));
  Scope& scope = new_scope(*macro.scope);
  YQ_RETURN_IF_ERROR(bind_parameters(macro, arguments, scope));
  TextBuilder text;
  TextBuilder* outer = std::exchange(out_, &text);
  ++calls_;
  const Result<Flow> flow = run_body(macro.node->body, scope);
  --calls_;
  out_ = outer;
  if (!flow.is_ok()) return flow.status();
  return runtime_.add(std::move(text));
}

Status Interpreter::bind_parameters(const MacroObject& macro, const Arguments& arguments,
                                    Scope& scope) {
  const auto& parameters = macro.node->parameters;
  std::vector<bool> taken(arguments.named.size(), false);
  std::vector<const Expr*> fallbacks(parameters.size(), nullptr);
  for (size_t i = 0; i < parameters.size(); ++i) {
    Value value;
    if (i < arguments.positional.size()) {
      value = arguments.positional[i];
    } else {
      for (size_t k = 0; k < arguments.named.size(); ++k) {
        if (arguments.named[k].first != parameters[i].text) continue;
        value = arguments.named[k].second;
        taken[k] = true;
      }
    }
    if (!value.given()) {
      fallbacks[i] = parameters[i].fallback.get();
      value = runtime_.undefined(parameters[i].text);
      if (fallbacks[i] != nullptr) continue;
    }
    set_name(scope, parameters[i].name, value);
  }
  YQ_RETURN_IF_ERROR(bind_implicit(macro, arguments, taken, scope));
  // Defaults see the other parameters, as in jinja2.
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (fallbacks[i] == nullptr) continue;
    YQ_TRY(const Value value, evaluate(*fallbacks[i], scope));
    set_name(scope, parameters[i].name, value);
  }
  return Status::ok();
}

Status Interpreter::bind_implicit(const MacroObject& macro, const Arguments& arguments,
                                  const std::vector<bool>& taken, Scope& scope) {
  const Stmt& node = *macro.node;
  std::vector<DictItem> rest;
  Value caller;
  for (size_t k = 0; k < arguments.named.size(); ++k) {
    if (taken[k]) continue;
    const auto& [name, value] = arguments.named[k];
    if (node.uses_caller && name == "caller") {
      caller = value;
    } else if (node.uses_kwargs) {
      rest.emplace_back(runtime_.borrow(name), value);
    } else {
      return template_error("macro '{}' takes no keyword argument '{}'", node.text, name);
    }
  }
  if (node.uses_caller) {
    set_name(scope, kCallerName, caller.given() ? caller : runtime_.undefined("caller"));
  }
  if (node.uses_kwargs) set_name(scope, kKwargsName, runtime_.dict(std::move(rest)));
  const size_t wanted = node.parameters.size();
  std::vector<Value> extra;
  if (arguments.positional.size() > wanted) {
    extra.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(wanted),
                 arguments.positional.end());
  }
  if (node.uses_varargs) {
    set_name(scope, kVarargsName, runtime_.tuple(std::move(extra)));
  } else if (!extra.empty()) {
    return template_error("macro '{}' takes not more than {} argument(s)", node.text, wanted);
  }
  return Status::ok();
}

Status Interpreter::check_known(const Expr& expr) {
  if (expr.builtin != nullptr) return Status::ok();
  return error(Code::kUnsupported, "chat template line {}: there is no {} '{}'", expr.line,
               expr.kind == ExprKind::kFilter ? "filter" : "test", expr.text);
}

Result<Value> Interpreter::evaluate_filter(const Expr& expr, Scope& scope) {
  YQ_RETURN_IF_ERROR(check_known(expr));
  YQ_TRY(const Value value, evaluate(*expr.items[0], scope));
  Arguments arguments;
  YQ_RETURN_IF_ERROR(collect_arguments(expr, scope, arguments));
  return call_builtin(runtime_, *expr.builtin, value, arguments);
}

Result<Value> Interpreter::apply_filters(const Expr& expr, const Value& text, Scope& scope) {
  std::vector<const Expr*> chain;  // from the last filter to the first
  for (const Expr* at = &expr; at != nullptr; at = at->items[0].get()) chain.push_back(at);
  Value value = text;
  for (auto filter = chain.rbegin(); filter != chain.rend(); ++filter) {
    YQ_RETURN_IF_ERROR(check_known(**filter));
    Arguments arguments;
    YQ_RETURN_IF_ERROR(collect_arguments(**filter, scope, arguments));
    YQ_TRY(value, call_builtin(runtime_, *(*filter)->builtin, value, arguments));
  }
  return value;
}

Result<Value> Interpreter::evaluate_test(const Expr& expr, Scope& scope) {
  YQ_RETURN_IF_ERROR(check_known(expr));
  YQ_TRY(const Value value, evaluate(*expr.items[0], scope));
  Arguments arguments;
  YQ_RETURN_IF_ERROR(collect_arguments(expr, scope, arguments));
  YQ_TRY(const Value holds, call_builtin(runtime_, *expr.builtin, value, arguments));
  return expr.negated ? Value::of(!truthy(holds)) : holds;
}

}  // namespace yunqi::jinja
