// Decodes the chunked transfer coding (RFC 9112 section 7.1) as its bytes come in: constant state,
// linear time. Extensions and trailers are read past and dropped. Pure, one owner; fuzzed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace yunqi {

inline constexpr size_t kMaxChunkSizeDigits = 16;
inline constexpr size_t kMaxChunkLineBytes = 1024;   // size and extensions
inline constexpr size_t kMaxTrailerBytes = 8 << 10;  // all trailer lines
// Bytes of the coding itself. A chunk that carries one byte has five of them, so this also ends
// bodies of millions of tiny chunks early.
inline constexpr uint64_t kMaxChunkOverheadBytes = uint64_t{16} << 20;

class ChunkedBody {
 public:
  explicit ChunkedBody(uint64_t max_body_bytes) : max_body_bytes_(max_body_bytes) {}

  // Takes `bytes` up to the end of the body, appends what they carry to `body` and returns how many
  // it took: all, unless done(). kInvalidArgument for a broken coding, kTooLarge over a limit.
  Result<size_t> take(std::string_view bytes, std::string& body);
  bool done() const { return part_ == Part::kDone; }

 private:
  enum class Part {
    kSize,       // hex digits
    kExtension,  // up to the CR that ends the size line
    kSizeEnd,    // its LF
    kData,
    kDataEnd,  // the CR behind data
    kDataEndLf,
    kTrailerStart,  // first byte of a trailer line, or the last CR
    kTrailer,
    kTrailerEnd,  // the LF of a trailer line
    kLastLf,
    kDone,
  };

  Status take_coding(char c);
  Status take_size(char c);
  Status take_trailer(char c);

  const uint64_t max_body_bytes_;
  Part part_ = Part::kSize;
  uint64_t size_ = 0;  // of this chunk; what is still to come of it in kData
  uint64_t body_bytes_ = 0;
  uint64_t overhead_ = 0;
  size_t digits_ = 0;
  size_t line_bytes_ = 0;
  size_t trailer_bytes_ = 0;
};

}  // namespace yunqi
