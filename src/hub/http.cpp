#include "hub/http.h"

#include <algorithm>
#include <exception>
#include <mutex>

#include <curl/curl.h>
#include <fmt/format.h>

#include "core/error.h"

namespace mistral::hub {
namespace {

constexpr long kBufferBytes = 256L << 10U;
constexpr std::size_t kMaxHeaderBytes = 256U << 10U;
constexpr long kStallBytesPerSecond = 64;  // slower than this counts as stalled

// libcurl is set up once for a process, before threads use it.
void initialize_once() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

HttpFailure failure_of(CURLcode code) {
  switch (code) {
    case CURLE_OK:
      return HttpFailure::kNone;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_INTERFACE_FAILED:
      return HttpFailure::kUnreachable;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return HttpFailure::kInsecure;
    case CURLE_ABORTED_BY_CALLBACK:
      return HttpFailure::kCancelled;
    default:
      return HttpFailure::kBroken;
  }
}

// What the callbacks of one exchange share.
struct Exchange {
  const HttpRequest* request = nullptr;
  const HttpOptions* options = nullptr;
  HttpResponse response;
  std::size_t header_bytes = 0;
  HttpFailure stop = HttpFailure::kNone;  // why a callback ended the exchange
  std::exception_ptr thrown;              // must not pass through libcurl
};

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::string_view line(data, size * count);
  exchange.header_bytes += line.size();
  if (exchange.header_bytes > kMaxHeaderBytes) {
    exchange.stop = HttpFailure::kTooLong;
    return 0;
  }
  HttpResponse& response = exchange.response;
  if (line.starts_with("HTTP/")) {  // of an interim answer, or the answer itself
    response.headers.clear();
    const std::size_t blank = line.find(' ');
    response.status = blank == std::string_view::npos
                          ? 0
                          : std::atoi(std::string(line.substr(blank + 1, 3)).c_str());
    return line.size();
  }
  const std::size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    response.headers[lower(trimmed(line.substr(0, colon)))] = trimmed(line.substr(colon + 1));
  }
  return line.size();
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::size_t bytes = size * count;
  HttpResponse& response = exchange.response;
  try {
    if (exchange.request->sink && response.status >= 200 && response.status < 300) {
      if (!exchange.request->sink(response, std::as_bytes(std::span(data, bytes)))) {
        exchange.stop = HttpFailure::kStopped;
        return 0;
      }
      return bytes;
    }
    if (response.body.size() + bytes > exchange.request->max_body_bytes) {
      exchange.stop = HttpFailure::kTooLong;
      return 0;
    }
    response.body.append(data, bytes);
    return bytes;
  } catch (...) {
    exchange.thrown = std::current_exception();
    return 0;
  }
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& exchange = *static_cast<Exchange*>(user);
  return exchange.options->cancelled && exchange.options->cancelled() ? 1 : 0;
}

}  // namespace

std::string_view HttpResponse::header(std::string_view name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string_view{} : std::string_view(found->second);
}

bool HttpResponse::is_redirect() const {
  const bool moved =
      status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
  return failure == HttpFailure::kNone && moved && !header("location").empty();
}

struct HttpClient::State {
  HttpOptions options;
  CURL* handle = nullptr;
};

HttpClient::HttpClient(const HttpOptions& options) : state_(std::make_unique<State>()) {
  initialize_once();
  state_->options = options;
  state_->handle = curl_easy_init();
  if (state_->handle == nullptr) throw Error(ErrorKind::kResource, "libcurl cannot be set up");
}

HttpClient::~HttpClient() {
  curl_easy_cleanup(state_->handle);
}

HttpResponse HttpClient::send(const HttpRequest& request) {
  CURL* handle = state_->handle;
  const HttpOptions& options = state_->options;
  curl_easy_reset(handle);  // connections stay
  Exchange exchange;
  exchange.request = &request;
  exchange.options = &options;
  char message[CURL_ERROR_SIZE] = "";

  curl_easy_setopt(handle, CURLOPT_URL, request.url.text.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(handle, CURLOPT_NOBODY, request.method == HttpRequest::Method::kHead ? 1L : 0L);
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 2L);
  if (!options.certificates.empty()) {
    curl_easy_setopt(handle, CURLOPT_CAINFO, options.certificates.c_str());
  }
  // A proxy cannot reach this machine's own addresses.
  if (request.url.is_loopback()) curl_easy_setopt(handle, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "mistralcpp");
  curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, kBufferBytes);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(options.connect_timeout.count()));
  if (request.sink) {
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, kStallBytesPerSecond);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME,
                     static_cast<long>(options.stall_timeout.count()));
  } else {
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS,
                     static_cast<long>(options.metadata_timeout.count()));
  }
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, message);
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, &on_header);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &on_body);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, &on_progress);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  std::string range;
  if (request.range) {
    range = fmt::format("{}-{}", request.range->begin, request.range->end - 1);
    curl_easy_setopt(handle, CURLOPT_RANGE, range.c_str());
  }
  std::unique_ptr<curl_slist, FreeList> headers;
  const auto add = [&headers](const char* line) {
    curl_slist* longer = curl_slist_append(headers.get(), line);
    if (longer == nullptr) throw std::bad_alloc();
    (void)headers.release();
    headers.reset(longer);
  };
  add("Accept-Encoding: identity");  // sizes and ranges are those of the file itself
  for (const std::string& line : request.headers) add(line.c_str());
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());

  const CURLcode code = curl_easy_perform(handle);
  if (exchange.thrown) std::rethrow_exception(exchange.thrown);
  HttpResponse response = std::move(exchange.response);
  response.failure = exchange.stop != HttpFailure::kNone ? exchange.stop : failure_of(code);
  if (response.failure != HttpFailure::kNone) {
    response.failure_text = message[0] != '\0' ? message : curl_easy_strerror(code);
    if (response.failure == HttpFailure::kTooLong) {
      response.failure_text = "the answer is longer than it may be";
    }
  }
  return response;
}

}  // namespace mistral::hub
