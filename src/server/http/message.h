// Requests and answers as the rest of the server sees them: no sockets, no HTTP library.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mistral::server {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method{};
  std::string path{};   // without the query
  std::string query{};  // behind the question mark
  Headers headers{};    // names in lower case
  std::string body{};
  std::string remote{};  // address and port of the peer
  std::string id{};      // names this request in logs and to the client

  // The value of the first header of that name (lower case); empty when there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body{};
  Headers headers{};
};

// An answer that is not there yet, or comes bit by bit. Used on one thread. Destroying it ends the
// work that is done for it.
class Exchange {
 public:
  Exchange() = default;
  virtual ~Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  struct Progress {
    // Comes first and once. A head together with `over` is a whole answer; else its body is what
    // the pieces add up to.
    std::optional<HttpResponse> head{};
    std::string piece{};
    bool over = false;
  };
  // `wake` may be called from any thread until the exchange is destroyed, whenever advance() may
  // have something new to say.
  virtual void start(std::function<void()> wake) = 0;
  // All that there is to send now.
  [[nodiscard]] virtual Progress advance() = 0;
  // What is sent when there was nothing to send for a while; empty: nothing.
  [[nodiscard]] virtual std::string_view keep_alive() const { return {}; }
};

using Reply = std::variant<HttpResponse, std::unique_ptr<Exchange>>;

// What happened to a request, for the log.
struct Served {
  int status = 0;
  std::uint64_t bytes = 0;  // of the body
  double seconds = 0;
  bool cut_off = false;  // the client left before the end
};

// What the HTTP server serves. Members are called by several threads.
class Application {
 public:
  Application() = default;
  virtual ~Application() = default;
  Application(const Application&) = delete;
  Application& operator=(const Application&) = delete;

  // Looks at a request whose body has not been read yet; an answer refuses it.
  [[nodiscard]] virtual std::optional<HttpResponse> refuse(const HttpRequest& head) = 0;
  // Whether handle() may take longer than a network thread should be kept.
  [[nodiscard]] virtual bool is_work(const HttpRequest& request) const = 0;
  // Does not throw.
  [[nodiscard]] virtual Reply handle(HttpRequest& request) noexcept = 0;
  // The answer to what is no proper request: too long, too slow, not HTTP.
  [[nodiscard]] virtual HttpResponse failure(int status, const std::string& message) = 0;
  // Adds headers that every answer has.
  virtual void complete(const HttpRequest& request, HttpResponse& response) const = 0;
  virtual void served(const HttpRequest& request, const Served& served) = 0;
};

// Whether a client's own id of a request is fit for logs and headers.
[[nodiscard]] bool is_request_id(std::string_view text);

[[nodiscard]] std::string_view status_text(int status);

// The head of a response as it goes over the wire, with an empty line at its end. `length` none:
// the body comes in chunks, or, where those are not `chunked`, ends with the connection.
[[nodiscard]] std::string response_head(const HttpResponse& response,
                                        std::optional<std::uint64_t> length, bool chunked,
                                        bool close);
// A piece of a body in chunked coding.
void append_chunk(std::string_view piece, std::string& out);

}  // namespace mistral::server
