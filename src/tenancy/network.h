// Addresses and networks of keys' IP lists: "10.1.2.3", "10.0.0.0/8", "2001:db8::/32". An IPv4
// address mapped into IPv6 (::ffff:10.1.2.3) is that IPv4 address.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace yunqi {

// As IPv6; IPv4 is mapped into it.
using IpAddress = std::array<uint8_t, 16>;

// kInvalidArgument for anything but one whole address; zones ("%eth0") are refused.
Result<IpAddress> parse_ip(std::string_view text);

struct Network {
  IpAddress address{};
  int bits = 128;  // of `address` that count

  bool contains(const IpAddress& ip) const;
  bool contains(const Network& other) const;
};

// An address, or an address, '/', and the length of the prefix; bits beyond it must be zero.
Result<Network> parse_network(std::string_view text);

// True when `ip` is in one of the networks, or there are none. Malformed entries match nothing.
bool is_in_networks(std::string_view ip, const std::vector<std::string>& networks);

}  // namespace yunqi
