// Chat template source -> Template. Recursive descent with one nesting limit, after jinja2's
// grammar, quirks of precedence included. Pure function.
#pragma once

#include <string_view>

#include "base/result.h"
#include "text/jinja_ast.h"

namespace yunqi::jinja {

// Errors name line and column: kBadFile for syntax, kUnsupported for constructs, filters and tests
// that the subset lacks. Nothing nests deeper than `max_depth`.
Result<Template> parse_template(std::string_view source, int max_depth);

}  // namespace yunqi::jinja
