// See log.h.
#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>

namespace yunqi {
namespace {

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> kLogger = [] {
    auto out = std::make_shared<spdlog::logger>("yunqi",
                                                std::make_shared<spdlog::sinks::stderr_sink_mt>());
    out->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    out->set_level(spdlog::level::info);
    out->flush_on(spdlog::level::debug);
    return out;
  }();
  return *kLogger;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::off;
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

// A client's text in a log line must not be able to start a second line or drive a terminal.
std::string escape_controls(std::string_view line) {
  std::string out;
  for (const char c : line) {
    if (is_control(c)) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace

void set_log_level(LogLevel level) { logger().set_level(to_spdlog(level)); }

void log_line(LogLevel level, std::string_view line) {
  const auto spdlog_level = to_spdlog(level);
  if (level == LogLevel::kOff || !logger().should_log(spdlog_level)) return;
  logger().log(spdlog_level, spdlog::string_view_t(escape_controls(line)));
}

}  // namespace yunqi
