// See page_routes.h.
#include "service/page_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "http/ascii.h"

namespace yunqi {
namespace {

// No inline script or style, nothing from elsewhere, and strings become HTML only through the
// policies of the template compiler and the sanitiser.
constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types svelte-trusted-html dompurify yunqi";

// A year, as RFC 9111 advises for what never changes under its name.
constexpr std::string_view kForever = "public, max-age=31536000, immutable";

// More list members than any client sends; the rest of a longer header is not read.
constexpr int kMaxListMembers = 64;

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Cuts the first member off a comma-separated list.
std::string_view take_member(std::string_view& rest) {
  const size_t comma = std::min(rest.find(','), rest.size());
  const std::string_view member = trim(rest.substr(0, comma));
  rest.remove_prefix(std::min(comma + 1, rest.size()));
  return member;
}

// Thousandths: "gzip;q=0.5" is 500, no weight is 1000, a malformed one is 0.
int weight_of(std::string_view parameters) {
  const std::string text = lower_ascii(trim(parameters));
  if (text.empty()) return 1000;
  if (!text.starts_with("q=")) return 0;
  double weight = 0;
  const auto [end, failed] = std::from_chars(text.data() + 2, text.data() + text.size(), weight);
  const bool whole = failed == std::errc() && end == text.data() + text.size();
  return whole && weight >= 0 && weight <= 1 ? static_cast<int>(weight * 1000) : 0;
}

struct CodingWeights {
  int gzip = -1, brotli = -1, identity = -1, any = -1;  // -1: not mentioned
};

CodingWeights parse_accept_encoding(std::string_view rest) {
  CodingWeights out;
  for (int i = 0; i < kMaxListMembers && !rest.empty(); ++i) {
    const std::string_view member = take_member(rest);
    const size_t semicolon = std::min(member.find(';'), member.size());
    const std::string name = lower_ascii(trim(member.substr(0, semicolon)));
    const int weight =
        semicolon < member.size() ? weight_of(member.substr(semicolon + 1)) : weight_of({});
    if (name == "gzip" || name == "x-gzip") out.gzip = weight;
    if (name == "br") out.brotli = weight;
    if (name == "identity") out.identity = weight;
    if (name == "*") out.any = weight;
  }
  return out;
}

// The comparison of If-None-Match is weak (RFC 9110 section 13.1.2): W/ does not count.
bool matches_etag(std::string_view rest, std::string_view etag) {
  for (int i = 0; i < kMaxListMembers && !rest.empty(); ++i) {
    std::string_view member = take_member(rest);
    if (member == "*") return true;
    if (member.starts_with("W/")) member.remove_prefix(2);
    if (member == etag) return true;
  }
  return false;
}

std::string_view body_of(const PageAsset& asset, ContentCoding coding) {
  if (coding == ContentCoding::kBrotli) return asset.brotli;
  return coding == ContentCoding::kGzip ? asset.gzip : asset.identity;
}

std::string_view name_of(ContentCoding coding) {
  if (coding == ContentCoding::kBrotli) return "br";
  return coding == ContentCoding::kGzip ? "gzip" : "";
}

HttpResponse serve_asset(const HttpRequest& request, const PageAsset& asset) {
  const bool is_page = asset.path == "/";
  const ContentCoding coding = choose_coding(request.header("accept-encoding"), asset);
  // Two codings are two representations: each has its own tag.
  const std::string etag = fmt::format("\"{}{}\"", asset.hash, name_of(coding));
  HttpResponse response;
  response.headers.emplace_back("ETag", etag);
  response.headers.emplace_back("Cache-Control", is_page ? "no-cache" : kForever);
  response.headers.emplace_back("Vary", is_page ? "Accept, Accept-Encoding" : "Accept-Encoding");
  if (is_page) {
    response.headers.emplace_back("Content-Security-Policy", kPolicy);
    response.headers.emplace_back("Referrer-Policy", "no-referrer");
    response.headers.emplace_back("Cross-Origin-Opener-Policy", "same-origin");
    response.headers.emplace_back("Permissions-Policy", "camera=(), geolocation=(), microphone=()");
  }
  const std::string* known = request.header("if-none-match");
  if (known != nullptr && matches_etag(*known, etag)) {
    response.status = 304;
    return response;
  }
  response.headers.emplace_back("Content-Type", asset.content_type);
  response.headers.emplace_back("Cross-Origin-Resource-Policy", "same-origin");
  if (coding != ContentCoding::kIdentity) {
    response.headers.emplace_back("Content-Encoding", name_of(coding));
  }
  response.body = body_of(asset, coding);
  return response;
}

const PageAsset* find_asset(const PageFiles& page, std::string_view path) {
  for (const PageAsset& asset : page.assets) {
    if (asset.path == path) return &asset;
  }
  return nullptr;
}

HttpResponse list_routes(const Router& router, const PageFiles& page) {
  HttpResponse response;
  response.headers.emplace_back("Content-Type", "text/plain; charset=utf-8");
  response.headers.emplace_back("Vary", "Accept, Accept-Encoding");
  response.body = "Yunqi answers at:\n";
  for (const Route& route : router.routes()) {
    response.body += fmt::format("  {:6} {}\n", route.method, route.pattern);
  }
  if (page.assets.empty()) response.body += fmt::format("\nThe web page: {}\n", page.absence);
  return response;
}

HttpResponse missing_asset(std::string_view name) {
  HttpResponse response;
  response.status = 404;
  response.headers.emplace_back("Content-Type", "text/plain; charset=utf-8");
  response.headers.emplace_back("Cache-Control", "no-store");
  response.body = fmt::format("the page has no file {}; reload the page\n", name);
  return response;
}

}  // namespace

ContentCoding choose_coding(const std::string* accept_encoding, const PageAsset& asset) {
  if (accept_encoding == nullptr) return ContentCoding::kIdentity;
  const CodingWeights asked = parse_accept_encoding(*accept_encoding);
  const auto weight = [&asked](int named) { return named >= 0 ? named : std::max(asked.any, 0); };
  const int brotli = asset.brotli.empty() ? 0 : weight(asked.brotli);
  const int gzip = asset.gzip.empty() ? 0 : weight(asked.gzip);
  // Unmentioned, identity is acceptable but wanted least.
  const int identity = asked.identity >= 0 ? asked.identity : 0;
  if (brotli > 0 && brotli >= gzip && brotli >= identity) return ContentCoding::kBrotli;
  if (gzip > 0 && gzip >= identity) return ContentCoding::kGzip;
  return ContentCoding::kIdentity;
}

void add_page_routes(Router& router, const PageFiles& page) {
  router.add({"GET", "/", Permission::kPublic,
              [&router, page](const HttpRequest& request, const RouteMatch&) -> HttpReply {
                const std::string* accept = request.header("accept");
                const bool wants_html = accept != nullptr &&
                                        lower_ascii(*accept).find("text/html") != std::string::npos;
                const PageAsset* asset = wants_html ? find_asset(page, "/") : nullptr;
                return asset != nullptr ? serve_asset(request, *asset) : list_routes(router, page);
              }});
  if (page.assets.empty()) return;
  router.add({"GET", "/assets/{id}", Permission::kPublic,
              [page](const HttpRequest& request, const RouteMatch& match) -> HttpReply {
                const PageAsset* asset = find_asset(page, "/assets/" + match.tail);
                return asset != nullptr ? serve_asset(request, *asset) : missing_asset(match.tail);
              }});
}

}  // namespace yunqi
