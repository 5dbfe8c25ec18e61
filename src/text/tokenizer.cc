// The tokenizer's own work: cut text at added tokens, normalise, cut into pieces, merge each piece;
// and the way back. State is immutable, so every method may be called from any thread.
#include "text/tokenizer.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <unordered_map>
#include <utility>

#include "base/sha256.h"
#include "text/bpe.h"
#include "text/nfc.h"
#include "text/pretokenizer.h"
#include "text/tokenizer_added.h"
#include "text/tokenizer_vocabulary.h"
#include "text/unicode.h"

namespace yunqi {

struct Tokenizer::State {
  PreTokenizer pre = PreTokenizer::kQwen2;
  bool nfc = true;
  Vocabulary vocabulary;
  BytePairEncoder merges;
  bool whole_pieces_first = false;
  // By id, whether its bytes as a piece encode to this one id; worked out when first asked, since
  // asking for all would double the start. Racing threads write the same answer.
  enum Whole : uint8_t { kUnknown, kYes, kNo };
  std::unique_ptr<std::atomic<uint8_t>[]> whole;
  std::vector<AddedToken> added;
  std::unordered_map<TokenId, size_t> added_by_id;
  std::map<std::string, TokenId, std::less<>> added_by_text;
  AddedTokenMatcher raw_matcher;         // tokens found before NFC
  AddedTokenMatcher normalized_matcher;  // tokens found after it
  AddedTokenMatcher any_matcher;         // both, by the text they are given with
  TokenId size = 0;
  std::string fingerprint;

  Status take_added(std::vector<AddedToken> tokens);
  bool is_whole(TokenId id) const;
  void split(const AddedTokenMatcher& matcher, std::string_view text, auto&& between,
             std::vector<TokenId>& out) const;
  void encode_raw(std::string_view text, bool allow_added, std::vector<TokenId>& out) const;
  void encode_normalized(std::string_view text, bool allow_added, std::vector<TokenId>& out) const;
  void encode_pieces(std::string_view text, std::vector<TokenId>& out) const;
};

namespace {

// Feeds SHA-256 through a buffer: a vocabulary is half a million tiny strings.
class SpecHasher {
 public:
  void add(uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) buffer_ += static_cast<char>(number >> shift);
  }
  void add(std::string_view text) {
    add(uint64_t{text.size()});
    buffer_ += text;
    if (buffer_.size() >= kFlushBytes) flush();
  }
  std::string finish() {
    flush();
    return to_hex(hash_.finish());
  }

 private:
  static constexpr size_t kFlushBytes = 1 << 16;
  void flush() {
    hash_.update(buffer_);
    buffer_.clear();
  }
  Sha256 hash_;
  std::string buffer_;
};

std::string fingerprint_of(const TokenizerSpec& spec) {
  SpecHasher hash;
  hash.add("yunqi tokenizer 1");
  hash.add(pretokenizer_regex(spec.pre));
  hash.add(uint64_t{spec.nfc} | uint64_t{spec.whole_pieces_first} << 1);
  hash.add(uint64_t{spec.tokens.size()});
  for (const std::string& token : spec.tokens) hash.add(token);
  hash.add(uint64_t{spec.merges.size()});
  for (const auto& [left, right] : spec.merges) {
    hash.add(left);
    hash.add(right);
  }
  for (const AddedToken& token : spec.added) {
    hash.add(static_cast<uint64_t>(token.id));
    hash.add(token.text);
    hash.add(uint64_t{token.special} | uint64_t{token.lstrip} << 1 | uint64_t{token.rstrip} << 2 |
             uint64_t{token.normalized} << 3);
  }
  return hash.finish();
}

bool is_space_at(std::string_view text, size_t at, size_t& length) {
  const ScannedChar c = scan_char(text, at);
  length = c.length;
  if (!c.valid) return false;
  const auto kind = static_cast<CharClass>(char_info(c.code_point) & kCharClassMask);
  return kind == CharClass::kSpace || kind == CharClass::kNewline;
}

size_t skip_spaces(std::string_view text, size_t at) {
  size_t length = 0;
  while (at < text.size() && is_space_at(text, at, length)) at += length;
  return at;
}

// The start of the white space that ends at `end`, not before `from`.
size_t skip_spaces_back(std::string_view text, size_t from, size_t end) {
  while (end > from) {
    size_t start = end - 1, length = 0;
    while (start > from && end - start < 4 && (text[start] & 0xC0) == 0x80) --start;
    if (!is_space_at(text, start, length) || start + length != end) break;
    end = start;
  }
  return end;
}

Status check_added(const AddedToken& token) {
  if (token.id < 0 || static_cast<size_t>(token.id) >= kMaxTokens) {
    return error(Code::kBadFile, "added token id {}: want 0 to {}", token.id, kMaxTokens - 1);
  }
  if (token.text.empty() || token.text.size() > kMaxAddedTokenBytes) {
    return error(Code::kBadFile, "added token {}: want 1 to {} bytes of text, found {}", token.id,
                 kMaxAddedTokenBytes, token.text.size());
  }
  if (token.single_word) {
    return error(Code::kUnsupported, "added token {}: single_word is not supported", token.id);
  }
  return Status::ok();
}

}  // namespace

