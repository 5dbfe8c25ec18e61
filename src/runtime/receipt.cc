// See receipt.h.
#include "runtime/receipt.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

namespace yunqi {
namespace {

// The shortest decimal that reads as this float: 0.7, not 0.699999988.
Json float_json(float value) {
  char text[64];
  const auto [end, failed] = std::to_chars(text, text + sizeof text, value);
  double out = 0;
  if (failed == std::errc()) std::from_chars(text, end, out);
  return Json(out);
}

Result<std::string> text_of(const Json& json, const char* name) {
  const Json* value = json.find(name);
  if (value != nullptr && value->is_string()) return value->as_string();
  return error(Code::kInvalidArgument, "receipt: want a string in \"{}\"", name);
}

Result<int64_t> count_of(const Json& json, const char* name) {
  const Json* value = json.find(name);
  if (value != nullptr && value->is_int() && value->as_int() >= 0) return value->as_int();
  return error(Code::kInvalidArgument, "receipt: want a number, 0 or more, in \"{}\"", name);
}

Result<ReceiptOutput> parse_output(const Json& json) {
  ReceiptOutput out;
  YQ_TRY(out.index, count_of(json, "index"));
  YQ_TRY(out.choice, count_of(json, "choice"));
  YQ_TRY(out.prompt_tokens, count_of(json, "prompt_tokens"));
  YQ_TRY(out.prompt_sha256, text_of(json, "prompt_sha256"));
  YQ_TRY(out.output_tokens, count_of(json, "output_tokens"));
  YQ_TRY(out.output_sha256, text_of(json, "output_sha256"));
  YQ_TRY(out.finish_reason, text_of(json, "finish_reason"));
  return out;
}

// Collects "name: the receipt has A, this run B".
class Differences {
 public:
  template <typename Value>
  void compare(const std::string& name, const Value& want, const Value& found) {
    if (want == found) return;
    lines.push_back(fmt::format("{}: the receipt has {}, this run {}", name, want, found));
  }
  void compare(const std::string& name, const Json* want, const Json* found) {
    if (want != nullptr && found != nullptr && *want == *found) return;
    const auto text = [](const Json* value) { return value == nullptr ? "none" : value->dump(); };
    lines.push_back(
        fmt::format("{}: the receipt has {}, this run {}", name, text(want), text(found)));
  }
  std::vector<std::string> lines;
};

void compare_outputs(const ReceiptOutput& want, const ReceiptOutput& found, Differences& out) {
  const std::string at = fmt::format("choice {}: ", want.index);
  out.compare(at + "choice of its prompt", want.choice, found.choice);
  out.compare(at + "prompt tokens", want.prompt_tokens, found.prompt_tokens);
  out.compare(at + "prompt ids", want.prompt_sha256, found.prompt_sha256);
  out.compare(at + "output tokens", want.output_tokens, found.output_tokens);
  out.compare(at + "output ids", want.output_sha256, found.output_sha256);
  out.compare(at + "finish reason", want.finish_reason, found.finish_reason);
}

}  // namespace

void IdHash::add(TokenId id) {
  const auto bits = static_cast<uint32_t>(id);
  const std::byte bytes[4] = {std::byte(bits), std::byte(bits >> 8), std::byte(bits >> 16),
                              std::byte(bits >> 24)};
  hash_.update(bytes);
  ++count_;
}

std::string IdHash::finish() { return to_hex(hash_.finish()); }

std::string hash_ids(std::span<const TokenId> ids) {
  IdHash hash;
  for (const TokenId id : ids) hash.add(id);
  return hash.finish();
}

Json sampling_json(const EngineRequest& request, std::span<const std::string> stop) {
  const SamplingParams& s = request.sampling;
  Json out = Json::object({{"temperature", float_json(s.temperature)},
                           {"top_p", float_json(s.top_p)},
                           {"top_k", s.top_k},
                           {"min_p", float_json(s.min_p)},
                           {"repetition_penalty", float_json(s.repetition_penalty)},
                           {"presence_penalty", float_json(s.presence_penalty)},
                           {"frequency_penalty", float_json(s.frequency_penalty)},
                           {"max_tokens", request.max_tokens}});
  Json bias = Json::object(), ids = Json::array(), strings = Json::array();
  for (const auto& [id, value] : s.logit_bias) bias.set(fmt::format("{}", id), float_json(value));
  for (const TokenId id : request.stop_ids) ids.push_back(Json(id));
  for (const std::string& text : stop) strings.push_back(Json(text));
  out.set("logit_bias", std::move(bias));
  out.set("stop_token_ids", std::move(ids));
  out.set("stop", std::move(strings));
  return out;
}

std::string_view finish_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kError:
      return "error";
    case FinishReason::kShutdown:
      return "shutdown";
    case FinishReason::kNone:
      break;
  }
  return "none";
}

