// The web page's routes: `/` and `/assets/...`, from files that the build embeds (cmake/web.cmake).
// Static and thread-safe; the page itself talks to the public API only.
#pragma once

#include <span>
#include <string_view>

#include "service/router.h"

namespace yunqi {

// One embedded file. All views live as long as the program.
struct PageAsset {
  std::string_view path;          // "/" for the page, else "/assets/NAME" with the hash in NAME
  std::string_view content_type;  // "text/javascript; charset=utf-8"
  std::string_view hash;          // of the content, hexadecimal; makes the ETag
  std::string_view identity;
  std::string_view gzip, brotli;  // empty where compression does not make it smaller
};

struct PageFiles {
  std::span<const PageAsset> assets;  // empty: built without the page
  std::string_view absence;           // then: why, and how to get it, in one line
};

// What this program was built with. Defined in a generated source.
const PageFiles& embedded_page();

enum class ContentCoding { kIdentity, kGzip, kBrotli };

// The best coding that `accept_encoding` (RFC 9110 section 12.5.3; null when the header is absent)
// allows of those that the asset has. Identity when nothing else is acceptable.
ContentCoding choose_coding(const std::string* accept_encoding, const PageAsset& asset);

// Adds GET / and GET /assets/{id}. Clients that do not ask for HTML get the list of routes at `/`.
// `router` must outlive its own handlers, as it does when it owns them.
void add_page_routes(Router& router, const PageFiles& page);

}  // namespace yunqi
