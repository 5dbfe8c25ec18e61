// RFC 4291's text forms, read strictly.
#include "tenancy/network.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace yunqi {
namespace {

constexpr int kMappedBits = 96;  // before an IPv4 address inside IPv6

Status refuse(std::string_view text) {
  return error(Code::kInvalidArgument, "want an IP address or network, found \"{}\"",
               text.substr(0, 64));
}

// Decimal without sign or leading zeros, at most `most`.
std::optional<int> decimal(std::string_view text, int most) {
  if (text.empty() || text.size() > 3 || (text.size() > 1 && text[0] == '0')) return {};
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return {};
    value = value * 10 + (c - '0');
  }
  return value <= most ? std::optional(value) : std::nullopt;
}

std::optional<std::array<uint8_t, 4>> parse_v4(std::string_view text) {
  std::array<uint8_t, 4> out{};
  for (size_t i = 0; i < out.size(); ++i) {
    const size_t dot = i + 1 < out.size() ? text.find('.') : text.size();
    if (dot == std::string_view::npos) return {};
    const auto byte = decimal(text.substr(0, dot), 255);
    if (!byte) return {};
    out[i] = static_cast<uint8_t>(*byte);
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  return out;
}

// Groups of one side of "::", appended to `out`; an IPv4 tail counts as two.
bool parse_groups(std::string_view text, std::vector<uint16_t>& out) {
  while (!text.empty()) {
    const size_t colon = text.find(':');
    const std::string_view group = text.substr(0, colon);
    if (group.find('.') != std::string_view::npos) {
      const auto v4 = parse_v4(group);
      if (!v4 || colon != std::string_view::npos) return false;
      out.push_back(static_cast<uint16_t>((*v4)[0] << 8 | (*v4)[1]));
      out.push_back(static_cast<uint16_t>((*v4)[2] << 8 | (*v4)[3]));
      return out.size() <= 8;
    }
    unsigned value = 0;
    const auto [end, failed] =
        std::from_chars(group.data(), group.data() + group.size(), value, 16);
    const bool is_whole = failed == std::errc{} && end == group.data() + group.size();
    if (!is_whole || group.size() > 4 || out.size() >= 8) return false;
    out.push_back(static_cast<uint16_t>(value));
    if (colon == std::string_view::npos) return true;
    text.remove_prefix(colon + 1);
    if (text.empty()) return false;  // ended with one colon
  }
  return true;
}

std::optional<IpAddress> parse_v6(std::string_view text) {
  std::vector<uint16_t> head, tail;
  const size_t gap = text.find("::");
  if (!parse_groups(text.substr(0, gap), head)) return {};
  if (gap != std::string_view::npos && !parse_groups(text.substr(gap + 2), tail)) return {};
  const size_t groups = head.size() + tail.size();
  if (gap == std::string_view::npos ? groups != 8 : groups > 7) return {};
  head.resize(8 - tail.size());
  head.insert(head.end(), tail.begin(), tail.end());
  IpAddress out{};
  for (size_t i = 0; i < 8; ++i) {
    out[2 * i] = static_cast<uint8_t>(head[i] >> 8);
    out[2 * i + 1] = static_cast<uint8_t>(head[i]);
  }
  return out;
}

bool same_bits(const IpAddress& a, const IpAddress& b, int bits) {
  for (int i = 0; i < bits; ++i) {
    const auto byte = static_cast<size_t>(i / 8);
    const int mask = 0x80 >> (i % 8);
    if (((a[byte] ^ b[byte]) & mask) != 0) return false;
  }
  return true;
}

}  // namespace

Result<IpAddress> parse_ip(std::string_view text) {
  if (text.find(':') != std::string_view::npos) {
    const auto v6 = parse_v6(text);
    if (!v6) return refuse(text);
    return *v6;
  }
  const auto v4 = parse_v4(text);
  if (!v4) return refuse(text);
  IpAddress out{};
  out[10] = out[11] = 0xFF;
  std::copy(v4->begin(), v4->end(), out.begin() + kMappedBits / 8);
  return out;
}

bool Network::contains(const IpAddress& ip) const { return same_bits(address, ip, bits); }

bool Network::contains(const Network& other) const {
  return other.bits >= bits && contains(other.address);
}

Result<Network> parse_network(std::string_view text) {
  const size_t slash = text.find('/');
  auto address = parse_ip(text.substr(0, slash));
  if (!address.is_ok()) return refuse(text);
  Network out{*address, 128};
  if (slash == std::string_view::npos) return out;
  const bool is_v6 = text.substr(0, slash).find(':') != std::string_view::npos;
  const auto bits = decimal(text.substr(slash + 1), is_v6 ? 128 : 32);
  if (!bits) return refuse(text);
  out.bits = *bits + (is_v6 ? 0 : kMappedBits);
  for (int i = out.bits; i < 128; ++i) {
    const int mask = 0x80 >> (i % 8);
    if ((out.address[static_cast<size_t>(i / 8)] & mask) == 0) continue;
    return error(Code::kInvalidArgument, "\"{}\" has bits beyond its prefix; write the network",
                 text.substr(0, 64));
  }
  return out;
}

bool is_in_networks(std::string_view ip, const std::vector<std::string>& networks) {
  if (networks.empty()) return true;
  const auto address = parse_ip(ip);
  if (!address.is_ok()) return false;
  return std::any_of(networks.begin(), networks.end(), [&](const std::string& text) {
    const auto network = parse_network(text);
    return network.is_ok() && network->contains(*address);
  });
}

}  // namespace yunqi
