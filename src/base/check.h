// Checks for our own bugs: always on, print their values, abort. Nothing a client or a file
// controls may reach one; use Status for those.
#pragma once

#include <fmt/format.h>

#include <string>

namespace yunqi {

// Prints `file:line: check failed: condition: message` to stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const std::string& message);

}  // namespace yunqi

#define YQ_CHECK(condition, ...)                                                              \
  do {                                                                                        \
    if (!(condition)) [[unlikely]] {                                                          \
      ::yunqi::check_failed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__));   \
    }                                                                                         \
  } while (false)

// For kernels' inner loops: on in debug builds only.
#ifdef NDEBUG
#define YQ_DCHECK(condition, ...) \
  do {                            \
  } while (false)
#else
#define YQ_DCHECK(...) YQ_CHECK(__VA_ARGS__)
#endif
