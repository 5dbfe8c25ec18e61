// Hugging Face's tokenizer files: tokenizer.json, or vocab.json + merges.txt. Untrusted: whatever
// the file asks for and we don't do is refused by its JSON path, never ignored.
#include <algorithm>

#include "base/json.h"
#include "text/bpe.h"
#include "text/bpe_alphabet.h"
#include "text/pretokenizer.h"
#include "text/tokenizer.h"
#include "text/tokenizer_added.h"
#include "text/tokenizer_vocabulary.h"

namespace yunqi {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 28;
constexpr size_t kMaxPathBytes = 80;  // of a name quoted in an error

Status wrong_type(std::string_view path, std::string_view wanted, const Json* found) {
  return error(Code::kBadFile, "{}: want {}, found {}", path, wanted,
               found == nullptr ? "nothing" : found->type_name());
}

Result<Json> parse_file(std::string_view name, std::string_view text) {
  if (text.size() > kMaxFileBytes) {
    return error(Code::kBadFile, "{}: want at most {} bytes, found {}", name, kMaxFileBytes,
                 text.size());
  }
  auto json = parse_json(text);
  if (!json.is_ok()) return error(Code::kBadFile, "{}: {}", name, json.status().message());
  if (!json->is_object()) return wrong_type(name, "an object", &*json);
  return json;
}

// The member's string, or "" when it is missing or null.
Result<std::string_view> optional_string(const Json& object, std::string_view key,
                                         std::string_view path) {
  const Json* value = object.find(key);
  if (value == nullptr || value->is_null()) return std::string_view();
  if (!value->is_string()) return wrong_type(fmt::format("{}.{}", path, key), "a string", value);
  return std::string_view(value->as_string());
}

Result<bool> optional_bool(const Json& object, std::string_view key, std::string_view path) {
  const Json* value = object.find(key);
  if (value == nullptr || value->is_null()) return false;
  if (!value->is_bool()) return wrong_type(fmt::format("{}.{}", path, key), "true or false", value);
  return value->as_bool();
}

Status read_vocabulary(const Json* vocabulary, std::string_view path, TokenizerSpec& spec) {
  if (vocabulary == nullptr || !vocabulary->is_object()) {
    return wrong_type(path, "an object", vocabulary);
  }
  for (const auto& [name, id_value] : vocabulary->as_object()) {
    const std::string_view shown = std::string_view(name).substr(0, kMaxPathBytes);
    if (!id_value.is_int() || id_value.as_int() < 0 ||
        id_value.as_int() >= static_cast<int64_t>(kMaxTokens)) {
      return error(Code::kBadFile, "{}[\"{}\"]: want an id from 0 to {}, found {}", path, shown,
                   kMaxTokens - 1, id_value.is_int() ? id_value.dump() : id_value.type_name());
    }
    auto bytes = decode_byte_alphabet(name);
    if (!bytes || bytes->empty()) {
      return error(Code::kBadFile, "{}[\"{}\"]: want one or more letters of the byte alphabet",
                   path, shown);
    }
    const auto id = static_cast<size_t>(id_value.as_int());
    if (id >= spec.tokens.size()) spec.tokens.resize(id + 1);
    if (!spec.tokens[id].empty()) {
      return error(Code::kBadFile, "{}[\"{}\"]: id {} is taken by another entry", path, shown, id);
    }
    spec.tokens[id] = *std::move(bytes);
  }
  return Status::ok();
}

// `left` and `right` in the byte alphabet; false when one is not.
bool append_merge(std::string_view left, std::string_view right, TokenizerSpec& spec) {
  auto left_bytes = decode_byte_alphabet(left);
  auto right_bytes = decode_byte_alphabet(right);
  if (!left_bytes || !right_bytes || left_bytes->empty() || right_bytes->empty()) return false;
  spec.merges.emplace_back(*std::move(left_bytes), *std::move(right_bytes));
  return true;
}

// "left right" with exactly one space.
bool append_merge_line(std::string_view line, TokenizerSpec& spec) {
  const size_t space = line.find(' ');
  return space != std::string_view::npos &&
         append_merge(line.substr(0, space), line.substr(space + 1), spec);
}

Status read_merges(const Json* merges, TokenizerSpec& spec) {
  if (merges == nullptr || !merges->is_array())
    return wrong_type("model.merges", "an array", merges);
  const JsonArray& list = merges->as_array();
  if (list.size() > kMaxMerges) {
    return error(Code::kBadFile, "model.merges: want at most {}, found {}", kMaxMerges,
                 list.size());
  }
  spec.merges.reserve(list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    bool good = false;
    if (list[i].is_string()) {
      good = append_merge_line(list[i].as_string(), spec);
    } else if (list[i].is_array()) {
      const JsonArray& pair = list[i].as_array();
      good = pair.size() == 2 && pair[0].is_string() && pair[1].is_string() &&
             append_merge(pair[0].as_string(), pair[1].as_string(), spec);
    }
    if (!good) {
      return error(Code::kBadFile,
                   "model.merges[{}]: want two pieces in the byte alphabet, as \"a b\" or [a, b]",
                   i);
    }
  }
  return Status::ok();
}

Status read_model(const Json* model, TokenizerSpec& spec) {
  if (model == nullptr || !model->is_object()) return wrong_type("model", "an object", model);
  YQ_TRY(const auto type, optional_string(*model, "type", "model"));
  if (!type.empty() && type != "BPE") {
    return error(Code::kUnsupported, "model.type: want \"BPE\", found \"{}\"",
                 type.substr(0, kMaxPathBytes));
  }
  for (const std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    YQ_TRY(const auto affix, optional_string(*model, key, "model"));
    if (!affix.empty()) return error(Code::kUnsupported, "model.{}: want none", key);
  }
  YQ_TRY(const bool byte_fallback, optional_bool(*model, "byte_fallback", "model"));
  if (byte_fallback) {
    return error(Code::kUnsupported, "model.byte_fallback: want false for a byte-level vocabulary");
  }
  const Json* dropout = model->find("dropout");
  if (dropout != nullptr && dropout->is_number() && dropout->as_double() != 0.0) {
    return error(Code::kUnsupported, "model.dropout: want none; ids must not be random");
  }
  YQ_TRY(spec.whole_pieces_first, optional_bool(*model, "ignore_merges", "model"));
  YQ_RETURN_IF_ERROR(read_vocabulary(model->find("vocab"), "model.vocab", spec));
  return read_merges(model->find("merges"), spec);
}

Status read_normalizer(const Json* normalizer, TokenizerSpec& spec) {
  spec.nfc = false;
  if (normalizer == nullptr || normalizer->is_null()) return Status::ok();
  YQ_TRY(const auto type, optional_string(*normalizer, "type", "normalizer"));
  if (type == "NFC") {
    spec.nfc = true;
    return Status::ok();
  }
  return error(Code::kUnsupported, "normalizer.type: want \"NFC\" or no normalizer, found \"{}\"",
               type.substr(0, kMaxPathBytes));
}

Status read_split(const Json& split, std::string_view path, TokenizerSpec& spec) {
  YQ_TRY(const auto behavior, optional_string(split, "behavior", path));
  YQ_TRY(const bool invert, optional_bool(split, "invert", path));
  if (behavior != "Isolated" || invert) {
    return error(Code::kUnsupported, "{}: want behavior \"Isolated\", not inverted", path);
  }
  const Json* pattern = split.find("pattern");
  if (pattern == nullptr) return wrong_type(fmt::format("{}.pattern", path), "an object", pattern);
  YQ_TRY(const auto regex, optional_string(*pattern, "Regex", fmt::format("{}.pattern", path)));
  for (const PreTokenizer pre : {PreTokenizer::kQwen2, PreTokenizer::kQwen35}) {
    if (regex == pretokenizer_regex(pre)) {
      spec.pre = pre;
      return Status::ok();
    }
  }
  return error(Code::kUnsupported,
               "{}.pattern.Regex: want one of the two Qwen pre-tokeniser patterns, found another",
               path);
}

// Sequence[Split(regex), ByteLevel(add_prefix_space: false, use_regex: false)].
Status read_pre_tokenizer(const Json* sequence, TokenizerSpec& spec) {
  const Json* steps = sequence == nullptr ? nullptr : sequence->find("pretokenizers");
  if (steps == nullptr || !steps->is_array() || steps->as_array().size() != 2) {
    return error(Code::kUnsupported,
                 "pre_tokenizer: want a Sequence of Split and ByteLevel, found another");
  }
  const std::string_view names[] = {"Split", "ByteLevel"};
  for (size_t i = 0; i < 2; ++i) {
    const Json& step = steps->as_array()[i];
    const std::string path = fmt::format("pre_tokenizer.pretokenizers[{}]", i);
    YQ_TRY(const auto type, optional_string(step, "type", path));
    if (type != names[i]) {
      return error(Code::kUnsupported, "{}.type: want \"{}\", found \"{}\"", path, names[i],
                   type.substr(0, kMaxPathBytes));
    }
    if (i == 0) {
      YQ_RETURN_IF_ERROR(read_split(step, path, spec));
      continue;
    }
    YQ_TRY(const bool prefix_space, optional_bool(step, "add_prefix_space", path));
    const Json* use_regex = step.find("use_regex");  // true when missing
    if (prefix_space || use_regex == nullptr || !use_regex->is_bool() || use_regex->as_bool()) {
      return error(Code::kUnsupported, "{}: want add_prefix_space and use_regex false", path);
    }
  }
  return Status::ok();
}

Result<AddedToken> read_added_token(const Json& entry, int64_t id, const std::string& path) {
  if (!entry.is_object()) return wrong_type(path, "an object", &entry);
  if (id < 0 || id >= static_cast<int64_t>(kMaxTokens)) {
    return error(Code::kBadFile, "{}: want an id from 0 to {}, found {}", path, kMaxTokens - 1, id);
  }
  AddedToken token;
  token.id = static_cast<TokenId>(id);
  YQ_TRY(const auto content, optional_string(entry, "content", path));
  if (content.empty()) return error(Code::kBadFile, "{}.content: want some text, found none", path);
  token.text = content;
  YQ_TRY(token.special, optional_bool(entry, "special", path));
  YQ_TRY(token.lstrip, optional_bool(entry, "lstrip", path));
  YQ_TRY(token.rstrip, optional_bool(entry, "rstrip", path));
  YQ_TRY(token.single_word, optional_bool(entry, "single_word", path));
  YQ_TRY(token.normalized, optional_bool(entry, "normalized", path));
  return token;
}

Status read_added_tokens(const Json* list, TokenizerSpec& spec) {
  if (list == nullptr || list->is_null()) return Status::ok();
  if (!list->is_array()) return wrong_type("added_tokens", "an array", list);
  if (list->as_array().size() > kMaxAddedTokens) {
    return error(Code::kBadFile, "added_tokens: want at most {}, found {}", kMaxAddedTokens,
                 list->as_array().size());
  }
  for (size_t i = 0; i < list->as_array().size(); ++i) {
    const Json& entry = list->as_array()[i];
    const std::string path = fmt::format("added_tokens[{}]", i);
    const Json* id = entry.find("id");
    if (id == nullptr || !id->is_int()) return wrong_type(path + ".id", "an integer", id);
    YQ_TRY(auto token, read_added_token(entry, id->as_int(), path));
    spec.added.push_back(std::move(token));
  }
  return Status::ok();
}

// tokenizer_config.json's {"151643": {"content": ...}, ...}.
Status read_added_tokens_decoder(const Json& decoder, TokenizerSpec& spec) {
  if (!decoder.is_object()) return wrong_type("added_tokens_decoder", "an object", &decoder);
  if (decoder.as_object().size() > kMaxAddedTokens) {
    return error(Code::kBadFile, "added_tokens_decoder: want at most {}, found {}", kMaxAddedTokens,
                 decoder.as_object().size());
  }
  for (const auto& [key, entry] : decoder.as_object()) {
    const std::string path =
        fmt::format("added_tokens_decoder[\"{}\"]", std::string_view(key).substr(0, kMaxPathBytes));
    int64_t id = 0;
    bool digits = !key.empty() && key.size() <= 9;
    for (const char c : key) {
      digits = digits && c >= '0' && c <= '9';
      if (digits) id = id * 10 + (c - '0');
    }
    if (!digits) return error(Code::kBadFile, "{}: want a decimal id as the key", path);
    YQ_TRY(auto token, read_added_token(entry, id, path));
    spec.added.push_back(std::move(token));
  }
  std::sort(spec.added.begin(), spec.added.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return Status::ok();
}

Status read_merges_text(std::string_view text, TokenizerSpec& spec) {
  size_t line_number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line_number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (line_number == 1 && line.starts_with("#version"))) continue;
    if (spec.merges.size() == kMaxMerges) {
      return error(Code::kBadFile, "merges.txt: want at most {} merges", kMaxMerges);
    }
    if (!append_merge_line(line, spec)) {
      return error(Code::kBadFile,
                   "merges.txt line {}: want two pieces in the byte alphabet and one space",
                   line_number);
    }
  }
  return Status::ok();
}

}  // namespace

