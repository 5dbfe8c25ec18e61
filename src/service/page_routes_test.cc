// The page's routes: what is sent under which headers, and to whom.
#include "service/page_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <optional>

namespace yunqi {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::array kAssets = {
    PageAsset{"/", "text/html; charset=utf-8", "aa11", "<!doctype html>", "GZIP", "BR"},
    PageAsset{"/assets/app-1.js", "text/javascript; charset=utf-8", "bb22", "code", "gz", "br"},
    PageAsset{"/assets/dot-2.png", "image/png", "cc33", "png", "", ""},
};
constexpr PageFiles kPage{kAssets, ""};
constexpr PageFiles kNoPage{{}, "install Node.js"};

HttpResponse get(const PageFiles& page, const std::string& path, HttpHeaders headers) {
  Router router;
  router.add({"POST", "/v1/things", Permission::kUse, nullptr});
  add_page_routes(router, page);
  HttpRequest request;
  request.method = "GET";
  request.path = path;
  request.headers = std::move(headers);
  Result<Router::Found> found = router.find("GET", path);
  EXPECT_TRUE(found.is_ok());
  EXPECT_EQ(found->route->permission, Permission::kPublic);
  return std::get<HttpResponse>(found->route->handler(request, found->match));
}

std::string header(const HttpResponse& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "(absent)";
}

const std::pair<std::string, std::string> kHtml = {"accept", "text/html,*/*;q=0.8"};

TEST(PageRoutes, BrowsersGetThePageUnderAStrictPolicy) {
  const HttpResponse response = get(kPage, "/", {kHtml});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "<!doctype html>");
  EXPECT_EQ(header(response, "Cache-Control"), "no-cache");
  const std::string policy = header(response, "Content-Security-Policy");
  EXPECT_THAT(policy, HasSubstr("default-src 'none'"));
  EXPECT_THAT(policy, HasSubstr("script-src 'self';"));
  EXPECT_THAT(policy, HasSubstr("frame-ancestors 'none'"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
}

TEST(PageRoutes, OtherClientsGetTheListOfRoutes) {
  const HttpResponse response = get(kPage, "/", {{"accept", "*/*"}});
  EXPECT_THAT(response.body, HasSubstr("POST   /v1/things"));
  EXPECT_THAT(response.body, Not(HasSubstr("install Node.js")));
  EXPECT_EQ(header(response, "Vary"), "Accept, Accept-Encoding");
}

TEST(PageRoutes, WithoutThePageEveryoneIsToldHowToGetIt) {
  const HttpResponse response = get(kNoPage, "/", {kHtml});
  EXPECT_THAT(response.body, HasSubstr("POST   /v1/things"));
  EXPECT_THAT(response.body, HasSubstr("The web page: install Node.js"));
  EXPECT_THAT(header(response, "Content-Type"), HasSubstr("text/plain"));
}

TEST(PageRoutes, HashedFilesNeverExpire) {
  const HttpResponse response = get(kPage, "/assets/app-1.js", {{"accept-encoding", "gzip, br"}});
  EXPECT_EQ(response.body, "br");
  EXPECT_EQ(header(response, "Content-Encoding"), "br");
  EXPECT_EQ(header(response, "Content-Type"), "text/javascript; charset=utf-8");
  EXPECT_THAT(header(response, "Cache-Control"), HasSubstr("immutable"));
  EXPECT_EQ(header(response, "Vary"), "Accept-Encoding");
}

TEST(PageRoutes, UnknownFilesAreNotFoundAndNotKept) {
  const HttpResponse response = get(kPage, "/assets/app-0.js", {});
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(header(response, "Cache-Control"), "no-store");
}

TEST(PageRoutes, AKnownTagIsAnsweredWithoutBody) {
  const std::string etag = header(get(kPage, "/", {kHtml, {"accept-encoding", "br"}}), "ETag");
  EXPECT_EQ(etag, "\"aa11br\"");
  for (const std::string& known : {etag, "W/" + etag, "\"x\" , " + etag, std::string("*")}) {
    const HttpResponse again =
        get(kPage, "/", {kHtml, {"accept-encoding", "br"}, {"if-none-match", known}});
    EXPECT_EQ(again.status, 304) << known;
    EXPECT_EQ(again.body, "");
    EXPECT_EQ(header(again, "ETag"), etag);
  }
  // Another coding is another representation.
  const HttpResponse other =
      get(kPage, "/", {kHtml, {"accept-encoding", "gzip"}, {"if-none-match", etag}});
  EXPECT_EQ(other.status, 200);
  EXPECT_EQ(other.body, "GZIP");
}

struct CodingCase {
  std::optional<std::string> accept;
  ContentCoding want;
};

TEST(PageRoutes, ChoosesTheCodingThatTheClientWantsMost) {
  using enum ContentCoding;
  const std::vector<CodingCase> cases = {
      {std::nullopt, kIdentity},
      {"", kIdentity},
      {"gzip", kGzip},
      {"x-gzip", kGzip},
      {"GZip , BR", kBrotli},
      {"br;q=0, gzip", kGzip},
      {"br;q=0.5, gzip;q=0.8", kGzip},
      {"br;q=0.5,gzip;q=0.5", kBrotli},
      {"gzip;q=0", kIdentity},
      {"*", kBrotli},
      {"*;q=0", kIdentity},
      {"br;q=0, *", kGzip},
      {"identity, gzip;q=0.9", kIdentity},
      {"identity;q=0.5, gzip;q=0.9", kGzip},
      {"deflate, zstd", kIdentity},
      {"gzip;q=2", kIdentity},
      {"gzip;q=nan", kIdentity},
      {"gzip;level=1", kIdentity},
      {"gzip;", kGzip},
      {",,gzip", kGzip},
  };
  for (const CodingCase& item : cases) {
    const std::string* accept = item.accept.has_value() ? &*item.accept : nullptr;
    EXPECT_EQ(choose_coding(accept, kAssets[0]), item.want) << item.accept.value_or("(none)");
  }
  const std::string both = "gzip, br";
  EXPECT_EQ(choose_coding(&both, kAssets[2]), kIdentity) << "an image has no smaller form";
}

TEST(PageRoutes, AListOfAnyLengthIsReadInBoundedTime) {
  const std::string longest(32'000, ',');
  const std::string within = std::string(63, ',') + "gzip";
  const std::string beyond = std::string(64, ',') + "gzip";
  EXPECT_EQ(choose_coding(&longest, kAssets[0]), ContentCoding::kIdentity);
  EXPECT_EQ(choose_coding(&within, kAssets[0]), ContentCoding::kGzip);
  EXPECT_EQ(choose_coding(&beyond, kAssets[0]), ContentCoding::kIdentity);
}

TEST(PageRoutes, TheEmbeddedPageIsWholeOrSaysWhyItIsNot) {
  const PageFiles& page = embedded_page();
  if (page.assets.empty()) {
    EXPECT_FALSE(page.absence.empty());
    return;
  }
  EXPECT_EQ(page.assets[0].path, "/");
  size_t first_load = 0;
  for (const PageAsset& asset : page.assets) {
    EXPECT_FALSE(asset.identity.empty()) << asset.path;
    EXPECT_LE(asset.gzip.size(), asset.identity.size());
    EXPECT_LE(asset.brotli.size(), asset.identity.size());
    const std::string name(asset.path.substr(asset.path.rfind('/') + 1));
    const bool at_start =
        asset.path == "/" || page.assets[0].identity.find(name) != std::string::npos;
    if (at_start) first_load += asset.gzip.empty() ? asset.identity.size() : asset.gzip.size();
  }
  EXPECT_LE(first_load, 120'000u) << "what the page needs before it can be used";
}

}  // namespace
}  // namespace yunqi
