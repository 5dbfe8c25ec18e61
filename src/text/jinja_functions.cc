// The global functions of a template, and the methods of its containers.
#include <fmt/format.h>

#include <algorithm>

#include "text/jinja_builtin.h"
#include "text/jinja_interpreter.h"
#include "text/jinja_runtime.h"

namespace yunqi::jinja {
namespace {

// Ends of a range; beyond them its items could wrap.
constexpr int64_t kMaxRangeEnd = int64_t{1} << 53;

Result<int64_t> range_argument(const Value& value) {
  if (value.is(Kind::kUndefined)) return undefined_error(value);
  if (!value.is_integral()) {
    return template_error("'{}' object cannot be interpreted as an integer", type_name(value));
  }
  const int64_t out = value.as_integer();
  if (out > kMaxRangeEnd || out < -kMaxRangeEnd) return template_error("range is too big");
  return out;
}

Result<Value> range(Runtime& runtime, const Call& call) {
  RangeObject out{0, 0, 1};
  YQ_TRY(out.stop, range_argument(call[0]));
  if (call[1].given()) {
    out.start = out.stop;
    YQ_TRY(out.stop, range_argument(call[1]));
  }
  if (call[2].given()) {
    YQ_TRY(out.step, range_argument(call[2]));
  }
  if (out.step == 0) return template_error("range() arg 3 must not be zero");
  if (out.length() > kMaxRange) {
    return template_error("range too big; the sandbox blocks ranges longer than {}", kMaxRange);
  }
  return runtime.range(out);
}

// dict(mapping or pairs, **names)
Result<Value> make_dict(Runtime& runtime, const Call& call, Kind kind) {
  if (call.all.positional.size() > 1) {
    return template_error("expected at most 1 argument, got {}", call.all.positional.size());
  }
  const Value out = runtime.dict({}, kind);
  if (!call.all.positional.empty()) {
    const Value& from = call.all.positional[0];
    if (from.is(Kind::kDict)) {
      YQ_RETURN_IF_ERROR(runtime.charge_items(2 * from.dict->items.size()));
      out.dict->items = from.dict->items;
    } else {
      YQ_TRY(const std::vector<Value> pairs, iterate(runtime, from));
      for (const Value& item : pairs) {
        YQ_TRY(const std::vector<Value> pair, iterate(runtime, item));
        if (pair.size() != 2) return template_error("want pairs to make a dict of");
        YQ_RETURN_IF_ERROR(dict_set(runtime, *out.dict, pair[0], pair[1]));
      }
    }
  }
  for (const auto& [name, value] : call.all.named) {
    YQ_RETURN_IF_ERROR(dict_set(runtime, *out.dict, runtime.borrow(name), value));
  }
  if (kind == Kind::kNamespace) {
    for (const auto& item : out.dict->items) {
      if (item.first.is_string() && item.first.str->text.starts_with('_')) {
        return template_error("a namespace's attribute can't begin with an underscore");
      }
    }
  }
  return out;
}
Result<Value> dict(Runtime& runtime, const Call& call) {
  return make_dict(runtime, call, Kind::kDict);
}
Result<Value> make_namespace(Runtime& runtime, const Call& call) {
  return make_dict(runtime, call, Kind::kNamespace);
}

Result<Value> raise_exception(Runtime& runtime, const Call& call) {
  YQ_TRY(const Str* message, to_str(runtime, call[0]));
  return template_error("{}", message->text);
}

Result<Value> cycler(Runtime& runtime, const Call& call) {
  if (call.all.positional.empty()) return template_error("at least one item has to be provided");
  return runtime.cycler(call.all.positional, Kind::kCycler);
}

Result<Value> joiner(Runtime& runtime, const Call& call) {
  const Value separator = call[0].given() ? call[0] : runtime.borrow(", ");
  return runtime.cycler({separator}, Kind::kJoiner);
}

// A day's date from days since 1970-01-01 in the proleptic Gregorian calendar; the year is taken
// to begin in March, so that a leap day is its last.
struct Date {
  int64_t year;
  int month, day;         // from 1
  int weekday, year_day;  // from Sunday, 0; from 1
};

bool is_leap(int64_t year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

Date date_of(int64_t days) {
  constexpr int64_t kDaysPerEra = 146'097;  // 400 years
  const int64_t shifted = days + 719'468;   // since 0000-03-01
  const int64_t era = (shifted >= 0 ? shifted : shifted - (kDaysPerEra - 1)) / kDaysPerEra;
  const int64_t day_of_era = shifted - era * kDaysPerEra;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t month = (5 * day_of_year + 2) / 153;
  Date out{};
  out.day = static_cast<int>(day_of_year - (153 * month + 2) / 5) + 1;
  out.month = static_cast<int>(month < 10 ? month + 3 : month - 9);
  out.year = year_of_era + era * 400 + (out.month <= 2 ? 1 : 0);
  out.weekday = static_cast<int>(((days % 7) + 7 + 4) % 7);
  const int64_t since_march = day_of_year + 1;
  out.year_day = static_cast<int>(out.month <= 2 ? since_march - 306
                                                 : since_march + 59 + (is_leap(out.year) ? 1 : 0));
  return out;
}

constexpr std::string_view kMonths[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};
constexpr std::string_view kDays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                      "Thursday", "Friday", "Saturday"};

// One directive of strftime in the C locale; empty when it is not one of ours.
std::string time_field(char directive, const Date& date, int64_t second_of_day) {
  const int64_t hour = second_of_day / 3600, minute = second_of_day / 60 % 60;
  const auto field = [&](char inner) { return time_field(inner, date, second_of_day); };
  switch (directive) {
    case 'Y':
      return fmt::format("{:04}", date.year);
    case 'y':
      return fmt::format("{:02}", date.year % 100);
    case 'm':
      return fmt::format("{:02}", date.month);
    case 'B':
      return std::string(kMonths[date.month - 1]);
    case 'b':
    case 'h':
      return std::string(kMonths[date.month - 1].substr(0, 3));
    case 'd':
      return fmt::format("{:02}", date.day);
    case 'e':
      return fmt::format("{:2}", date.day);
    case 'j':
      return fmt::format("{:03}", date.year_day);
    case 'A':
      return std::string(kDays[date.weekday]);
    case 'a':
      return std::string(kDays[date.weekday].substr(0, 3));
    case 'w':
      return fmt::format("{}", date.weekday);
    case 'u':
      return fmt::format("{}", date.weekday == 0 ? 7 : date.weekday);
    case 'H':
      return fmt::format("{:02}", hour);
    case 'I':
      return fmt::format("{:02}", (hour + 11) % 12 + 1);
    case 'p':
      return hour < 12 ? "AM" : "PM";
    case 'M':
      return fmt::format("{:02}", minute);
    case 'S':
      return fmt::format("{:02}", second_of_day % 60);
    case 'f':
      return "000000";
    case 'F':
      return field('Y') + "-" + field('m') + "-" + field('d');
    case 'T':
      return field('H') + ":" + field('M') + ":" + field('S');
    case 'R':
      return field('H') + ":" + field('M');
    case 'D':
    case 'x':
      return field('m') + "/" + field('d') + "/" + field('y');
    case 'X':
      return field('T');
    case '%':
      return "%";
    default:
      return {};
  }
}

// Times are UTC, so that a prompt does not depend on where it is made.
Result<Value> strftime_now(Runtime& runtime, const Call& call) {
  if (!call[0].is_string()) {
    return template_error("strftime() argument 1 must be str, not {}", type_name(call[0]));
  }
  constexpr int64_t kDaySeconds = 86'400;
  const int64_t now = runtime.now_seconds();
  const int64_t second = ((now % kDaySeconds) + kDaySeconds) % kDaySeconds;
  // Far beyond any clock, but not beyond what a variable may hold.
  const int64_t day = std::clamp<int64_t>((now - second) / kDaySeconds, -1'000'000, 3'000'000);
  const Date date = date_of(day);
  const std::string_view format = call[0].str->text;
  YQ_RETURN_IF_ERROR(runtime.charge_text(format.size() * 16));
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    const std::string field = time_field(format[++i], date, second);
    if (field.empty()) {
      return template_error("strftime_now() does not know the directive %{}", format.substr(i, 1));
    }
    out += field;
  }
  return runtime.add(std::move(out), call[0].str->user);
}

constexpr Builtin kFunctions[] = {
    {"range", "!/start,/stop,/step", range},
    {"dict", "*", dict},
    {"namespace", "*", make_namespace},
    {"raise_exception", "!message", raise_exception},
    {"strftime_now", "!format", strftime_now},
    {"cycler", "*", cycler},
    {"joiner", "sep", joiner},
};

Result<Value> dict_get(Runtime& runtime, const Call& call) {
  YQ_RETURN_IF_ERROR(check_hashable(call[0]));
  YQ_TRY(const Value* found, dict_find(runtime, *call.self.dict, call[0]));
  if (found != nullptr) return *found;
  return call[1].given() ? call[1] : Value::none();
}
template <DictView::Part part>
Result<Value> dict_view(Runtime& runtime, const Call& call) {
  return runtime.view(*call.self.dict, part);
}
Result<Value> dict_copy(Runtime& runtime, const Call& call) {
  YQ_RETURN_IF_ERROR(runtime.charge_items(2 * call.self.dict->items.size()));
  return runtime.dict(call.self.dict->items);
}

Result<Value> list_count(Runtime& runtime, const Call& call) {
  int64_t found = 0;
  for (const Value& item : call.self.list->items) {
    YQ_TRY(const bool same, equal(runtime, item, call[0]));
    if (same) ++found;
  }
  return Value::of(found);
}
Result<Value> list_index(Runtime& runtime, const Call& call) {
  const auto& items = call.self.list->items;
  for (size_t i = 0; i < items.size(); ++i) {
    YQ_TRY(const bool same, equal(runtime, items[i], call[0]));
    if (same) return Value::of(static_cast<int64_t>(i));
  }
  return template_error("the item is not in the {}", type_name(call.self));
}
Result<Value> list_copy(Runtime&, const Call& call) { return call.self; }

Result<Value> cycler_next(Runtime&, const Call& call) {
  CyclerObject& self = *call.self.cycler;
  const Value out = self.items[self.position];
  self.position = (self.position + 1) % self.items.size();
  return out;
}
Result<Value> cycler_reset(Runtime&, const Call& call) {
  call.self.cycler->position = 0;
  return Value::none();
}

Result<Value> loop_cycle(Runtime&, const Call& call) {
  const auto& items = call.all.positional;
  if (items.empty()) return template_error("no items for cycling given");
  return items[static_cast<size_t>(call.self.loop->index) % items.size()];
}
Result<Value> loop_changed(Runtime& runtime, const Call& call) {
  LoopObject& loop = *call.self.loop;
  bool same = loop.changed_before && loop.last_changed.size() == call.all.positional.size();
  for (size_t i = 0; same && i < loop.last_changed.size(); ++i) {
    YQ_TRY(same, equal(runtime, loop.last_changed[i], call.all.positional[i]));
  }
  loop.changed_before = true;
  loop.last_changed = call.all.positional;
  return Value::of(!same);
}

constexpr Builtin kDictMethods[] = {
    {"get", "!/key,/default", dict_get},
    {"items", "", dict_view<DictView::Part::kItems>},
    {"keys", "", dict_view<DictView::Part::kKeys>},
    {"values", "", dict_view<DictView::Part::kValues>},
    {"copy", "", dict_copy},
};
constexpr Builtin kListMethods[] = {
    {"count", "!/value", list_count},
    {"index", "!/value", list_index},
    {"copy", "", list_copy},
};
constexpr Builtin kTupleMethods[] = {
    {"count", "!/value", list_count},
    {"index", "!/value", list_index},
};
constexpr Builtin kCyclerMethods[] = {{"next", "", cycler_next}, {"reset", "", cycler_reset}};
constexpr Builtin kLoopMethods[] = {{"cycle", "*", loop_cycle}, {"changed", "*", loop_changed}};

}  // namespace

std::span<const Builtin> functions() { return kFunctions; }

std::span<const Builtin> container_methods(Kind kind) {
  switch (kind) {
    case Kind::kDict:
      return kDictMethods;
    case Kind::kList:
      return kListMethods;
    case Kind::kTuple:
      return kTupleMethods;
    case Kind::kCycler:
      return kCyclerMethods;
    case Kind::kLoop:
      return kLoopMethods;
    default:
      return {};
  }
}

}  // namespace yunqi::jinja
