// Feeds any bytes to the GGUF reader. What it accepts must be readable to its last byte under
// consistent sizes; what it refuses must be told in one line of valid UTF-8.
#include <cstdint>

#include "base/utf8.h"
#include "checkpoint/assembled.h"

namespace yunqi {
namespace {

void check_checkpoint(const Checkpoint& checkpoint) {
  uint64_t sum = 0;
  for (const Tensor& tensor : checkpoint.tensors()) {
    const auto want = dtype_bytes(tensor.dtype, static_cast<uint64_t>(tensor.elements()));
    YQ_CHECK(want == tensor.bytes.size(), "{} has {} bytes", tensor.describe(),
             tensor.bytes.size());
    YQ_CHECK(checkpoint.find(tensor.name) == &tensor, "{} is not found", tensor.name);
    for (const std::byte byte : tensor.bytes) sum += static_cast<uint64_t>(byte);
  }
  for (const std::string_view token : checkpoint.tokenizer().gguf_tokens) {
    for (const char c : token) sum += static_cast<uint8_t>(c);
  }
  YQ_CHECK(is_valid_utf8(checkpoint.metadata().dump()), "metadata is not UTF-8 ({})", sum);
  YQ_CHECK(is_valid_utf8(checkpoint.config().dump()), "config is not UTF-8");
  YQ_CHECK(is_valid_utf8(checkpoint.chat_template()), "chat template is not UTF-8");
  YQ_CHECK(checkpoint.fingerprint().size() == 64, "fingerprint is no SHA-256");
}

}  // namespace
}  // namespace yunqi

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto opened = yunqi::open_gguf_bytes(std::as_bytes(std::span(data, size)));
  if (opened.is_ok()) {
    yunqi::check_checkpoint(**opened);
  } else {
    const std::string& message = opened.status().message();
    YQ_CHECK(yunqi::is_valid_utf8(message) && message.find('\n') == std::string::npos,
             "an error message is not one line of UTF-8: {}", message);
  }
  return 0;
}
