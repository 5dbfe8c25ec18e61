// Bytes <-> token ids: byte-level BPE as every Qwen checkpoint uses it, from tokenizer.json, a GGUF
// vocabulary or a tiktoken file. Immutable after construction; all methods are thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace yunqi {

using TokenId = int32_t;

// The two pre-tokeniser regexes of the family (research: \p{L}+ runs, or marks joining letters).
enum class PreTokenizer { kQwen2, kQwen35 };

struct AddedToken {
  TokenId id = 0;
  std::string text;
  bool special = false;  // control token: skipped by decode() on request
  // tokenizer.json's flags; Qwen's files set none of them, others are honoured or refused.
  bool lstrip = false, rstrip = false, single_word = false, normalized = false;
};

// What a tokenizer is made of, whatever file it came from. Byte strings are raw bytes, not the
// GPT-2 alphabet.
struct TokenizerSpec {
  PreTokenizer pre = PreTokenizer::kQwen2;
  bool nfc = true;
  // A piece that is in the vocabulary as a whole is taken without merging (tokenizer.json's
  // ignore_merges, and what tiktoken does).
  bool whole_pieces_first = false;
  std::vector<std::string> tokens;  // id -> bytes; empty where the id is unused
  std::vector<std::pair<std::string, std::string>> merges;  // rank order; left and right bytes
  std::vector<AddedToken> added;
};

// The text of a Hugging Face tokenizer.json. Errors name the JSON path.
Result<TokenizerSpec> parse_tokenizer_json(std::string_view text);
// vocab.json + merges.txt, with the added tokens of tokenizer_config.json (may be empty).
Result<TokenizerSpec> parse_vocab_and_merges(std::string_view vocab_json,
                                             std::string_view merges_txt,
                                             std::string_view tokenizer_config_json);
// GGUF's arrays: tokens in the GPT-2 alphabet, token types (3 control, 4 user-defined), merges
// "left right", pre-tokeniser name ("qwen2", "qwen35").
Result<TokenizerSpec> spec_from_gguf(std::span<const std::string_view> tokens,
                                     std::span<const int32_t> types,
                                     std::span<const std::string_view> merges,
                                     std::string_view pre);
// A tiktoken file ("base64 rank" lines); merges are derived from ranks. `added` from the caller.
Result<TokenizerSpec> parse_tiktoken(std::string_view text, std::vector<AddedToken> added);

struct EncodeOptions {
  // When false, the text of an added token in user input is encoded as ordinary text, so that a
  // client can't inject control tokens. Templates are rendered with marks and encode with true.
  bool allow_added_tokens = false;
};

class Tokenizer {
 public:
  // Validates the spec: ids in range, merges resolvable, all 256 bytes present, no duplicates.
  static Result<Tokenizer> create(TokenizerSpec spec);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Linear in the text. Invalid UTF-8 is encoded byte for byte (byte-level BPE can), without NFC.
  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options = {}) const;
  void encode_append(std::string_view text, const EncodeOptions& options,
                     std::vector<TokenId>& out) const;

  // The bytes of the ids, joined; unknown ids give nothing. May end inside a UTF-8 character.
  std::string decode(std::span<const TokenId> ids, bool skip_special = false) const;
  // The bytes of one token ("" for unknown ids); valid as long as the tokenizer.
  std::string_view token_bytes(TokenId id) const;

  // The id of an added token or of an exact vocabulary entry (raw bytes), or -1.
  TokenId find(std::string_view bytes) const;
  bool is_special(TokenId id) const;
  bool is_added(TokenId id) const;
  std::span<const AddedToken> added_tokens() const;
  // The first added token that begins at `from` or later, the longest of those that begin there;
  // nullopt when there is none. Linear in the text that is passed over.
  struct AddedMatch {
    size_t begin = 0, end = 0;
    TokenId id = 0;
  };
  std::optional<AddedMatch> find_added(std::string_view text, size_t from) const;
  // One more than the highest id in use. A model's padded rows beyond it must never be sampled.
  int32_t size() const;
  // SHA-256 over the spec, for fingerprints.
  std::string fingerprint() const;

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<const State> state);
  std::unique_ptr<const State> state_;
};

// Turns a stream of ids into text without ever cutting a character: bytes that start one are held
// back until it is whole; invalid bytes come out as U+FFFD. One per output stream; not thread-safe.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = true)
      : tokenizer_(&tokenizer), skip_special_(skip_special) {}

  // The text that became final with this token; often empty inside multi-byte characters.
  std::string push(TokenId id);
  // What is held back, as U+FFFD; call once at the end.
  std::string finish();

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_;
  std::string pending_;  // < 4 bytes
};

}  // namespace yunqi