Status Tokenizer::State::take_added(std::vector<AddedToken> tokens) {
  if (tokens.size() > kMaxAddedTokens) {
    return error(Code::kBadFile, "added tokens: want at most {}, found {}", kMaxAddedTokens,
                 tokens.size());
  }
  added = std::move(tokens);
  std::vector<std::string> raw(added.size()), normalized(added.size()), all(added.size());
  size_t total = 0;
  for (size_t i = 0; i < added.size(); ++i) {
    const AddedToken& token = added[i];
    YQ_RETURN_IF_ERROR(check_added(token));
    const std::string_view same_id = vocabulary.bytes(token.id);
    const TokenId same_text = vocabulary.find(token.text);
    if (!same_id.empty() && same_id != token.text) {
      return error(Code::kBadFile, "added token {} has the id of another vocabulary entry",
                   token.id);
    }
    if (same_text >= 0 && same_text != token.id) {
      return error(Code::kBadFile, "added token {} has the text of vocabulary entry {}", token.id,
                   same_text);
    }
    if (!added_by_id.emplace(token.id, i).second) {
      return error(Code::kBadFile, "added token id {} is there twice", token.id);
    }
    if (!added_by_text.emplace(token.text, token.id).second) {
      return error(Code::kBadFile, "added token {} repeats the text of another", token.id);
    }
    const bool after_nfc = token.normalized && nfc && check_nfc(token.text) == NfcNeed::kActive;
    (token.normalized ? normalized : raw)[i] = after_nfc ? normalize_nfc(token.text) : token.text;
    all[i] = token.text;
    total += token.text.size();
    size = std::max(size, token.id + 1);
  }
  if (total > kMaxAddedTotalBytes) {
    return error(Code::kBadFile, "added tokens: want at most {} bytes of text, found {}",
                 kMaxAddedTotalBytes, total);
  }
  raw_matcher = AddedTokenMatcher::build(raw);
  normalized_matcher = AddedTokenMatcher::build(normalized);
  any_matcher = AddedTokenMatcher::build(all);
  return Status::ok();
}

bool Tokenizer::State::is_whole(TokenId id) const {
  if (whole_pieces_first) return true;
  std::atomic<uint8_t>& known = whole[static_cast<size_t>(id)];
  uint8_t answer = known.load(std::memory_order_relaxed);
  if (answer == kUnknown) {
    std::vector<TokenId> ids;
    merges.encode(vocabulary.bytes(id), ids);
    answer = ids.size() == 1 ? kYes : kNo;
    known.store(answer, std::memory_order_relaxed);
  }
  return answer == kYes;
}

Result<Tokenizer> Tokenizer::create(TokenizerSpec spec) {
  auto state = std::make_unique<State>();
  state->pre = spec.pre;
  state->nfc = spec.nfc;
  YQ_TRY(state->vocabulary, Vocabulary::build(spec.tokens));
  YQ_TRY(state->merges, BytePairEncoder::build(state->vocabulary, spec.merges));
  for (size_t id = spec.tokens.size(); id > 0 && state->size == 0; --id) {
    if (!spec.tokens[id - 1].empty()) state->size = static_cast<TokenId>(id);
  }
  state->fingerprint = fingerprint_of(spec);
  YQ_RETURN_IF_ERROR(state->take_added(std::move(spec.added)));
  state->whole_pieces_first = spec.whole_pieces_first;
  state->whole = std::make_unique<std::atomic<uint8_t>[]>(spec.tokens.size());
  return Tokenizer(std::move(state));
}

