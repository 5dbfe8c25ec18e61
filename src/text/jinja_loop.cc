// What `loop` shows, and the fetching behind it. As in jinja2 a loop's filter sees the template's
// state at the time its item is fetched: one ahead for loop.last and loop.nextitem, all the rest
// for loop.length.
#include "text/jinja_interpreter.h"

namespace yunqi::jinja {

Result<bool> Interpreter::loop_fetch(LoopObject& loop) {
  if (!loop.fetched.empty()) return true;
  while (loop.next < loop.source.size()) {
    const Value item = loop.source[loop.next++];
    YQ_RETURN_IF_ERROR(runtime_.charge(1));
    if (loop.stmt->condition != nullptr) {
      YQ_RETURN_IF_ERROR(runtime_.charge(kStepsPerObject));
      Scope& inner = new_scope(*loop.scope);
      YQ_RETURN_IF_ERROR(assign(*loop.stmt->target, item, inner));
      YQ_TRY(const Value keep, evaluate(*loop.stmt->condition, inner));
      if (!truthy(keep)) continue;
    }
    loop.fetched.push_back(item);
    return true;
  }
  return false;
}

Result<Value> Interpreter::loop_attribute(LoopObject& loop, std::string_view name) {
  if (name == "index") return Value::of(loop.index + 1);
  if (name == "index0") return Value::of(loop.index);
  if (name == "first") return Value::of(loop.index == 0);
  if (name == "depth") return Value::of(int64_t{1});
  if (name == "depth0") return Value::of(int64_t{0});
  if (name == "previtem") {
    if (loop.index > 0) return loop.previous;
    return runtime_.undefined("there is no previous item");
  }
  if (name == "last" || name == "nextitem") {
    YQ_TRY(const bool more, loop_fetch(loop));
    if (name == "last") return Value::of(!more);
    if (more) return loop.fetched.front();
    return runtime_.undefined("there is no next item");
  }
  if (name == "length" || name == "revindex" || name == "revindex0") {
    // Fetches the rest; each call below appends one more behind what is there already.
    std::deque<Value> rest;
    while (loop.next < loop.source.size()) {
      YQ_TRY(const bool more, loop_fetch(loop));
      if (!more) break;
      rest.push_back(loop.fetched.front());
      loop.fetched.pop_front();
    }
    if (!rest.empty()) {
      rest.insert(rest.end(), loop.fetched.begin(), loop.fetched.end());
      loop.fetched = std::move(rest);
    }
    const int64_t size = loop.index + 1 + static_cast<int64_t>(loop.fetched.size());
    if (name == "length") return Value::of(size);
    return Value::of(size - loop.index - (name == "revindex" ? 0 : 1));
  }
  Value self;
  self.kind = Kind::kLoop;
  self.loop = &loop;
  const Builtin* method = find_method(self, name);
  return method != nullptr ? runtime_.method(self, *method)
                           : runtime_.undefined(name, type_name(self));
}

}  // namespace yunqi::jinja
