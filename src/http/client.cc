// libcurl behind http_request and http_stream. Each thread keeps one curl multi handle, so that its
// calls reuse connections; redirects are followed here, not by curl, so that what a host may see
// is decided in one place. The multi interface gives a poll every 100 ms for cancel and timeouts.
#include "http/client.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <memory>

#include "http/ascii.h"

namespace yunqi {
namespace {

constexpr size_t kMaxUrlBytes = 16 << 10;
constexpr size_t kMaxRequestHeaders = 64;
constexpr size_t kMaxResponseHeaders = 256;
constexpr size_t kMaxResponseHeaderBytes = 64 << 10;
constexpr int kPollMs = 100;

using SteadyClock = std::chrono::steady_clock;

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using UrlHandle = std::unique_ptr<CURLU, UrlDeleter>;

struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
using EasyHandle = std::unique_ptr<CURL, EasyDeleter>;

struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

// The connection cache of this thread lives in its multi handle.
CURLM* thread_multi() {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) return nullptr;
  thread_local const std::unique_ptr<CURLM, MultiDeleter> multi(curl_multi_init());
  return multi.get();
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string url_part(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK || text == nullptr) return {};
  std::string out = text;
  curl_free(text);
  return out;
}

Result<UrlHandle> parse_url(const std::string& text) {
  const bool odd = std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f;
  });
  if (text.size() > kMaxUrlBytes || odd) {
    return error(Code::kInvalidArgument,
                 "URL: want at most {} bytes without spaces or control characters, found {} bytes",
                 kMaxUrlBytes, text.size());
  }
  UrlHandle url(curl_url());
  const bool parsed = url && curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) == CURLUE_OK;
  const std::string scheme = parsed ? url_part(url.get(), CURLUPART_SCHEME) : std::string();
  if (!parsed || (scheme != "http" && scheme != "https")) {
    return error(Code::kInvalidArgument, "URL {}: want http://host/... or https://host/...", text);
  }
  return url;
}

UrlOrigin origin_of(CURLU* url) {
  UrlOrigin origin;
  origin.scheme = url_part(url, CURLUPART_SCHEME);
  origin.host = lower_ascii(url_part(url, CURLUPART_HOST));
  origin.port = std::atoi(url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT).c_str());
  return origin;
}

bool is_header_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
  });
}

