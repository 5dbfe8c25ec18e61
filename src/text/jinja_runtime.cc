// One render's memory and limits: every allocation a template can cause is paid for here.
#include "text/jinja_runtime.h"

#include "text/jinja_builtin.h"

namespace yunqi::jinja {

Status Runtime::out_of_fuel() const {
  return template_error("the template ran for more than {} steps", limits_.max_steps);
}

Status Runtime::charge_text(uint64_t bytes) {
  if (bytes > limits_.max_output_bytes) {
    return template_error("a text of {} bytes is over the template's limit of {}", bytes,
                          limits_.max_output_bytes);
  }
  return charge(1 + bytes / kBytesPerStep);
}

Status Runtime::charge_items(uint64_t items) { return charge(kStepsPerObject + items); }

Status Runtime::check_depth(int depth) const {
  if (depth <= limits_.max_depth) return Status::ok();
  return template_error("values nested deeper than {}", limits_.max_depth);
}

Value Runtime::add(const Str& str) {
  debit(kStepsPerObject);
  return Value::of(&heap_.strs.emplace_back(str));
}

Value Runtime::borrow(std::string_view text, bool user) {
  Str str;
  str.text = text;
  str.user = user;
  return add(str);
}

Value Runtime::add(std::string text, bool user) {
  return borrow(heap_.buffers.emplace_back(std::move(text)), user);
}

Value Runtime::add(TextBuilder&& text, bool markup) {
  Str str;
  str.markup = markup;
  if (text.spans().size() == 1) {
    str.user = text.spans().front().user;
  } else if (text.spans().size() > 1) {
    str.user = true;  // Neighbouring spans differ, so one of them is the user's.
    debit(text.spans().size());
    str.spans = &heap_.spans.emplace_back(text.take_spans());
  }
  str.text = heap_.buffers.emplace_back(text.take_bytes());
  return add(str);
}

Value Runtime::substring(const Str& str, size_t position, size_t length) {
  return add(sub_str(str, position, length));
}

Value Runtime::list(std::vector<Value> items, Kind kind) {
  debit(kStepsPerObject);
  Value out;
  out.kind = kind;
  out.list = &heap_.lists.emplace_back(ListObject{std::move(items)});
  return out;
}

Value Runtime::dict(std::vector<DictItem> items, Kind kind) {
  debit(kStepsPerObject);
  Value out;
  out.kind = kind;
  out.dict = &heap_.dicts.emplace_back(DictObject{std::move(items)});
  return out;
}

Value Runtime::view(const DictObject& dict, DictView::Part part) {
  debit(kStepsPerObject);
  Value out;
  out.kind = Kind::kDictView;
  out.view = &heap_.views.emplace_back(DictView{&dict, part});
  return out;
}

Value Runtime::iterator(std::vector<Value> items) {
  debit(kStepsPerObject);
  Value out;
  out.kind = Kind::kIterator;
  out.iterator = &heap_.iterators.emplace_back(IteratorObject{std::move(items)});
  return out;
}

Value Runtime::range(const RangeObject& range) {
  debit(kStepsPerObject);
  Value out;
  out.kind = Kind::kRange;
  out.range = &heap_.ranges.emplace_back(range);
  return out;
}

Value Runtime::method(const Value& self, const Builtin& builtin) {
  debit(kStepsPerObject);
  Value out;
  out.kind = Kind::kMethod;
  out.method = &heap_.methods.emplace_back(MethodObject{self, &builtin});
  return out;
}

Value Runtime::cycler(std::vector<Value> items, Kind kind) {
  debit(kStepsPerObject);
  Value out;
  out.kind = kind;
  out.cycler = &heap_.cyclers.emplace_back(CyclerObject{std::move(items)});
  return out;
}

Value Runtime::undefined(std::string_view name, std::string_view owner, bool forbidden) {
  debit(kStepsPerObject);
  Value out;
  out.kind = Kind::kUndefined;
  out.undefined = &heap_.undefineds.emplace_back(UndefinedObject{name, owner, forbidden});
  return out;
}

Status undefined_error(const Value& value) {
  if (value.kind != Kind::kUndefined) return template_error("a value is undefined");
  const UndefinedObject& object = *value.undefined;
  if (object.forbidden) {
    return template_error("access to attribute '{}' of a {} is not allowed", object.name,
                          object.owner);
  }
  if (object.owner.empty()) return template_error("'{}' is undefined", object.name);
  return template_error("'{} object' has no attribute '{}'", object.owner, object.name);
}

}  // namespace yunqi::jinja
