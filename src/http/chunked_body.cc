// See chunked_body.h.
#include "http/chunked_body.h"

#include <algorithm>

namespace yunqi {
namespace {

Status refuse(std::string_view rule) { return error(Code::kInvalidArgument, "HTTP: {}", rule); }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_text(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

}  // namespace

Result<size_t> ChunkedBody::take(std::string_view bytes, std::string& body) {
  size_t at = 0;
  while (at < bytes.size() && !done()) {
    if (part_ != Part::kData) {
      YQ_RETURN_IF_ERROR(take_coding(bytes[at++]));
      continue;
    }
    const auto count = static_cast<size_t>(std::min<uint64_t>(size_, bytes.size() - at));
    body.append(bytes.substr(at, count));
    at += count;
    size_ -= count;
    if (size_ == 0) part_ = Part::kDataEnd;
  }
  return at;
}

Status ChunkedBody::take_coding(char c) {
  if (++overhead_ > kMaxChunkOverheadBytes) {
    return error(Code::kTooLarge, "HTTP: want larger chunks, found {} bytes of chunk coding",
                 overhead_);
  }
  switch (part_) {
    case Part::kSize:
    case Part::kExtension:
    case Part::kSizeEnd:
      return take_size(c);
    case Part::kDataEnd:
      if (c != '\r') return refuse("a chunk is longer than its size says");
      part_ = Part::kDataEndLf;
      return Status::ok();
    case Part::kDataEndLf:
      if (c != '\n') return refuse("a chunk does not end in CR LF");
      part_ = Part::kSize;
      digits_ = line_bytes_ = 0;
      return Status::ok();
    default:
      return take_trailer(c);
  }
}

Status ChunkedBody::take_size(char c) {
  if (++line_bytes_ > kMaxChunkLineBytes) {
    return refuse("a chunk's size line is longer than 1024 bytes");
  }
  if (part_ == Part::kSize) {
    if (const int digit = hex_digit(c); digit >= 0) {
      if (++digits_ > kMaxChunkSizeDigits) return refuse("a chunk size of more than 16 digits");
      size_ = (digits_ == 1 ? 0 : size_ << 4) | static_cast<uint64_t>(digit);
      return Status::ok();
    }
    if (digits_ == 0 || (c != ';' && c != '\r'))
      return refuse("a chunk size that is no hex number");
    if (size_ > max_body_bytes_ - body_bytes_) {
      return error(Code::kTooLarge, "HTTP: want a body of at most {} bytes", max_body_bytes_);
    }
    part_ = Part::kExtension;
  }
  if (part_ == Part::kExtension) {
    if (c == '\r') {
      part_ = Part::kSizeEnd;
    } else if (!is_text(c)) {
      return refuse("a control character in a chunk's size line");
    }
    return Status::ok();
  }
  if (c != '\n') return refuse("a chunk's size line does not end in CR LF");
  body_bytes_ += size_;
  part_ = size_ == 0 ? Part::kTrailerStart : Part::kData;
  return Status::ok();
}

Status ChunkedBody::take_trailer(char c) {
  if (++trailer_bytes_ > kMaxTrailerBytes) return refuse("trailers of more than 8192 bytes");
  switch (part_) {
    case Part::kTrailerStart:
      if (c == ' ' || c == '\t') return refuse("a folded trailer line");
      if (c != '\r' && !is_text(c)) return refuse("a control character in a trailer");
      part_ = c == '\r' ? Part::kLastLf : Part::kTrailer;
      return Status::ok();
    case Part::kTrailer:
      if (c == '\r') {
        part_ = Part::kTrailerEnd;
      } else if (!is_text(c)) {
        return refuse("a control character in a trailer");
      }
      return Status::ok();
    default:
      if (c != '\n') return refuse("a trailer line does not end in CR LF");
      part_ = part_ == Part::kLastLf ? Part::kDone : Part::kTrailerStart;
      return Status::ok();
  }
}

}  // namespace yunqi