bool is_credential(std::string_view name) {
  const std::string key = lower_ascii(name);
  return key == "authorization" || key == "cookie" || key == "proxy-authorization";
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// One hop: what curl's callbacks fill while the request runs.
struct Hop {
  const ClientRequest* request = nullptr;
  const ClientSink* sink = nullptr;
  bool may_redirect = true;
  ClientResponse response;
  size_t header_bytes = 0;
  bool head_given = false;
  SteadyClock::time_point last_byte = SteadyClock::now();
  Status stopped;  // why a callback ended the transfer

  bool stop(Status why) {
    if (stopped.is_ok()) stopped = std::move(why);
    return false;
  }

  // True when this hop's body is for the caller.
  bool is_final() const {
    return !(may_redirect && is_redirect(response.status) && response.header("location"));
  }

  bool give_head() {
    if (head_given || !is_final()) return true;
    head_given = true;
    if (sink && sink->on_head && !sink->on_head(response)) {
      return stop(error(Code::kCancelled, "the receiver stopped the transfer"));
    }
    return true;
  }

  bool take_header(std::string_view line) {
    last_byte = SteadyClock::now();
    if (line.starts_with("HTTP/")) {  // a new head: after 100 Continue, say
      response.headers.clear();
      header_bytes = 0;
      const size_t space = line.find(' ');
      response.status =
          space == std::string_view::npos ? 0 : std::atoi(std::string(line.substr(space)).c_str());
      return true;
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return true;
    header_bytes += line.size();
    if (response.headers.size() >= kMaxResponseHeaders || header_bytes > kMaxResponseHeaderBytes) {
      return stop(error(Code::kTooLarge, "response head: want at most {} headers and {} bytes",
                        kMaxResponseHeaders, kMaxResponseHeaderBytes));
    }
    response.headers.emplace_back(lower_ascii(trim(line.substr(0, colon))),
                                  std::string(trim(line.substr(colon + 1))));
    return true;
  }

  bool take_body(std::string_view chunk) {
    last_byte = SteadyClock::now();
    if (!is_final()) return true;  // a redirect's page
    if (!give_head()) return false;
    if (sink) {
      if (!sink->on_chunk || sink->on_chunk(chunk)) return true;
      return stop(error(Code::kCancelled, "the receiver stopped the transfer"));
    }
    if (chunk.size() > request->max_body_bytes - response.body.size()) {
      return stop(
          error(Code::kTooLarge, "response body: want at most {} bytes", request->max_body_bytes));
    }
    response.body.append(chunk);
    return true;
  }
};

size_t on_header(char* data, size_t size, size_t count, void* context) {
  const size_t bytes = size * count;
  return static_cast<Hop*>(context)->take_header({data, bytes}) ? bytes : 0;
}

size_t on_body(char* data, size_t size, size_t count, void* context) {
  const size_t bytes = size * count;
  return static_cast<Hop*>(context)->take_body({data, bytes}) ? bytes : CURL_WRITEFUNC_ERROR;
}

// Polls until the transfer ends; the caller has added `easy` to `multi`.
CURLcode drive(CURLM* multi, CURL* easy, Hop& hop) {
  for (;;) {
    int running = 0;
    if (curl_multi_perform(multi, &running) != CURLM_OK) return CURLE_FAILED_INIT;
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg == CURLMSG_DONE && message->easy_handle == easy) {
        return message->data.result;
      }
    }
    if (hop.sink && hop.sink->keep_going && !hop.sink->keep_going()) {
      hop.stop(error(Code::kCancelled, "cancelled"));
      return CURLE_ABORTED_BY_CALLBACK;
    }
    const auto idle = SteadyClock::now() - hop.last_byte;
    if (idle > std::chrono::milliseconds(hop.request->idle_timeout_ms)) {
      return CURLE_OPERATION_TIMEDOUT;
    }
    curl_multi_poll(multi, nullptr, 0, kPollMs, nullptr);
  }
}

Status transfer_error(CURLcode code, const char* detail, const UrlOrigin& origin) {
  const std::string why = *detail ? detail : curl_easy_strerror(code);
  return error(Code::kUnavailable, "{}://{}:{}: {}", origin.scheme, origin.host, origin.port, why);
}

Result<HeaderList> header_list(const ClientRequest& request, bool with_credentials) {
  if (request.headers.size() > kMaxRequestHeaders) {
    return error(Code::kInvalidArgument, "request: want at most {} headers, found {}",
                 kMaxRequestHeaders, request.headers.size());
  }
  curl_slist* list = curl_slist_append(nullptr, "Expect:");
  for (const auto& [name, value] : request.headers) {
    if (!is_header_name(name) || value.find_first_of("\r\n") != std::string::npos ||
        value.find('\0') != std::string::npos) {
      curl_slist_free_all(list);
      return error(Code::kInvalidArgument, "request header {}: want one line of text", name);
    }
    if (is_credential(name) && !with_credentials) continue;
    list = curl_slist_append(list, (name + ": " + value).c_str());
  }
  return HeaderList(list);
}

