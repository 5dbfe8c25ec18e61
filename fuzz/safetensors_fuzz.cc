// Feeds any bytes to the safetensors reader. What it accepts must cover the file exactly; what it
// refuses must be told in one line of valid UTF-8.
#include <cstdint>

#include "base/utf8.h"
#include "checkpoint/safetensors.h"

namespace yunqi {
namespace {

void check_file(const SafetensorsFile& file, size_t size) {
  uint64_t sum = 0, covered = 0;
  for (const Tensor& tensor : file.tensors) {
    const auto want = dtype_bytes(tensor.dtype, static_cast<uint64_t>(tensor.elements()));
    YQ_CHECK(want == tensor.bytes.size(), "{} has {} bytes", tensor.describe(),
             tensor.bytes.size());
    for (const std::byte byte : tensor.bytes) sum += static_cast<uint64_t>(byte);
    covered += tensor.bytes.size();
  }
  YQ_CHECK(covered + sizeof(uint64_t) < size, "{} bytes of {} (sum {})", covered, size, sum);
}

}  // namespace
}  // namespace yunqi

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = yunqi::parse_safetensors(std::as_bytes(std::span(data, size)));
  if (file.is_ok()) {
    yunqi::check_file(*file, size);
  } else {
    const std::string& message = file.status().message();
    YQ_CHECK(yunqi::is_valid_utf8(message) && message.find('\n') == std::string::npos,
             "an error message is not one line of UTF-8: {}", message);
  }
  return 0;
}