Tokenizer::Tokenizer(std::unique_ptr<const State> state) : state_(std::move(state)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

// Calls between(stretch) for the text between the matcher's tokens and appends the tokens.
void Tokenizer::State::split(const AddedTokenMatcher& matcher, std::string_view text,
                             auto&& between, std::vector<TokenId>& out) const {
  size_t done = 0;
  AddedTokenMatcher::Match match;
  while (matcher.find(text, done, match)) {
    const AddedToken& token = added[match.token];
    if (token.lstrip) match.begin = skip_spaces_back(text, done, match.begin);
    if (token.rstrip) match.end = skip_spaces(text, match.end);
    if (match.begin > done) between(text.substr(done, match.begin - done));
    out.push_back(token.id);
    done = match.end;
  }
  if (done < text.size()) between(text.substr(done));
}

void Tokenizer::State::encode_raw(std::string_view text, bool allow_added,
                                  std::vector<TokenId>& out) const {
  if (nfc && check_nfc(text) == NfcNeed::kActive) {
    encode_normalized(normalize_nfc(text), allow_added, out);
  } else {
    encode_normalized(text, allow_added, out);
  }
}

void Tokenizer::State::encode_normalized(std::string_view text, bool allow_added,
                                         std::vector<TokenId>& out) const {
  if (!allow_added || normalized_matcher.empty()) {
    encode_pieces(text, out);
  } else {
    split(
        normalized_matcher, text, [&](std::string_view part) { encode_pieces(part, out); }, out);
  }
}

void Tokenizer::State::encode_pieces(std::string_view text, std::vector<TokenId>& out) const {
  for (size_t at = 0; at < text.size();) {
    const size_t end = find_piece_end(pre, text, at);
    const std::string_view piece = text.substr(at, end - at);
    at = end;
    const TokenId id = vocabulary.find(piece);
    if (id >= 0 && is_whole(id)) {
      out.push_back(id);
    } else {
      merges.encode(piece, out);
    }
  }
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  std::vector<TokenId> out;
  encode_append(text, options, out);
  return out;
}

void Tokenizer::encode_append(std::string_view text, const EncodeOptions& options,
                              std::vector<TokenId>& out) const {
  const bool allow = options.allow_added_tokens;
  if (!allow || state_->raw_matcher.empty()) {
    state_->encode_raw(text, allow, out);
    return;
  }
  state_->split(
      state_->raw_matcher, text,
      [&](std::string_view part) { state_->encode_raw(part, true, out); }, out);
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::string out;
  for (const TokenId id : ids) {
    if (!skip_special || !is_special(id)) out += token_bytes(id);
  }
  return out;
}

std::string_view Tokenizer::token_bytes(TokenId id) const {
  const std::string_view bytes = state_->vocabulary.bytes(id);
  if (!bytes.empty()) return bytes;
  const auto added = state_->added_by_id.find(id);
  return added == state_->added_by_id.end() ? std::string_view()
                                            : state_->added[added->second].text;
}

TokenId Tokenizer::find(std::string_view bytes) const {
  const auto added = state_->added_by_text.find(bytes);
  return added != state_->added_by_text.end() ? added->second : state_->vocabulary.find(bytes);
}

bool Tokenizer::is_special(TokenId id) const {
  const auto added = state_->added_by_id.find(id);
  return added != state_->added_by_id.end() && state_->added[added->second].special;
}

bool Tokenizer::is_added(TokenId id) const { return state_->added_by_id.contains(id); }

std::span<const AddedToken> Tokenizer::added_tokens() const { return state_->added; }

std::optional<Tokenizer::AddedMatch> Tokenizer::find_added(std::string_view text,
                                                           size_t from) const {
  AddedTokenMatcher::Match match;
  if (!state_->any_matcher.find(text, from, match)) return std::nullopt;
  return AddedMatch{match.begin, match.end, state_->added[match.token].id};
}
int32_t Tokenizer::size() const { return state_->size; }
std::string Tokenizer::fingerprint() const { return state_->fingerprint; }

}  // namespace yunqi