void set_options(CURL* easy, const ClientRequest& request, const std::string& method) {
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  // Parallel ranges want parallel connections, so no multiplexing over one.
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout_ms));
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "yunqi/0.1");
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L << 10);
  if (method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (method != "GET") {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
  }
  // curl's tool reads these, its library does not.
  for (const char* name : {"CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
    if (const char* bundle = std::getenv(name); bundle && *bundle) {
      curl_easy_setopt(easy, CURLOPT_CAINFO, bundle);
      break;
    }
  }
}

// Sends one request and receives its answer, without following redirects.
Result<ClientResponse> run_hop(const std::string& url, const UrlOrigin& origin,
                               const std::string& method, bool with_credentials, Hop& hop) {
  CURLM* multi = thread_multi();
  const EasyHandle easy(curl_easy_init());
  if (!multi || !easy) return error(Code::kInternal, "libcurl can't start");
  YQ_TRY(const HeaderList headers, header_list(*hop.request, with_credentials));
  char detail[CURL_ERROR_SIZE] = "";
  set_options(easy.get(), *hop.request, method);
  curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(easy.get(), CURLOPT_ERRORBUFFER, detail);
  curl_easy_setopt(easy.get(), CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy.get(), CURLOPT_HEADERDATA, &hop);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &hop);
  if (curl_multi_add_handle(multi, easy.get()) != CURLM_OK) {
    return error(Code::kInternal, "libcurl takes no more requests");
  }
  const CURLcode code = drive(multi, easy.get(), hop);
  curl_multi_remove_handle(multi, easy.get());
  if (!hop.stopped.is_ok()) return hop.stopped;
  if (code == CURLE_OPERATION_TIMEDOUT && hop.response.status != 0) {
    return error(Code::kUnavailable, "{}://{}:{}: no byte arrived for {} ms", origin.scheme,
                 origin.host, origin.port, hop.request->idle_timeout_ms);
  }
  if (code != CURLE_OK) return transfer_error(code, detail, origin);
  if (!hop.give_head()) return hop.stopped;  // an answer without a body
  return std::move(hop.response);
}

Result<ClientResponse> follow(const ClientRequest& request, const ClientSink* sink) {
  std::string url = request.url;
  std::string method = request.method;
  bool with_credentials = true;
  YQ_TRY(UrlHandle parsed, parse_url(url));
  const UrlOrigin first = origin_of(parsed.get());
  for (int redirects = 0;; ++redirects) {
    const UrlOrigin origin = origin_of(parsed.get());
    // Once the chain left the first origin, credentials stay home even if it comes back.
    with_credentials = with_credentials && origin == first;
    Hop hop;
    hop.request = &request;
    hop.sink = sink;
    hop.may_redirect = request.max_redirects > 0;
    YQ_TRY(ClientResponse response, run_hop(url, origin, method, with_credentials, hop));
    const std::string* location = response.header("location");
    if (!hop.may_redirect || !is_redirect(response.status) || !location) {
      response.final_url = url;
      return response;
    }
    if (redirects >= request.max_redirects) {
      return error(Code::kUnavailable, "{}: want at most {} redirects, found more", request.url,
                   request.max_redirects);
    }
    if (curl_url_set(parsed.get(), CURLUPART_URL, location->c_str(), 0) != CURLUE_OK) {
      return error(Code::kUnavailable, "{}: redirects to something that is no URL", url);
    }
    const UrlOrigin next = origin_of(parsed.get());
    if ((next.scheme != "http" && next.scheme != "https") ||
        (origin.scheme == "https" && next.scheme == "http")) {
      return error(Code::kUnavailable, "{}: a redirect to {}:// is refused", url, next.scheme);
    }
    url = url_part(parsed.get(), CURLUPART_URL);
    if (response.status == 303 || (response.status < 303 && method == "POST")) method = "GET";
  }
}

}  // namespace

const std::string* ClientResponse::header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return &value;
  }
  return nullptr;
}

Result<UrlOrigin> url_origin(std::string_view url) {
  YQ_TRY(const UrlHandle parsed, parse_url(std::string(url)));
  return origin_of(parsed.get());
}

Result<ClientResponse> http_request(const ClientRequest& request) {
  return follow(request, nullptr);
}

Result<ClientResponse> http_stream(const ClientRequest& request, const ClientSink& sink) {
  return follow(request, &sink);
}

}  // namespace yunqi
