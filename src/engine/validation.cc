// See validation.h.
#include "engine/validation.h"

#include <cmath>
#include <string_view>

namespace yunqi {
namespace {

// NaN is in no range.
Status check_range(float value, float low, float high, std::string_view field) {
  if (value >= low && value <= high) return Status::ok();
  return error(Code::kInvalidArgument, "{}: expected {} to {}, found {}", field, low, high, value)
      .at(std::string(field));
}

Status check_id(int32_t id, int32_t vocab, std::string_view field) {
  if (id >= 0 && id < vocab) return Status::ok();
  return error(Code::kInvalidArgument, "{}: token ids go from 0 to {}, found {}", field, vocab - 1,
               id)
      .at(std::string(field));
}

Status validate_sampling(const SamplingParams& params, int32_t vocab) {
  YQ_RETURN_IF_ERROR(check_range(params.temperature, 0.0f, kMaxTemperature, "temperature"));
  YQ_RETURN_IF_ERROR(check_range(params.top_p, 0.0f, 1.0f, "top_p"));
  YQ_RETURN_IF_ERROR(check_range(params.min_p, 0.0f, 1.0f, "min_p"));
  YQ_RETURN_IF_ERROR(
      check_range(params.repetition_penalty, 0.01f, kMaxPenalty, "repetition_penalty"));
  YQ_RETURN_IF_ERROR(
      check_range(params.presence_penalty, -kMaxPenalty, kMaxPenalty, "presence_penalty"));
  YQ_RETURN_IF_ERROR(
      check_range(params.frequency_penalty, -kMaxPenalty, kMaxPenalty, "frequency_penalty"));
  if (params.top_k < 0) {
    return error(Code::kInvalidArgument, "top_k: expected 0 (off) or more, found {}", params.top_k)
        .at("top_k");
  }
  if (params.logit_bias.size() > kMaxLogitBias) {
    return error(Code::kInvalidArgument, "logit_bias: at most {} entries, found {}", kMaxLogitBias,
                 params.logit_bias.size())
        .at("logit_bias");
  }
  for (const auto& [token, bias] : params.logit_bias) {
    YQ_RETURN_IF_ERROR(check_id(token, vocab, "logit_bias"));
    YQ_RETURN_IF_ERROR(check_range(bias, -kMaxPenalty, kMaxPenalty, "logit_bias"));
  }
  return Status::ok();
}

}  // namespace

Status validate_request(const EngineRequest& request, const ExecutorLimits& limits, int32_t vocab) {
  if (request.prompt.empty()) {
    return error(Code::kInvalidArgument, "the prompt has no tokens").at("prompt");
  }
  if (static_cast<int64_t>(request.prompt.size()) >= limits.max_context) {
    return error(Code::kInvalidArgument,
                 "the prompt has {} tokens; with one of output at most {} fit the context of {}",
                 request.prompt.size(), limits.max_context - 1, limits.max_context)
        .at("prompt");
  }
  for (const int32_t id : request.prompt) YQ_RETURN_IF_ERROR(check_id(id, vocab, "prompt"));
  if (request.max_tokens <= 0) {
    return error(Code::kInvalidArgument, "max_tokens: expected 1 or more, found {}",
                 request.max_tokens)
        .at("max_tokens");
  }
  if (request.top_logprobs < -1 || request.top_logprobs > kMaxTopLogprobs) {
    return error(Code::kInvalidArgument, "top_logprobs: expected 0 to {}, found {}",
                 kMaxTopLogprobs, request.top_logprobs)
        .at("top_logprobs");
  }
  if (request.stop_ids.size() > kMaxStopIds) {
    return error(Code::kInvalidArgument, "stop_token_ids: at most {}, found {}", kMaxStopIds,
                 request.stop_ids.size())
        .at("stop_token_ids");
  }
  for (const int32_t id : request.stop_ids) {
    YQ_RETURN_IF_ERROR(check_id(id, limits.vocab, "stop_token_ids"));
  }
  if (request.checkpoints.size() > kMaxCheckpoints) {
    return error(Code::kInvalidArgument, "checkpoints: at most {}, found {}", kMaxCheckpoints,
                 request.checkpoints.size())
        .at("checkpoints");
  }
  if (request.choice < 0) {
    return error(Code::kInvalidArgument, "choice: expected 0 or more, found {}", request.choice)
        .at("choice");
  }
  return validate_sampling(request.sampling, vocab);
}

}  // namespace yunqi
