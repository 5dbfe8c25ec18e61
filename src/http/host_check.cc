// See host_check.h.
#include "http/host_check.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "http/ascii.h"

namespace yunqi {
namespace {

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::any_of(list.begin(), list.end(), [&](const std::string& each) {
    return each == "*" || lower_ascii(each) == lower_ascii(item);
  });
}

bool is_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), port);
  return !text.empty() && failed == std::errc() && end == text.data() + text.size() &&
         port <= 65535;
}

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

// The first of four decimal octets; nothing for what else some resolvers take as an address, such
// as "127.1" and "0x7f.1".
std::optional<unsigned> first_octet(std::string_view name) {
  unsigned first = 0;
  for (int octets = 0; octets < 4; ++octets) {
    if (octets > 0 && !name.starts_with('.')) return std::nullopt;
    if (octets > 0) name.remove_prefix(1);
    unsigned value = 0;
    const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), value);
    const auto digits = static_cast<size_t>(end - name.data());
    if (failed != std::errc() || value > 255 || (digits > 1 && name.front() == '0')) {
      return std::nullopt;
    }
    if (octets == 0) first = value;
    name.remove_prefix(digits);
  }
  return name.empty() ? std::optional(first) : std::nullopt;
}

bool is_address(std::string_view name) { return name.starts_with('[') || first_octet(name); }

bool is_every_address(std::string_view bound) {
  return bound.empty() || bound == "0.0.0.0" || bound == "::";
}

}  // namespace

bool is_loopback_name(std::string_view name) {
  return name == "localhost" || name.ends_with(".localhost") || name == "[::1]" || name == "::1" ||
         first_octet(name) == 127u;
}

std::string host_name(std::string_view header) {
  std::string text = lower_ascii(header);
  if (text.empty() || text.size() > 260) return {};
  if (text.front() == '[') {
    const size_t close = text.find(']');
    if (close == std::string::npos) return {};
    const std::string_view rest = std::string_view(text).substr(close + 1);
    if (!rest.empty() && (rest.front() != ':' || !is_port(rest.substr(1)))) return {};
    const std::string_view inside = std::string_view(text).substr(1, close - 1);
    const bool plain = !inside.empty() && std::all_of(inside.begin(), inside.end(), [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == ':' || c == '.';
    });
    return plain ? text.substr(0, close + 1) : std::string();
  }
  const size_t colon = text.find(':');
  if (colon != std::string::npos && !is_port(std::string_view(text).substr(colon + 1))) return {};
  const std::string name = text.substr(0, colon);
  if (name.empty() || !std::all_of(name.begin(), name.end(), is_name_char)) return {};
  return name;
}

Status check_host(const HostRules& rules, std::string_view host_header) {
  const std::string name = host_name(host_header);
  if (name.empty()) {
    return error(Code::kInvalidArgument, "HTTP: want a Host such as \"localhost:8080\"");
  }
  const std::string bound = lower_ascii(rules.bound);
  if (is_loopback_name(name) || name == bound || name == "[" + bound + "]" ||
      contains(rules.allowed_hosts, name) || (is_every_address(bound) && is_address(name))) {
    return Status::ok();
  }
  return error(Code::kPermission,
               "Host \"{}\" is not served here; add it with --allow-host if it is yours", name);
}

Status check_origin(const HostRules& rules, std::string_view origin, std::string_view host_header) {
  if (contains(rules.cors_origins, origin)) return Status::ok();
  const size_t scheme = origin.find("://");
  if (scheme != std::string_view::npos && !host_header.empty() &&
      lower_ascii(origin.substr(scheme + 3)) == lower_ascii(host_header)) {
    return Status::ok();
  }
  return error(Code::kPermission,
               "web pages of another origin may not use this server; allow one with --cors-origin");
}

bool is_cors_origin(const HostRules& rules, std::string_view origin) {
  return contains(rules.cors_origins, origin);
}

}  // namespace yunqi
