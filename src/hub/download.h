// One remote file to one local file: parallel ranges, resume across runs and crashes, bounded
// tries, hash. Blocking; uses its own threads while it runs.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "hub/fetch.h"
#include "hub/pull_context.h"

namespace yunqi {

inline constexpr int kMaxConnections = 16;
inline constexpr int kMaxTriesWithoutProgress = 6;  // of one range, one after the other
inline constexpr int kMaxTriesPerRange = 60;        // even when each brings a byte
inline constexpr int kMaxStarts = 4;                // of one file, when it keeps changing
inline constexpr uint64_t kMaxFileBytes = uint64_t{8} << 40;

struct RemoteFile {
  std::string name;  // relative name in the model's folder; checked by the caller
  std::string url;
  HeaderFields headers;
  uint64_t bytes = 0;       // 0 when not known
  std::string sha256;       // "" when nobody says
  std::string access_hint;  // for 401 and 403
};

// Puts the whole, verified file at context.model/name. Errors: kBadFile (hash), kNoResources
// (disk), kCancelled (the half file stays for the next try), kNotFound, kUnauthenticated,
// kPermission, kUnavailable (network, after bounded tries; the half file stays).
Result<StoredFile> download_file(const RemoteFile& remote, const PullContext& context);

// Bytes of this file that are on the disk already, whole or half.
uint64_t kept_bytes(const RemoteFile& remote, const PullContext& context);

}  // namespace yunqi