Result<TokenizerSpec> parse_tokenizer_json(std::string_view text) {
  YQ_TRY(const Json file, parse_file("tokenizer.json", text));
  TokenizerSpec spec;
  YQ_RETURN_IF_ERROR(read_normalizer(file.find("normalizer"), spec));
  YQ_RETURN_IF_ERROR(read_pre_tokenizer(file.find("pre_tokenizer"), spec));
  YQ_RETURN_IF_ERROR(read_model(file.find("model"), spec));
  YQ_RETURN_IF_ERROR(read_added_tokens(file.find("added_tokens"), spec));
  return spec;
}

Result<TokenizerSpec> parse_vocab_and_merges(std::string_view vocab_json,
                                             std::string_view merges_txt,
                                             std::string_view tokenizer_config_json) {
  TokenizerSpec spec;
  YQ_TRY(const Json vocabulary, parse_file("vocab.json", vocab_json));
  YQ_RETURN_IF_ERROR(read_vocabulary(&vocabulary, "vocab.json", spec));
  YQ_RETURN_IF_ERROR(read_merges_text(merges_txt, spec));
  if (tokenizer_config_json.empty()) return spec;
  YQ_TRY(const Json config, parse_file("tokenizer_config.json", tokenizer_config_json));
  if (const Json* decoder = config.find("added_tokens_decoder")) {
    YQ_RETURN_IF_ERROR(read_added_tokens_decoder(*decoder, spec));
  }
  return spec;
}

}  // namespace yunqi
