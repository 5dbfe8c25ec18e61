// Keys are random texts of one alphabet, so every check is a matter of places and characters.
#include "tenancy/api_key.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/file_lock.h"
#include "base/output_file.h"
#include "base/sha256.h"
#include "store/token.h"

namespace yunqi {
namespace {

constexpr std::string_view kPrefix = "sk-yq-";
constexpr std::string_view kAlphabet = "abcdefghijkmnpqrstuvwxyz23456789";
constexpr size_t kHmacBlock = 64;

constexpr size_t kKeyCharacters =
    kPrefix.size() + kKeyIdCharacters + 1 + kKeySecretCharacters + 1 + kKeyChecksumCharacters;

std::string raw_bytes(const Sha256Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// 30 bits of SHA-256 over all before it: no proof, but a typing error passes once in 10^9.
std::string checksum_of(std::string_view body) {
  const Sha256Digest digest = sha256(body);
  std::string out;
  for (size_t i = 0; i < kKeyChecksumCharacters; ++i) out += kAlphabet[digest[i] & 31u];
  return out;
}

bool is_token(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return kAlphabet.find(c) != std::string_view::npos; });
}

// Private before there is anything to read: written in a folder closed to others, then renamed.
Status write_private(const Path& path, std::string_view bytes) {
  namespace fs = std::filesystem;
  const Path folder = path.string() + "." + random_token(10);
  const Path draft = folder / "draft";
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (!failed) fs::permissions(folder, fs::perms::owner_all, failed);
  if (failed) {
    return error(Code::kPermission, "{}: can't make a private folder: {}", folder.string(),
                 failed.message());
  }
  Status status = write_file_atomically(draft, bytes);
  if (status.is_ok()) {
    fs::permissions(draft, fs::perms::owner_read | fs::perms::owner_write, failed);
    status = failed ? error(Code::kPermission, "{}: {}", draft.string(), failed.message())
                    : rename_durably(draft, path);
  }
  fs::remove_all(folder, failed);
  return status;
}

}  // namespace

std::string hmac_sha256(std::string_view key, std::string_view message) {
  std::string block = key.size() > kHmacBlock ? raw_bytes(sha256(key)) : std::string(key);
  block.resize(kHmacBlock, '\0');
  std::string inner = block, outer = block;
  for (char& c : inner) c = static_cast<char>(c ^ 0x36);
  for (char& c : outer) c = static_cast<char>(c ^ 0x5C);
  Sha256 first, second;
  first.update(inner).update(message);
  const std::string hash = raw_bytes(first.finish());
  second.update(outer).update(hash);
  return raw_bytes(second.finish());
}

KeyText make_key() {
  const std::string id = random_token(kKeyIdCharacters);
  const std::string body =
      std::string(kPrefix) + id + "-" + random_token(kKeySecretCharacters) + "-";
  return {id, Secret(body + checksum_of(body))};
}

std::string key_id_of(std::string_view text) {
  if (text.size() != kKeyCharacters || !text.starts_with(kPrefix)) return {};
  const std::string_view id = text.substr(kPrefix.size(), kKeyIdCharacters);
  const size_t secret_at = kPrefix.size() + kKeyIdCharacters + 1;
  const std::string_view secret = text.substr(secret_at, kKeySecretCharacters);
  const size_t checksum_at = secret_at + kKeySecretCharacters + 1;
  const bool has_dashes = text[secret_at - 1] == '-' && text[checksum_at - 1] == '-';
  if (!has_dashes || !is_token(id) || !is_token(secret)) return {};
  if (text.substr(checksum_at) != checksum_of(text.substr(0, checksum_at))) return {};
  return std::string(id);
}

Secret key_digest(const Secret& pepper, std::string_view text) {
  const std::string mac = hmac_sha256(pepper.reveal(), "yunqi api key 1:" + std::string(text));
  return Secret(to_hex({reinterpret_cast<const uint8_t*>(mac.data()), mac.size()}));
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
    // The loop may not end early however clever the compiler is.
    __asm__ __volatile__("" : "+r"(difference));
  }
  return difference == 0;
}

std::string redact_keys(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t at = std::min(text.find(kPrefix), text.size());
    out += text.substr(0, at);
    text.remove_prefix(at);
    if (text.empty()) break;
    size_t length = kPrefix.size();
    while (length < text.size() &&
           (text[length] == '-' || kAlphabet.find(text[length]) != std::string_view::npos)) {
      ++length;
    }
    out += kPrefix;
    if (length > kPrefix.size()) out += "***";
    text.remove_prefix(length);
  }
  return out;
}

Result<Secret> load_pepper(const Path& path) {
  std::error_code failed;
  if (!std::filesystem::exists(path, failed)) {
    // Two servers that start at once must not each make one.
    YQ_TRY(const FileLock lock, FileLock::acquire(path.string() + ".lock", [] { return true; }));
    if (!std::filesystem::exists(path, failed)) {
      const std::string pepper = random_token(2 * kMinPepperBytes);
      YQ_RETURN_IF_ERROR(write_private(path, pepper));
      return Secret(pepper);
    }
  }
  auto text = read_file(path, 4096);
  if (!text.is_ok()) return text.status().with_context("the keys' pepper");
  Secret pepper(std::move(text).value());
  if (pepper.reveal().size() < kMinPepperBytes) {
    return error(Code::kBadFile, "{}: want at least {} bytes; restore it, keys depend on it",
                 path.string(), kMinPepperBytes);
  }
  return pepper;
}

}  // namespace yunqi
