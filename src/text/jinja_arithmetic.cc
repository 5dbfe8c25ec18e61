// Python's arithmetic over 64-bit integers (overflow is an error), floats, strings and lists.
#include <cmath>

#include "base/checked_math.h"
#include "text/jinja_runtime.h"

namespace yunqi::jinja {
namespace {

constexpr const char* kSymbols[] = {"+", "-", "*", "/", "//", "%", "** or pow()"};

Status overflow() { return template_error("an integer went beyond 64 bits"); }
Status by_zero(Arithmetic op) {
  return op == Arithmetic::kModulo ? template_error("integer modulo by zero")
                                   : template_error("division by zero");
}

Status bad_operands(Arithmetic op, const Value& a, const Value& b) {
  for (const Value* value : {&a, &b}) {
    if (value->is(Kind::kUndefined)) return undefined_error(*value);
  }
  return template_error("unsupported operand type(s) for {}: '{}' and '{}'",
                        kSymbols[static_cast<int>(op)], type_name(a), type_name(b));
}

Result<Value> checked(std::optional<int64_t> value) {
  if (!value) return overflow();
  return Value::of(*value);
}

std::optional<int64_t> checked_subtract(int64_t a, int64_t b) {
  int64_t out = 0;
  if (__builtin_sub_overflow(a, b, &out)) return std::nullopt;
  return out;
}

Result<Value> float_power(double base, double exponent) {
  if (base == 0 && exponent < 0) {
    return template_error("0.0 cannot be raised to a negative power");
  }
  if (base < 0 && exponent != std::floor(exponent)) {
    return template_error("complex numbers are not supported");
  }
  const double out = std::pow(base, exponent);
  if (std::isinf(out) && std::isfinite(base) && std::isfinite(exponent)) {
    return template_error("numerical result out of range");
  }
  return Value::of(out);
}

Result<Value> integer_power(int64_t base, int64_t exponent) {
  if (exponent < 0) return float_power(static_cast<double>(base), static_cast<double>(exponent));
  int64_t out = 1;
  while (exponent > 0) {
    if (exponent & 1) {
      const auto next = checked_mul(out, base);
      if (!next) return overflow();
      out = *next;
    }
    exponent >>= 1;
    if (exponent > 0) {
      const auto square = checked_mul(base, base);
      if (!square) return overflow();
      base = *square;
    }
  }
  return Value::of(out);
}

Result<Value> integer_arithmetic(Arithmetic op, int64_t a, int64_t b) {
  switch (op) {
    case Arithmetic::kAdd:
      return checked(checked_add(a, b));
    case Arithmetic::kSubtract:
      return checked(checked_subtract(a, b));
    case Arithmetic::kMultiply:
      return checked(checked_mul(a, b));
    case Arithmetic::kDivide:
      if (b == 0) return by_zero(op);
      return Value::of(static_cast<double>(a) / static_cast<double>(b));
    case Arithmetic::kFloorDivide: {
      if (b == 0) return by_zero(op);
      if (b == -1) return checked(checked_subtract(0, a));
      const int64_t quotient = a / b;
      return Value::of(a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient);
    }
    case Arithmetic::kModulo: {
      if (b == 0) return by_zero(op);
      if (b == -1) return Value::of(int64_t{0});
      const int64_t rest = a % b;
      return Value::of(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
    }
    case Arithmetic::kPower:
      return integer_power(a, b);
  }
  return overflow();
}

// The remainder with the divisor's sign.
double python_modulo(double a, double b) {
  double rest = std::fmod(a, b);
  if (rest != 0) {
    if ((b < 0) != (rest < 0)) rest += b;
  } else {
    rest = std::copysign(0.0, b);
  }
  return rest;
}

double python_floor_divide(double a, double b) {
  const double rest = std::fmod(a, b);
  double quotient = (a - rest) / b;
  if (rest != 0 && (b < 0) != (rest < 0)) quotient -= 1;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floor = std::floor(quotient);
  return quotient - floor > 0.5 ? floor + 1 : floor;
}

Result<Value> float_arithmetic(Arithmetic op, double a, double b) {
  switch (op) {
    case Arithmetic::kAdd:
      return Value::of(a + b);
    case Arithmetic::kSubtract:
      return Value::of(a - b);
    case Arithmetic::kMultiply:
      return Value::of(a * b);
    case Arithmetic::kPower:
      return float_power(a, b);
    default:
      break;
  }
  if (b == 0) return by_zero(op);
  if (op == Arithmetic::kDivide) return Value::of(a / b);
  return Value::of(op == Arithmetic::kModulo ? python_modulo(a, b) : python_floor_divide(a, b));
}

Result<Value> repeat(Runtime& runtime, const Value& value, int64_t count) {
  const auto times = static_cast<uint64_t>(count < 0 ? 0 : count);
  if (value.is_string()) {
    const auto bytes = checked_mul<uint64_t>(value.str->text.size(), times);
    YQ_RETURN_IF_ERROR(runtime.charge_text(bytes.value_or(UINT64_MAX)));
    TextBuilder out;
    if (*bytes > 0) {
      for (uint64_t i = 0; i < times; ++i) out.append(*value.str);
    }
    return runtime.add(std::move(out), value.str->markup);
  }
  const auto size = checked_mul<uint64_t>(value.list->items.size(), times);
  YQ_RETURN_IF_ERROR(runtime.charge_items(size.value_or(UINT64_MAX - kStepsPerObject)));
  std::vector<Value> items;
  if (*size > 0) {
    for (uint64_t i = 0; i < times; ++i) {
      items.insert(items.end(), value.list->items.begin(), value.list->items.end());
    }
  }
  return runtime.list(std::move(items), value.kind);
}

Result<Value> add_strings(Runtime& runtime, const Str& a, const Str& b) {
  const bool markup = a.markup || b.markup;
  const Str left = markup && !a.markup ? *escape_html(runtime, a).str : a;
  const Str right = markup && !b.markup ? *escape_html(runtime, b).str : b;
  YQ_RETURN_IF_ERROR(runtime.charge_text(left.text.size() + right.text.size()));
  TextBuilder out;
  out.append(left);
  out.append(right);
  return runtime.add(std::move(out), markup);
}

}  // namespace

Result<Value> add_values(Runtime& runtime, const Value& a, const Value& b) {
  if (a.is_string() && b.is_string()) return add_strings(runtime, *a.str, *b.str);
  if (a.is_sequence() && a.kind == b.kind) {
    YQ_RETURN_IF_ERROR(runtime.charge_items(a.list->items.size() + b.list->items.size()));
    std::vector<Value> items = a.list->items;
    items.insert(items.end(), b.list->items.begin(), b.list->items.end());
    return runtime.list(std::move(items), a.kind);
  }
  if (a.is_string() && !b.is(Kind::kUndefined)) {
    return template_error("can only concatenate str (not \"{}\") to str", type_name(b));
  }
  return bad_operands(Arithmetic::kAdd, a, b);
}

Result<Value> arithmetic(Runtime& runtime, Arithmetic op, const Value& a, const Value& b) {
  YQ_RETURN_IF_ERROR(runtime.charge(1));
  if (a.is_integral() && b.is_integral()) {
    return integer_arithmetic(op, a.as_integer(), b.as_integer());
  }
  if (a.is_number() && b.is_number()) return float_arithmetic(op, a.as_double(), b.as_double());
  if (op == Arithmetic::kAdd) return add_values(runtime, a, b);
  if (op == Arithmetic::kMultiply) {
    const bool a_repeats = a.is_string() || a.is_sequence();
    const bool b_repeats = b.is_string() || b.is_sequence();
    if (a_repeats && b.is_integral()) return repeat(runtime, a, b.as_integer());
    if (b_repeats && a.is_integral()) return repeat(runtime, b, a.as_integer());
  }
  if (op == Arithmetic::kModulo && a.is_string()) return percent_format(runtime, *a.str, b);
  return bad_operands(op, a, b);
}

Result<Value> negate(const Value& value, bool minus) {
  if (value.is(Kind::kFloat)) return Value::of(minus ? -value.real : value.real);
  if (value.is_integral()) {
    return minus ? checked(checked_subtract(0, value.as_integer()))
                 : Result<Value>(Value::of(value.as_integer()));
  }
  if (value.is(Kind::kUndefined)) return undefined_error(value);
  return template_error("bad operand type for unary {}: '{}'", minus ? '-' : '+', type_name(value));
}

}  // namespace yunqi::jinja
