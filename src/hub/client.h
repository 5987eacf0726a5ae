// The hub's protocol: what a repository holds, and what a file is. Follows redirects without
// showing the token to other hosts, and tries again when that may help.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "hub/http.h"
#include "hub/settings.h"

namespace mistral::hub {

struct RetryPolicy {
  int attempts = 5;
  std::chrono::milliseconds first_wait{500};  // doubled each time
  std::chrono::milliseconds longest_wait{16'000};
  std::chrono::seconds longest_asked_wait{120};  // a longer Retry-After ends the attempts

  [[nodiscard]] std::chrono::milliseconds wait_before(int attempt) const;
};

// Why the hub gave no answer that is of use.
struct Failure {
  enum class Kind {
    kUnreachable,   // no connection, or the hub is out of order: later it may work
    kRefused,       // 401, 403
    kNoRepository,  // 404
    kNoRevision,
    kNoFile,
    kProtocol,  // not what a hub answers
  } kind = Kind::kUnreachable;
  std::string message;  // a sentence that says what to do
};

struct RepositoryInfo {
  std::string commit;
  std::vector<std::string> files;  // safe names only
};

struct FileInfo {
  std::string name;
  std::string commit;
  std::string etag;
  std::uint64_t size = 0;
  Url location;  // where the content is; may be signed and expire
};

// Thread safe: each thread brings its own HttpClient.
class HubClient {
 public:
  // Throws Error (kInvalidArgument) for a broken endpoint.
  HubClient(Settings settings, std::optional<std::string> token, std::string token_origin,
            RetryPolicy retry, std::function<bool()> cancelled);

  [[nodiscard]] std::variant<RepositoryInfo, Failure> repository(HttpClient& http,
                                                                 const std::string& repository,
                                                                 const std::string& revision,
                                                                 const RetryPolicy& retry) const;
  [[nodiscard]] std::variant<FileInfo, Failure> file(HttpClient& http,
                                                     const std::string& repository,
                                                     const std::string& commit,
                                                     const std::string& name) const;

  // Sends once and follows redirects; the answer may be a failure or an error status.
  enum class Foreign { kFollow, kStop };  // at a redirect to another origin than the endpoint's
  struct Answer {
    HttpResponse response;
    Url url;  // of the answer
  };
  [[nodiscard]] Answer send(HttpClient& http, HttpRequest request, Foreign foreign) const;

  // Waits before the next attempt; false when none would help, the attempts are used up or `stop`
  // says so. Throws Error (kCancelled).
  [[nodiscard]] bool wait_to_retry(const HttpResponse& response, int attempt,
                                   const RetryPolicy& retry,
                                   const std::function<bool()>& stop = nullptr) const;
  [[nodiscard]] const RetryPolicy& retry() const { return retry_; }
  [[nodiscard]] const Settings& settings() const { return settings_; }
  void throw_if_cancelled() const;

 private:
  [[nodiscard]] Answer send_with_retries(HttpClient& http, const HttpRequest& request,
                                         Foreign foreign, const RetryPolicy& retry) const;
  [[nodiscard]] bool is_allowed(const Url& from, const Url& to) const;
  [[nodiscard]] Failure failure(const HttpResponse& response, const std::string& repository,
                                const std::string& revision, const std::string& file) const;
  [[nodiscard]] std::string how_to_get_access(const std::string& repository) const;

  Settings settings_;
  Url endpoint_;
  std::optional<std::string> token_;
  std::string token_origin_;
  RetryPolicy retry_;
  std::function<bool()> cancelled_;
};

}  // namespace mistral::hub
