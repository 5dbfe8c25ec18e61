// See generate_request.h.
#include "runtime/generate_request.h"

#include <cmath>

#include "engine/request.h"

namespace yunqi {
namespace {

Status check_range(std::optional<double> value, double low, double high, const char* field) {
  if (!value.has_value()) return Status::ok();
  if (std::isfinite(*value) && *value >= low && *value <= high) return Status::ok();
  return error(Code::kInvalidArgument, "want a number from {} to {}, found {}", low, high, *value)
      .at(field);
}

Status check_range(std::optional<int64_t> value, int64_t low, int64_t high, const char* field) {
  if (!value.has_value() || (*value >= low && *value <= high)) return Status::ok();
  return error(Code::kInvalidArgument, "want an integer from {} to {}, found {}", low, high, *value)
      .at(field);
}

Status check_prompt(const GenerateRequest& request, const RequestLimits& limits) {
  switch (request.prompt) {
    case GenerateRequest::Prompt::kChat:
      if (!request.messages.is_array() || request.messages.as_array().empty()) {
        return error(Code::kInvalidArgument, "want a list of at least one message").at("messages");
      }
      if (request.messages.as_array().size() > kMaxMessages) {
        return error(Code::kInvalidArgument, "want at most {} messages, found {}", kMaxMessages,
                     request.messages.as_array().size())
            .at("messages");
      }
      if (!request.tools.is_null() && !request.tools.is_array()) {
        return error(Code::kInvalidArgument, "want a list").at("tools");
      }
      if (request.tools.is_array() && request.tools.as_array().size() > kMaxTools) {
        return error(Code::kInvalidArgument, "want at most {} tools, found {}", kMaxTools,
                     request.tools.as_array().size())
            .at("tools");
      }
      if (!request.template_kwargs.is_object()) {
        return error(Code::kInvalidArgument, "want an object").at("chat_template_kwargs");
      }
      if (request.echo) {
        return error(Code::kInvalidArgument, "is for completions only").at("echo");
      }
      return Status::ok();
    case GenerateRequest::Prompt::kText:
      return Status::ok();
    case GenerateRequest::Prompt::kTokens:
      for (size_t i = 0; i < request.tokens.size(); ++i) {
        if (request.tokens[i] < 0 || request.tokens[i] >= limits.vocabulary) {
          return error(Code::kInvalidArgument, "want token ids from 0 to {}, found {}",
                       limits.vocabulary - 1, request.tokens[i])
              .at(fmt::format("prompt[{}]", i));
        }
      }
      return Status::ok();
  }
  return error(Code::kInternal, "unknown prompt kind");
}

Status check_stops(const GenerateRequest& request, const RequestLimits& limits) {
  if (request.stop.size() > kMaxStopStrings) {
    return error(Code::kInvalidArgument, "want at most {} stop strings, found {}", kMaxStopStrings,
                 request.stop.size())
        .at("stop");
  }
  for (size_t i = 0; i < request.stop.size(); ++i) {
    if (request.stop[i].empty() || request.stop[i].size() > kMaxStopBytes) {
      return error(Code::kInvalidArgument, "want 1 to {} bytes, found {}", kMaxStopBytes,
                   request.stop[i].size())
          .at(fmt::format("stop[{}]", i));
    }
  }
  if (request.stop_ids.size() > kMaxRequestStopIds) {
    return error(Code::kInvalidArgument, "want at most {} ids, found {}", kMaxRequestStopIds,
                 request.stop_ids.size())
        .at("stop_token_ids");
  }
  for (size_t i = 0; i < request.stop_ids.size(); ++i) {
    if (request.stop_ids[i] < 0 || request.stop_ids[i] >= limits.vocabulary) {
      return error(Code::kInvalidArgument, "want token ids from 0 to {}, found {}",
                   limits.vocabulary - 1, request.stop_ids[i])
          .at(fmt::format("stop_token_ids[{}]", i));
    }
  }
  return Status::ok();
}

Status check_logit_bias(const GenerateRequest& request, const RequestLimits& limits) {
  if (request.logit_bias.size() > kMaxLogitBias) {
    return error(Code::kInvalidArgument, "want at most {} entries, found {}", kMaxLogitBias,
                 request.logit_bias.size())
        .at("logit_bias");
  }
  for (const auto& [token, bias] : request.logit_bias) {
    if (token < 0 || token >= limits.vocabulary) {
      return error(Code::kInvalidArgument, "want token ids from 0 to {}, found {}",
                   limits.vocabulary - 1, token)
          .at("logit_bias");
    }
    if (!std::isfinite(bias) || std::abs(bias) > 100.0f) {
      return error(Code::kInvalidArgument, "want a number from -100 to 100, found {}", bias)
          .at(fmt::format("logit_bias.{}", token));
    }
  }
  return Status::ok();
}

}  // namespace

Status validate(const GenerateRequest& request, const RequestLimits& limits) {
  YQ_RETURN_IF_ERROR(check_prompt(request, limits));
  YQ_RETURN_IF_ERROR(check_range(request.temperature, 0.0, 2.0, "temperature"));
  YQ_RETURN_IF_ERROR(check_range(request.top_p, 0.0, 1.0, "top_p"));
  YQ_RETURN_IF_ERROR(check_range(request.min_p, 0.0, 1.0, "min_p"));
  YQ_RETURN_IF_ERROR(check_range(request.top_k, -1, int64_t{1} << 31, "top_k"));
  YQ_RETURN_IF_ERROR(check_range(request.repetition_penalty, 0.01, 10.0, "repetition_penalty"));
  YQ_RETURN_IF_ERROR(check_range(request.presence_penalty, -2.0, 2.0, "presence_penalty"));
  YQ_RETURN_IF_ERROR(check_range(request.frequency_penalty, -2.0, 2.0, "frequency_penalty"));
  // Scoring a prompt asks for no new token.
  const int64_t fewest = request.echo ? 0 : 1;
  YQ_RETURN_IF_ERROR(check_range(request.max_tokens, fewest, (int64_t{1} << 31) - 1, "max_tokens"));
  YQ_RETURN_IF_ERROR(check_range(std::optional<int64_t>(request.choices), 1, kMaxChoices, "n"));
  YQ_RETURN_IF_ERROR(check_range(request.top_logprobs, 0, kMaxTopLogprobs, "top_logprobs"));
  YQ_RETURN_IF_ERROR(
      check_range(request.thinking_budget, 0, kMaxThinkingBudget, "thinking_budget"));
  YQ_RETURN_IF_ERROR(check_stops(request, limits));
  return check_logit_bias(request, limits);
}

}  // namespace yunqi
