// One HTTP exchange at a time, over libcurl. Redirects are not followed here: who follows them must
// decide which headers the next host may see (client.h).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hub/url.h"

namespace mistral::hub {

struct HttpOptions {
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds metadata_timeout{30'000};  // of a whole exchange without a sink
  std::chrono::seconds stall_timeout{30};  // of an exchange with a sink: hardly any bytes
  std::string certificates;                // a file; empty: the system's
  std::function<bool()> cancelled;         // asked often; true ends the exchange
};

enum class HttpFailure {
  kNone,
  kUnreachable,  // no connection: name not found, refused, no route
  kBroken,       // the connection ended, stalled or was not HTTP
  kInsecure,     // the certificate does not prove the host
  kTooLong,      // a body or headers over the limit
  kMisled,       // redirects that lead nowhere
  kCancelled,
  kStopped,  // by the sink
};

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string, std::less<>> headers;  // names in lower case
  std::string body;                                         // without a sink
  HttpFailure failure = HttpFailure::kNone;
  std::string failure_text;  // for a person

  [[nodiscard]] std::string_view header(std::string_view name) const;
  [[nodiscard]] bool ok() const {
    return failure == HttpFailure::kNone && status >= 200 && status < 300;
  }
  [[nodiscard]] bool is_redirect() const;
};

struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;  // one past the last byte
};

// Gets the pieces of the body of a 2xx answer, with its status and headers; false stops.
using BodySink = std::function<bool(const HttpResponse& head, std::span<const std::byte> data)>;

struct HttpRequest {
  enum class Method { kGet, kHead } method = Method::kGet;
  Url url;
  std::vector<std::string> headers;  // "Name: value"
  std::optional<ByteRange> range;
  std::size_t max_body_bytes = std::size_t{1} << 20U;  // kept in memory; not for a sink
  BodySink sink;
};

// Keeps its connection from one exchange to the next. For one thread at a time; what a sink throws
// comes out of send().
class HttpClient {
 public:
  // Throws Error (kResource).
  explicit HttpClient(const HttpOptions& options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Failures are part of the answer.
  [[nodiscard]] HttpResponse send(const HttpRequest& request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mistral::hub
