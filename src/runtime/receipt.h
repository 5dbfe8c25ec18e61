// A receipt says what an answer was made of: who computed it, how its tokens were chosen, and
// hashes of the ids that went in and came out. Small enough to keep; `yunqi replay` recomputes it.
// Plain values; no threads.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/sha256.h"
#include "engine/request.h"
#include "text/tokenizer.h"

namespace yunqi {

inline constexpr int64_t kReceiptVersion = 1;
// Prompts times choices of one request.
inline constexpr size_t kMaxReceiptOutputs = 4096;

// SHA-256 over ids as they come, each as 4 little-endian bytes.
class IdHash {
 public:
  void add(TokenId id);
  // Ends the hash: 64 hex digits.
  std::string finish();
  int64_t count() const { return count_; }

 private:
  Sha256 hash_;
  int64_t count_ = 0;
};
std::string hash_ids(std::span<const TokenId> ids);

// One choice of the reply.
struct ReceiptOutput {
  int64_t index = 0;   // among the reply's choices
  int64_t choice = 0;  // among its prompt's n: part of the sampler's key
  int64_t prompt_tokens = 0, output_tokens = 0;
  std::string prompt_sha256, output_sha256;
  std::string finish_reason;
};

struct Receipt {
  std::string fingerprint, model;
  uint64_t seed = 0;
  Json sampling = Json::object();  // as resolved: the request's values over the model's defaults
  std::vector<ReceiptOutput> outputs;
};

// What decides the choice of tokens, beside the model and the seed.
Json sampling_json(const EngineRequest& request, std::span<const std::string> stop);
// "stop", "length", "cancelled", "error", "shutdown".
std::string_view finish_name(FinishReason reason);

Json receipt_json(const Receipt& receipt);
// A receipt, or a reply that has one as "x_receipt". kInvalidArgument names the member at fault.
Result<Receipt> parse_receipt(const Json& json);
// Appends the outputs of a further prompt of the same request, numbered on.
void append_outputs(Receipt& receipt, const Receipt& more);

// Each way in which `found` is not `want`, one line each; none when they are equal. The model's
// name does not count: the fingerprint says which it is.
std::vector<std::string> receipt_differences(const Receipt& want, const Receipt& found);

}  // namespace yunqi
