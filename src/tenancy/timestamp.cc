// Civil dates by the standard library's calendar.
#include "tenancy/timestamp.h"

#include <fmt/format.h>

#include <chrono>

namespace yunqi {
namespace {

using std::chrono::sys_days;
using std::chrono::year_month_day;

constexpr int64_t kDay = 86'400;

// `count` digits at `at`, or -1.
int digits_at(std::string_view text, size_t at, size_t count) {
  int value = 0;
  for (size_t i = at; i < at + count; ++i) {
    if (i >= text.size() || text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

int64_t seconds_of(year_month_day date) {
  return int64_t{sys_days(date).time_since_epoch().count()} * kDay;
}

year_month_day date_of(int64_t seconds) {
  const int64_t days = (seconds >= 0 ? seconds : seconds - (kDay - 1)) / kDay;
  return sys_days(std::chrono::days(days));
}

}  // namespace

Result<int64_t> parse_timestamp(std::string_view text) {
  const auto refuse = [&] {
    return error(Code::kInvalidArgument, "want a time like 2026-01-31T23:59:59Z, found {}",
                 text.substr(0, 40));
  };
  const bool has_time = text.size() == 20;
  if (text.size() != 10 && !has_time) return refuse();
  const int year = digits_at(text, 0, 4), month = digits_at(text, 5, 2),
            day = digits_at(text, 8, 2);
  if (year < 1970 || month < 1 || day < 1 || text[4] != '-' || text[7] != '-') return refuse();
  const year_month_day date{std::chrono::year(year),
                            std::chrono::month(static_cast<unsigned>(month)),
                            std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return refuse();
  if (!has_time) return seconds_of(date);
  const int hour = digits_at(text, 11, 2), minute = digits_at(text, 14, 2);
  const int second = digits_at(text, 17, 2);
  const bool is_shaped = text[10] == 'T' && text[13] == ':' && text[16] == ':' && text[19] == 'Z';
  if (!is_shaped || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
      second > 59) {
    return refuse();
  }
  return seconds_of(date) + hour * 3600 + minute * 60 + second;
}

Result<int64_t> read_timestamp(const Json& value) {
  if (value.is_string()) return parse_timestamp(value.as_string());
  if (value.is_int() && value.as_int() >= 0 && value.as_int() <= kMaxTimestamp) {
    return value.as_int();
  }
  return error(Code::kInvalidArgument, "want a time as a text or seconds since 1970, found {}",
               value.type_name());
}

std::string format_timestamp(int64_t seconds) {
  const year_month_day date = date_of(seconds);
  const int64_t rest = seconds - seconds_of(date);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     rest / 3600, rest / 60 % 60, rest % 60);
}

int64_t month_start(int64_t seconds) {
  const year_month_day date = date_of(seconds);
  return seconds_of(date.year() / date.month() / std::chrono::day(1));
}

int64_t next_month_start(int64_t seconds) {
  const year_month_day date = date_of(seconds);
  return seconds_of((date.year() / date.month() / std::chrono::day(1)) + std::chrono::months(1));
}

}  // namespace yunqi
