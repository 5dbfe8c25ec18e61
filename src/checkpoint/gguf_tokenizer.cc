// The tokenizer's tables, end-of-answer ids, chat template and the printable form of GGUF's
// key-value pairs.
#include <algorithm>
#include <cmath>

#include "base/utf8.h"
#include "checkpoint/gguf_config.h"
#include "checkpoint/limits.h"

namespace yunqi {
namespace {

constexpr int32_t kControlToken = 3;  // tokenizer.ggml.token_type of <|im_end|> and its like
constexpr uint64_t kMaxShownItems = 16, kMaxShownBytes = 2'048;

Json number_json(GgufType type, const std::byte* bytes) {
  if (type == GgufType::kBool) return *bytes != std::byte{0};
  if (gguf_is_signed(type)) return gguf_signed(type, bytes);
  if (gguf_is_unsigned(type)) return gguf_unsigned(type, bytes);
  const double value = gguf_real(type, bytes);
  return std::isfinite(value) ? Json(value) : Json();
}

Json text_json(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.size() <= kMaxShownBytes) return sanitize_utf8(text);
  std::string_view start = text.substr(0, kMaxShownBytes);
  start.remove_suffix(incomplete_utf8_suffix(start));
  return fmt::format("{}... ({} bytes)", sanitize_utf8(start), text.size());
}

Json array_json(const GgufMetadata& metadata, const GgufPair& pair) {
  const GgufValue& value = pair.value;
  if (value.count > kMaxShownItems) {
    return fmt::format("array of {} {}", value.count, gguf_type_name(value.element));
  }
  JsonArray items;
  if (value.element == GgufType::kText) {
    const auto texts = metadata.texts(pair.key, kMaxShownItems);
    if (!texts.is_ok()) return nullptr;
    for (const std::string_view text : *texts) {
      items.push_back(text_json(std::as_bytes(std::span(text))));
    }
    return items;
  }
  const uint64_t size = gguf_type_bytes(value.element);
  for (uint64_t i = 0; i < value.count; ++i) {
    items.push_back(number_json(value.element, value.bytes.data() + i * size));
  }
  return items;
}

}  // namespace

Result<TokenizerFiles> gguf_tokenizer(const GgufMetadata& metadata) {
  TokenizerFiles out;
  YQ_TRY(const auto model, metadata.text("tokenizer.ggml.model"));
  if (!model || *model != "gpt2") return out;  // not byte-pair: none of ours
  YQ_TRY(out.gguf_tokens, metadata.texts("tokenizer.ggml.tokens", kMaxGgufTokens));
  YQ_TRY(out.gguf_types, metadata.int32s("tokenizer.ggml.token_type", kMaxGgufTokens));
  YQ_TRY(out.gguf_merges, metadata.texts("tokenizer.ggml.merges", kMaxGgufMerges));
  YQ_TRY(const auto pre, metadata.text("tokenizer.ggml.pre"));
  if (pre) out.gguf_pre = sanitize_utf8(*pre);
  if (!out.gguf_types.empty() && out.gguf_types.size() != out.gguf_tokens.size()) {
    return error(Code::kBadFile, "tokenizer.ggml.token_type has {} items for {} tokens",
                 out.gguf_types.size(), out.gguf_tokens.size());
  }
  return out;
}

Result<Json> gguf_generation_config(const GgufMetadata& metadata, const TokenizerFiles& tokenizer) {
  Json out = Json::object();
  const auto count = static_cast<int64_t>(tokenizer.gguf_tokens.size());
  std::vector<int64_t> ends;
  const auto add_end = [&](int64_t id) {
    if (std::find(ends.begin(), ends.end(), id) == ends.end()) ends.push_back(id);
  };
  if (count > 0) {
    for (const std::string_view key :
         {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {
      YQ_TRY(const auto id, metadata.integer(key, 0, count - 1));
      if (id) add_end(*id);
    }
    for (size_t i = 0; i < tokenizer.gguf_types.size(); ++i) {
      const std::string_view text = tokenizer.gguf_tokens[i];
      const bool ends_answer = text == "<|im_end|>" || text == "<|endoftext|>";
      if (ends_answer && tokenizer.gguf_types[i] == kControlToken) {
        add_end(static_cast<int64_t>(i));
      }
    }
    YQ_TRY(const auto padding, metadata.integer("tokenizer.ggml.padding_token_id", 0, count - 1));
    if (padding) out.set("pad_token_id", *padding);
  }
  JsonArray ids;
  for (const int64_t id : ends) ids.push_back(id);
  out.set("eos_token_id", std::move(ids));
  constexpr std::string_view kReals[][2] = {
      {"general.sampling.temp", "temperature"},
      {"general.sampling.top_p", "top_p"},
      {"general.sampling.min_p", "min_p"},
      {"general.sampling.penalty_repeat", "repetition_penalty"},
  };
  for (const auto& [gguf, hf] : kReals) {
    YQ_TRY(const auto value, metadata.real(gguf));
    if (value) out.set(hf, *value);
  }
  YQ_TRY(const auto top_k, metadata.integer("general.sampling.top_k", 0, INT32_MAX));
  if (top_k) out.set("top_k", *top_k);
  return out;
}

Result<std::string> gguf_chat_template(const GgufMetadata& metadata) {
  YQ_TRY(const auto source, metadata.text("tokenizer.chat_template"));
  if (!source) return std::string();
  if (source->size() > kMaxChatTemplateBytes) {
    return error(Code::kTooLarge, "key tokenizer.chat_template: want at most {} bytes, found {}",
                 kMaxChatTemplateBytes, source->size());
  }
  if (!is_valid_utf8(*source)) {
    return error(Code::kBadFile, "key tokenizer.chat_template: the text is not UTF-8");
  }
  return std::string(*source);
}

Json gguf_metadata_json(const GgufMetadata& metadata) {
  JsonObject out;
  out.reserve(metadata.pairs().size());
  for (const GgufPair& pair : metadata.pairs()) {
    Json value = pair.value.type == GgufType::kText ? text_json(pair.value.bytes)
                 : pair.value.type == GgufType::kArray
                     ? array_json(metadata, pair)
                     : number_json(pair.value.type, pair.value.bytes.data());
    out.emplace_back(std::string(pair.key), std::move(value));
  }
  return out;
}

}  // namespace yunqi
