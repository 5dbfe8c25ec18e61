// A parsed chat template: plain nodes, immutable after parsing, shared by all renders.
// Heights and nesting are bounded by the parser, so walking a tree can't exhaust the stack.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/jinja_value.h"

namespace yunqi::jinja {

struct Expr;
struct Stmt;
using ExprPtr = std::unique_ptr<Expr>;
using Body = std::vector<std::unique_ptr<Stmt>>;

enum class ExprKind : uint8_t {
  kConst,
  kName,
  kList,
  kTuple,
  kDict,        // items: key, value, key, value ...
  kArithmetic,  // items[0] ops[0] items[1] ops[1] ...: one level of precedence, from the left
  kConcat,      // ~
  kAnd,
  kOr,
  kNot,
  kNegate,
  kPlus,
  kCompare,      // items[0] ops[0] items[1] ...: a chain, as Python has it
  kConditional,  // items: condition, value, other (may be null)
  kAttribute,    // items[0].text
  kItem,         // items[0][items[1]]
  kSlice,        // start, stop, step (each may be null); only as the index of an item
  kCall,         // items[0](arguments)
  kFilter,       // items[0]|builtin(arguments); items[0] is null in a filter block
  kTest,         // items[0] is builtin(arguments)
};

enum class Op : uint8_t {
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kFloorDivide,
  kModulo,
  kPower,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn,
};

struct Argument {
  enum class Mode : uint8_t { kPositional, kNamed, kSpread, kSpreadNamed };
  Mode mode = Mode::kPositional;
  std::string name;
  ExprPtr value;
};

struct Expr {
  ExprKind kind = ExprKind::kConst;
  bool negated = false;  // of a test
  int line = 0;
  int height = 1;
  NameId name = -1;
  Value value;       // of a constant
  std::string text;  // of a string constant or an attribute
  Str str;           // `text` as a value
  std::vector<ExprPtr> items;
  std::vector<Op> ops;
  std::vector<Argument> arguments;
  const Builtin* builtin = nullptr;
};

enum class StmtKind : uint8_t {
  kText,
  kPrint,
  kIf,        // branches
  kFor,       // target in value if condition
  kSet,       // target = value
  kSetBlock,  // target = body, through the filter `value` (may be null)
  kWith,      // targets = values
  kMacro,
  kCallBlock,    // a macro (the caller) passed to the call `value`
  kFilterBlock,  // body through the filter `value`
  kScope,        // body in a scope of its own: {% generation %}
  kBreak,
  kContinue,
};

struct Branch {
  ExprPtr condition;  // null: else
  Body body;
};

struct Parameter {
  NameId name = -1;
  std::string text;
  ExprPtr fallback;  // null: none
};

struct Stmt {
  StmtKind kind = StmtKind::kText;
  bool uses_caller = false, uses_varargs = false, uses_kwargs = false;  // of a macro
  int line = 0;
  NameId name = -1;  // of a macro
  std::string text;  // of a text; of a macro, its name
  ExprPtr target;    // kName, kTuple or kList of targets, or kAttribute of a namespace's name
  ExprPtr value;
  ExprPtr condition;
  std::vector<Branch> branches;
  std::vector<std::pair<ExprPtr, ExprPtr>> bindings;  // of a with
  std::vector<Parameter> parameters;
  Body body;
  Body other;  // of a for: else
};

struct Template {
  std::string source;  // line ends normalised
  Body body;
  std::vector<std::string> names;  // by NameId
  std::unordered_map<std::string, NameId> name_ids;
  std::vector<bool> read;  // by NameId: some expression reads the variable

  NameId intern(std::string_view name);
  NameId find(std::string_view name) const;  // -1 when there is none
};

// Names every template may bind implicitly; interned first, in this order.
enum WellKnownName : NameId { kLoopName, kCallerName, kVarargsName, kKwargsName };

}  // namespace yunqi::jinja
