// Literals of the template language: Python's string escapes and numbers. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/jinja_value.h"

namespace yunqi::jinja {

// Appends the text between a string's quotes, unescaped. False when an escape names no Unicode
// scalar value or is cut short.
bool append_unescaped(std::string& out, std::string_view text);

// nullopt when malformed or beyond int64.
std::optional<Value> parse_integer_literal(std::string_view text);
std::optional<Value> parse_float_literal(std::string_view text);

// As Python's float() and int() read a string: surrounding white space, signs, underscores.
std::optional<double> parse_python_float(std::string_view text);
std::optional<int64_t> parse_python_int(std::string_view text, int base);

}  // namespace yunqi::jinja