Json receipt_json(const Receipt& receipt) {
  Json outputs = Json::array();
  for (const ReceiptOutput& output : receipt.outputs) {
    outputs.push_back(Json::object({{"index", output.index},
                                    {"choice", output.choice},
                                    {"prompt_tokens", output.prompt_tokens},
                                    {"prompt_sha256", output.prompt_sha256},
                                    {"output_tokens", output.output_tokens},
                                    {"output_sha256", output.output_sha256},
                                    {"finish_reason", output.finish_reason}}));
  }
  return Json::object({{"version", kReceiptVersion},
                       {"system_fingerprint", receipt.fingerprint},
                       {"model", receipt.model},
                       {"seed", static_cast<int64_t>(receipt.seed)},
                       {"sampling", receipt.sampling},
                       {"outputs", std::move(outputs)}});
}

Result<Receipt> parse_receipt(const Json& json) {
  if (const Json* inner = json.find("x_receipt"); inner != nullptr) return parse_receipt(*inner);
  YQ_TRY(const int64_t version, count_of(json, "version"));
  if (version != kReceiptVersion) {
    return error(Code::kUnsupported, "receipt: want version {}, found {}", kReceiptVersion,
                 version);
  }
  Receipt out;
  YQ_TRY(out.fingerprint, text_of(json, "system_fingerprint"));
  YQ_TRY(out.model, text_of(json, "model"));
  const Json* seed = json.find("seed");
  if (seed == nullptr || !seed->is_int()) {
    return error(Code::kInvalidArgument, "receipt: want an integer in \"seed\"");
  }
  out.seed = static_cast<uint64_t>(seed->as_int());
  const Json* sampling = json.find("sampling");
  if (sampling == nullptr || !sampling->is_object()) {
    return error(Code::kInvalidArgument, "receipt: want an object in \"sampling\"");
  }
  out.sampling = *sampling;
  const Json* outputs = json.find("outputs");
  if (outputs == nullptr || !outputs->is_array() ||
      outputs->as_array().size() > kMaxReceiptOutputs) {
    return error(Code::kInvalidArgument, "receipt: want a list of at most {} in \"outputs\"",
                 kMaxReceiptOutputs);
  }
  for (const Json& output : outputs->as_array()) {
    YQ_TRY(ReceiptOutput parsed, parse_output(output));
    out.outputs.push_back(std::move(parsed));
  }
  return out;
}

void append_outputs(Receipt& receipt, const Receipt& more) {
  const auto before = static_cast<int64_t>(receipt.outputs.size());
  for (ReceiptOutput output : more.outputs) {
    output.index += before;
    receipt.outputs.push_back(std::move(output));
  }
}

std::vector<std::string> receipt_differences(const Receipt& want, const Receipt& found) {
  Differences out;
  out.compare("system_fingerprint", want.fingerprint, found.fingerprint);
  out.compare("seed", want.seed, found.seed);
  for (const auto& [name, value] : want.sampling.as_object()) {
    out.compare("sampling." + name, &value, found.sampling.find(name));
  }
  for (const auto& [name, value] : found.sampling.as_object()) {
    if (want.sampling.find(name) == nullptr) out.compare("sampling." + name, nullptr, &value);
  }
  out.compare("choices", want.outputs.size(), found.outputs.size());
  for (size_t i = 0; i < std::min(want.outputs.size(), found.outputs.size()); ++i) {
    compare_outputs(want.outputs[i], found.outputs[i], out);
  }
  return std::move(out.lines);
}

}  // namespace yunqi
