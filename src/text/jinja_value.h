// The values a chat template computes with: Python's, as far as templates can tell. Values are
// small handles; what they point to lives in the Heap of one render and dies with it, so values
// may form any graph. Strings remember which of their bytes came from the user. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace yunqi::jinja {

using NameId = int32_t;

enum class Kind : uint8_t {
  kMissing,  // no value at all: an argument that was not given, a name without a binding
  kUndefined,
  kNone,
  kBool,
  kInt,
  kBigInt,  // an integer above int64's range, from JSON: it can be printed and compared, no more
  kFloat,
  kString,
  kList,
  kTuple,
  kDict,
  kDictView,
  kRange,
  kIterator,
  kNamespace,
  kMacro,
  kFunction,
  kMethod,
  kLoop,
  kCycler,
  kJoiner,
};

// The bytes up to `end` (and after the span before) came from the user, or did not.
struct TaintSpan {
  size_t end;
  bool user;
};

// A string, or a part of one: `spans`, when set, cover a buffer in which `text` begins at `base`.
struct Str {
  std::string_view text;
  const std::vector<TaintSpan>* spans = nullptr;
  size_t base = 0;
  bool user = false;    // without spans: all bytes came from the user; with spans: some did
  bool markup = false;  // Python's Markup: adding to it escapes the other side
};

struct ListObject;
struct DictObject;
struct DictView;
struct RangeObject;
struct IteratorObject;
struct MacroObject;
struct MethodObject;
struct LoopObject;
struct CyclerObject;
struct UndefinedObject;
struct Builtin;

struct Value {
  Kind kind = Kind::kMissing;
  union {
    bool boolean;
    int64_t integer;
    uint64_t natural;
    double real;
    const Str* str;
    const ListObject* list;
    DictObject* dict;  // of a dict or a namespace; only a namespace changes
    const DictView* view;
    const RangeObject* range;
    IteratorObject* iterator;
    const MacroObject* macro;
    const Builtin* function;
    const MethodObject* method;
    LoopObject* loop;
    CyclerObject* cycler;  // also a joiner
    const UndefinedObject* undefined;
  };

  Value() : integer(0) {}
  static Value none();
  static Value of(bool value);
  static Value of(int64_t value);
  static Value of(uint64_t value);
  static Value of(double value);
  static Value of(const Str* value);

  bool is(Kind other) const { return kind == other; }
  bool given() const { return kind != Kind::kMissing; }
  bool is_string() const { return kind == Kind::kString; }
  bool is_sequence() const { return kind == Kind::kList || kind == Kind::kTuple; }
  // int or bool, which is an int to Python.
  bool is_integral() const { return kind == Kind::kInt || kind == Kind::kBool; }
  bool is_number() const { return is_integral() || kind == Kind::kFloat; }
  int64_t as_integer() const { return kind == Kind::kBool ? int64_t{boolean} : integer; }
  double as_double() const;  // of a number
};

struct ListObject {
  std::vector<Value> items;
};

using DictItem = std::pair<Value, Value>;

struct DictObject {
  std::vector<DictItem> items;  // order of insertion; keys are hashable and distinct
};

struct DictView {
  enum class Part { kKeys, kValues, kItems };
  const DictObject* dict;
  Part part;
};

struct RangeObject {
  int64_t start, stop, step;
  int64_t length() const;
};

// What map(), select() and the like give: items that can be walked once.
struct IteratorObject {
  std::vector<Value> items;
  bool used = false;
};

struct MethodObject {
  Value self;
  const Builtin* builtin;
};

struct CyclerObject {
  std::vector<Value> items;  // of a joiner: its separator
  size_t position = 0;
};

struct UndefinedObject {
  std::string_view name;   // of the variable or attribute
  std::string_view owner;  // type of the object that lacks it; empty for a variable
  bool forbidden = false;  // exists in Python, but is not for templates
};

// Text under construction, with its marks.
class TextBuilder {
 public:
  void append(std::string_view text, bool user);
  void append(const Str& str);
  // Moves `other`'s text to the end of this one.
  void append(TextBuilder&& other);
  size_t size() const { return bytes_.size(); }
  const std::string& bytes() const { return bytes_; }
  const std::vector<TaintSpan>& spans() const { return spans_; }
  std::string take_bytes() { return std::move(bytes_); }
  std::vector<TaintSpan> take_spans() { return std::move(spans_); }

 private:
  std::string bytes_;
  std::vector<TaintSpan> spans_;  // merged: neighbours differ
};

// Calls visit(text, user) for each part of `str` between two changes of its mark.
template <typename Visit>
void for_each_span(const Str& str, Visit&& visit);

// Part of a string; shares its bytes and marks. `position` + `length` are within it.
Str sub_str(const Str& str, size_t position, size_t length);

// Owns what the values of one render point to.
struct Heap {
  std::deque<std::string> buffers;
  std::deque<std::vector<TaintSpan>> spans;
  std::deque<Str> strs;
  std::deque<ListObject> lists;
  std::deque<DictObject> dicts;
  std::deque<DictView> views;
  std::deque<RangeObject> ranges;
  std::deque<IteratorObject> iterators;
  std::deque<MethodObject> methods;
  std::deque<CyclerObject> cyclers;
  std::deque<UndefinedObject> undefineds;
};

// "str", "int", "dict", "NoneType": Python's name, for messages.
std::string_view type_name(const Value& value);

// Python's truth of a value.
bool truthy(const Value& value);

template <typename Visit>
void for_each_span(const Str& str, Visit&& visit) {
  if (str.spans == nullptr) {
    if (!str.text.empty()) visit(str.text, str.user);
    return;
  }
  const size_t end = str.base + str.text.size();
  size_t at = str.base;
  // Binary search for the first span that ends after the beginning.
  size_t low = 0, high = str.spans->size();
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if ((*str.spans)[middle].end <= at) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  for (size_t i = low; i < str.spans->size() && at < end; ++i) {
    const size_t stop = (*str.spans)[i].end < end ? (*str.spans)[i].end : end;
    visit(str.text.substr(at - str.base, stop - at), (*str.spans)[i].user);
    at = stop;
  }
}

}  // namespace yunqi::jinja
