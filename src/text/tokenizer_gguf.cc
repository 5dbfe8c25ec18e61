// The tokenizer of a GGUF file. Its arrays come from untrusted bytes: every entry is checked.
#include <algorithm>

#include "text/bpe.h"
#include "text/bpe_alphabet.h"
#include "text/tokenizer.h"
#include "text/tokenizer_vocabulary.h"

namespace yunqi {
namespace {

// tokenizer.ggml.token_type's values.
constexpr int32_t kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// "<0x0A>" -> that byte; -1 unless it is exactly two hex digits.
int parse_byte_token(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  const int high = hex_digit(text[3]), low = hex_digit(text[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

Status take_token(size_t id, std::string_view text, int32_t type, TokenizerSpec& spec) {
  switch (type) {
    case kNormal: {
      auto bytes = decode_byte_alphabet(text);
      if (!bytes) {
        return error(Code::kBadFile,
                     "tokenizer.ggml.tokens[{}]: a character is outside the byte alphabet", id);
      }
      spec.tokens[id] = *std::move(bytes);
      return Status::ok();
    }
    case kControl:
    case kUserDefined:
      if (!text.empty()) {
        spec.added.push_back({.id = static_cast<TokenId>(id),
                              .text = std::string(text),
                              .special = type == kControl});
      }
      return Status::ok();
    case kByte: {
      const int byte = parse_byte_token(text);
      if (byte < 0) {
        return error(Code::kBadFile,
                     "tokenizer.ggml.tokens[{}]: want a byte token like <0x0A>, found another text",
                     id);
      }
      spec.tokens[id] = std::string(1, static_cast<char>(byte));
      return Status::ok();
    }
    case kUnknown:
    case kUnused:
      return Status::ok();  // padding rows
    default:
      return error(Code::kBadFile, "tokenizer.ggml.token_type[{}]: want 1 to 6, found {}", id,
                   type);
  }
}

Result<PreTokenizer> pre_from_name(std::string_view name) {
  if (name == "qwen2") return PreTokenizer::kQwen2;
  if (name == "qwen35") return PreTokenizer::kQwen35;
  return error(Code::kUnsupported, "tokenizer.ggml.pre: want \"qwen2\" or \"qwen35\", found \"{}\"",
               name.substr(0, 64));
}

}  // namespace

Result<TokenizerSpec> spec_from_gguf(std::span<const std::string_view> tokens,
                                     std::span<const int32_t> types,
                                     std::span<const std::string_view> merges,
                                     std::string_view pre) {
  TokenizerSpec spec;
  YQ_TRY(spec.pre, pre_from_name(pre));
  if (tokens.size() > kMaxTokens) {
    return error(Code::kBadFile, "tokenizer.ggml.tokens: want at most {}, found {}", kMaxTokens,
                 tokens.size());
  }
  if (merges.size() > kMaxMerges) {
    return error(Code::kBadFile, "tokenizer.ggml.merges: want at most {}, found {}", kMaxMerges,
                 merges.size());
  }
  if (types.size() != tokens.size()) {
    return error(Code::kBadFile, "tokenizer.ggml.token_type: want {} entries, found {}",
                 tokens.size(), types.size());
  }
  spec.tokens.resize(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id) {
    YQ_RETURN_IF_ERROR(take_token(id, tokens[id], types[id], spec));
  }
  spec.merges.reserve(merges.size());
  for (size_t i = 0; i < merges.size(); ++i) {
    const size_t space = merges[i].find(' ');
    const bool pair = space != std::string_view::npos && space > 0 &&
                      space + 1 < merges[i].size() &&
                      merges[i].find(' ', space + 1) == std::string_view::npos;
    auto left = pair ? decode_byte_alphabet(merges[i].substr(0, space)) : std::nullopt;
    auto right = pair ? decode_byte_alphabet(merges[i].substr(space + 1)) : std::nullopt;
    if (!left || !right) {
      return error(Code::kBadFile,
                   "tokenizer.ggml.merges[{}]: want two pieces in the byte alphabet and one space",
                   i);
    }
    spec.merges.emplace_back(*std::move(left), *std::move(right));
  }
  return spec;
}

}  // namespace yunqi
