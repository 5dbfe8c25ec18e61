// Status to process exit code (DESIGN section 2): 0 ok, 2 usage, 3 not found, 4 bad file,
// 5 no resources, 1 other.
#pragma once

#include "base/status.h"

namespace yunqi {

constexpr int exit_code(Code code) {
  switch (code) {
    case Code::kOk:
      return 0;
    case Code::kInvalidArgument:
    case Code::kTooLarge:
      return 2;
    case Code::kNotFound:
      return 3;
    case Code::kBadFile:
    case Code::kUnsupported:
      return 4;
    case Code::kRateLimited:
    case Code::kUnavailable:
    case Code::kNoResources:
      return 5;
    case Code::kUnauthenticated:
    case Code::kPermission:
    case Code::kCancelled:
    case Code::kInternal:
      return 1;
  }
  return 1;
}

}  // namespace yunqi
