// The formats of JSON Schema as regular expressions: dates with their days, addresses, names.
#include <map>
#include <mutex>
#include <string>

#include "base/check.h"
#include "text/json_schema_values.h"
#include "text/regex.h"

namespace yunqi {
namespace {

std::map<std::string, std::string, std::less<>> make_formats() {
  const std::string leap =
      "([0-9][0-9](0[48]|[2468][048]|[13579][26])|(0[048]|[2468][048]|[13579][26])00)";
  const std::string date =
      "([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
      "|02-(0[1-9]|1[0-9]|2[0-8]))|" +
      leap + "-02-29)";
  const std::string clock = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?";
  const std::string time = clock + "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";
  const std::string octet = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
  const std::string ipv4 = octet + "(\\." + octet + "){3}";
  const std::string h = "[0-9A-Fa-f]{1,4}";
  std::string ipv6 = "((" + h + ":){7}" + h + "|(" + h + ":){6}" + ipv4;
  // n groups before `::` and at most 7 - n after it.
  for (int n = 0; n <= 7; ++n) {
    ipv6 += "|";
    if (n > 0) ipv6 += h + "(:" + h + "){" + std::to_string(n - 1) + "}";
    ipv6 += "::";
    if (n < 7) ipv6 += "(" + h + "(:" + h + "){0," + std::to_string(6 - n) + "})?";
    if (n <= 5)
      ipv6 += "|" + (n > 0 ? h + "(:" + h + "){" + std::to_string(n - 1) + "}" : std::string()) +
              "::(" + h + ":){0," + std::to_string(5 - n) + "}" + ipv4;
  }
  ipv6 += ")";
  const std::string label = "[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?";
  const std::string hostname = label + "(\\." + label + "){0,6}";
  const std::string pct = "%[0-9A-Fa-f]{2}";
  const std::string pchar = "([A-Za-z0-9._~!$&'()*+,;=:@-]|" + pct + ")";
  const std::string authority = "([A-Za-z0-9._~!$&'()*+,;=:-]|" + pct + ")+@";
  const std::string uri_tail =
      "(/" + pchar + "*)*(\\?(" + pchar + "|[/?])*)?(#(" + pchar + "|[/?])*)?";
  const std::string host = "([A-Za-z0-9._~-]|" + pct + ")+";
  const std::string uri = "[A-Za-z][A-Za-z0-9+.-]*:(//(" + authority + ")?" + host +
                          "(:[0-9]{1,5})?" + uri_tail + "|" + pchar + "+" + uri_tail + ")";
  const std::string atext = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
  return {
      {"date", date},
      {"time", time},
      {"date-time", date + "[Tt]" + time},
      {"duration",
       "P([0-9]{1,9}W|(([0-9]{1,9}Y)?([0-9]{1,9}M)?[0-9]{1,9}D|[0-9]{1,9}Y([0-9]{1,9}M)?|[0-9]{1,9}"
       "M)"
       "(T([0-9]{1,9}H([0-9]{1,9}M([0-9]{1,9}S)?)?|[0-9]{1,9}M([0-9]{1,9}S)?|[0-9]{1,9}S))?"
       "|T([0-9]{1,9}H([0-9]{1,9}M([0-9]{1,9}S)?)?|[0-9]{1,9}M([0-9]{1,9}S)?|[0-9]{1,9}S))"},
      {"email", atext + "(\\." + atext + "){0,3}@" + hostname},
      {"hostname", hostname},
      {"ipv4", ipv4},
      {"ipv6", ipv6},
      {"uuid", "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"},
      {"uri", uri},
      {"json-pointer", "(/([^/~]|~[01])*)*"},
  };
}

}  // namespace

std::shared_ptr<const Dfa> format_dfa(std::string_view name) {
  static const auto patterns = make_formats();
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<const Dfa>, std::less<>> made;
  const std::lock_guard lock(mutex);
  if (const auto at = made.find(name); at != made.end()) return at->second;
  const auto at = patterns.find(name);
  if (at == patterns.end()) return nullptr;
  Result<Dfa> dfa = compile_regex(at->second, Anchoring::kFull);
  YQ_CHECK(dfa.is_ok(), "format {}: {}", name, dfa.status().to_string());
  return made[std::string(name)] = std::make_shared<const Dfa>(*std::move(dfa));
}

}  // namespace yunqi
