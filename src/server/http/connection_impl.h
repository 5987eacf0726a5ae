// One connection: a coroutine that reads a request, has it answered, and goes on. Included by the
// two files that compile it, for plain sockets and for TLS.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <fmt/format.h>

#include "server/http/connection.h"

namespace mistral::server {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using ErrorCode = boost::system::error_code;
using Milliseconds = std::chrono::milliseconds;

// `Stream` has async_read_some, async_write_some and lowest_layer() as asio's sockets do.
// `Handshake` makes it ready and tears it down. All members run on the connection's thread.
template <typename Stream, typename Handshake>
class Connection final : public ConnectionBase,
                         public std::enable_shared_from_this<Connection<Stream, Handshake>> {
 public:
  Connection(ConnectionEnvironment& environment, NetworkThread& thread, Stream stream,
             std::string remote)
      : environment_(environment),
        options_(environment.options),
        thread_(thread),
        stream_(std::move(stream)),
        remote_(std::move(remote)),
        signal_timer_(thread.context),
        deadline_timer_(thread.context) {
    environment_.connections.fetch_add(1);
    thread_.connections.insert(this);
  }
  ~Connection() override {
    thread_.connections.erase(this);
    environment_.connections.fetch_sub(1);
  }

  void begin() {
    asio::co_spawn(
        thread_.context, [self = this->shared_from_this()] { return self->run(); }, asio::detached);
  }

  void drain() override {
    if (idle_) close();
  }
  void close() override {
    closed_ = true;
    ErrorCode ignored;
    stream_.lowest_layer().close(ignored);
    signal();
  }

 private:
  using Parser = http::request_parser<http::string_body>;
  template <typename T>
  using Task = asio::awaitable<T>;

  Task<void> run() {
    const auto self = this->shared_from_this();
    arm(options_.header_time);
    const bool ready = co_await Handshake::open(stream_);
    disarm();
    bool goes_on = ready && !timed_out_;
    while (goes_on) goes_on = co_await serve_next();
    share_.reset();
    if (!closed_ && ready) {
      arm(Milliseconds(2'000));
      co_await end_watch();
      co_await Handshake::shut(stream_);
      co_await linger();
      disarm();
    }
    // What is still waited for ends now, and lets go of the connection.
    closed_ = true;
    ErrorCode ignored;
    stream_.lowest_layer().close(ignored);
  }

  // One request and its answer; false: the connection is done with.
  Task<bool> serve_next() {
    const bool something = co_await wait_for_request();
    if (!something) co_return false;
    started_ = std::chrono::steady_clock::now();
    request_ = HttpRequest{};
    request_.remote = remote_;
    request_.id = fmt::format("{}{:x}", environment_.id_prefix, environment_.next_id.fetch_add(1));
    served_ = Served{};
    share_.reset();
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(options_.max_header));
    parser_->body_limit(options_.max_body);
    ErrorCode error;
    arm(options_.header_time);
    co_await http::async_read_header(stream_, buffer_, *parser_,
                                     asio::redirect_error(asio::use_awaitable, error));
    disarm();
    if (error) co_return co_await refuse_input(error, "the request's head");
    take_head();
    if (!has_known_framing()) {
      // Where its body ends is not known, so nothing after it can be read.
      co_return co_await send_last(environment_.application.failure(
          400, "the request's Transfer-Encoding is not known, expected chunked or none"));
    }
    std::optional<HttpResponse> refusal = environment_.application.refuse(request_);
    // A short body is read all the same, so that the connection can go on.
    constexpr std::uint64_t kShort = std::uint64_t{64} << 10U;
    const std::optional<std::uint64_t> announced = announced_bytes();
    if (refusal && (!announced || *announced > kShort || expects_continue())) {
      co_return co_await send_last(*refusal);
    }
    const std::size_t weight =
        static_cast<std::size_t>(announced.value_or(std::uint64_t{4} << 20U));
    share_.emplace(environment_.body_bytes, weight);
    if (share_->total > options_.max_bodies && weight > kShort) {
      HttpResponse full = environment_.application.failure(
          503, "too many large requests are being received at once");
      full.headers.emplace_back("Retry-After", "1");
      co_return co_await send_last(full);
    }
    const bool whole = co_await read_body();
    if (!whole) co_return false;
    if (refusal) co_return co_await send(std::move(*refusal));
    co_return co_await answer();
  }

  Task<bool> answer() {
    std::optional<Reply> reply;
    if (environment_.application.is_work(request_)) {
      asio::post(environment_.workers, [this, self = this->shared_from_this(), &reply]() mutable {
        reply.emplace(environment_.application.handle(request_));
        asio::post(thread_.context, [self = std::move(self)] {
          self->worked_ = true;
          self->signal();
        });
      });
      // Whatever happens to the connection meanwhile: the worker writes into this frame.
      while (!worked_) co_await wait_signal(Milliseconds(1'000));
      worked_ = false;
    } else {
      reply.emplace(environment_.application.handle(request_));
    }
    share_.reset();  // the body is not needed any more
    if (closed_) co_return false;
    if (auto* whole = std::get_if<HttpResponse>(&*reply))
      co_return co_await send(std::move(*whole));
    co_return co_await run_exchange(std::move(std::get<std::unique_ptr<Exchange>>(*reply)));
  }

  Task<bool> run_exchange(std::unique_ptr<Exchange> exchange) {
    watch();
    exchange->start([weak = this->weak_from_this(), &thread = thread_] {
      asio::post(thread.context, [weak] {
        if (const auto self = weak.lock()) self->signal();
      });
    });
    bool head_sent = false;
    bool chunked = false;
    bool fine = true;
    while (fine) {
      Exchange::Progress progress = exchange->advance();
      std::string out;
      if (progress.head) {
        if (progress.over && progress.piece.empty()) {
          exchange.reset();
          co_return co_await send(std::move(*progress.head));
        }
        environment_.application.complete(request_, *progress.head);
        chunked = version_ >= 11;
        if (!chunked) keeps_ = false;
        served_.status = progress.head->status;
        out = response_head(*progress.head, std::nullopt, chunked, closes());
        head_sent = true;
      }
      if (head_sent) append(progress.piece, chunked, out);
      if (progress.over && chunked) out += "0\r\n\r\n";
      if (!out.empty()) fine = co_await write(out);
      if (!fine || progress.over) break;
      if (gone_ || closed_) {
        fine = false;
        break;
      }
      const bool signalled = co_await wait_signal(options_.keep_alive);
      if (!signalled && head_sent && !exchange->keep_alive().empty()) {
        out.clear();
        append(exchange->keep_alive(), chunked, out);
        fine = co_await write(out);
      }
    }
    exchange.reset();
    served_.cut_off = !fine;
    report();
    co_return fine && !closes();
  }

  void append(std::string_view piece, bool chunked, std::string& out) {
    served_.bytes += piece.size();
    if (chunked) {
      append_chunk(piece, out);
    } else {
      out += piece;
    }
  }

  // Sends a whole answer; true: the connection goes on.
  Task<bool> send(HttpResponse response) {
    environment_.application.complete(request_, response);
    std::string out = response_head(response, response.body.size(), false, closes());
    served_.status = response.status;
    served_.bytes = response.body.size();
    const bool has_body =
        request_.method != "HEAD" && response.status != 204 && response.status != 304;
    if (has_body) out += response.body;
    response.body = std::string();
    const bool fine = co_await write(out);
    served_.cut_off = !fine;
    report();
    co_return fine && !closes();
  }
  Task<bool> send_last(HttpResponse response) {
    keeps_ = false;
    co_return co_await send(std::move(response));
  }

  void report() {
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - started_;
    served_.seconds = seconds.count();
    environment_.application.served(request_, served_);
  }

  [[nodiscard]] bool closes() const {
    return !keeps_ || closed_ || environment_.draining.load(std::memory_order_relaxed);
  }

  // Waits for the first byte of a request; false when none comes.
  Task<bool> wait_for_request() {
    idle_ = true;
    const auto until = std::chrono::steady_clock::now() + options_.idle_time;
    while (buffer_.size() == 0 || reading_) {
      if (gone_ || closed_ || environment_.draining) break;
      const auto left =
          std::chrono::duration_cast<Milliseconds>(until - std::chrono::steady_clock::now());
      if (left.count() <= 0) break;
      if (!reading_) watch();
      co_await wait_signal(left);
    }
    idle_ = false;
    // A request that came before the end was asked for is still answered.
    co_return buffer_.size() > 0 && !reading_ && !closed_;
  }

  // Reads what comes next, besides whatever is being done: so a client that leaves is noticed.
  void watch() {
    constexpr std::size_t kPiece = 4096;
    if (reading_ || gone_ || closed_ || buffer_.size() > 0) return;
    reading_ = true;
    stream_.async_read_some(
        buffer_.prepare(kPiece),
        [self = this->shared_from_this()](const ErrorCode& error, std::size_t bytes) {
          self->reading_ = false;
          if (error) self->gone_ = true;
          self->buffer_.commit(bytes);
          self->signal();
        });
  }

  Task<void> end_watch() {
    ErrorCode ignored;
    if (reading_) stream_.lowest_layer().cancel(ignored);
    while (reading_) co_await wait_signal(Milliseconds(1'000));
    gone_ = false;
  }

  void take_head() {
    const auto& head = parser_->get();
    version_ = head.version();
    keeps_ = head.keep_alive();
    request_.method = std::string(head.method_string());
    std::string target(head.target());
    // The absolute form, as proxies get it.
    if (const std::size_t scheme = target.find("://");
        !target.starts_with('/') && scheme != std::string::npos) {
      const std::size_t path = target.find('/', scheme + 3);
      target = path == std::string::npos ? "/" : target.substr(path);
    }
    const std::size_t question = target.find('?');
    request_.path = target.substr(0, question);
    if (question != std::string::npos) request_.query = target.substr(question + 1);
    for (const auto& field : head) {
      std::string name(field.name_string());
      for (char& c : name) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      }
      request_.headers.emplace_back(std::move(name), std::string(field.value()));
    }
    const std::string_view given = request_.header("x-request-id");
    if (is_request_id(given)) request_.id = std::string(given);
  }

  [[nodiscard]] std::optional<std::uint64_t> announced_bytes() const {
    if (parser_->chunked()) return std::nullopt;
    return parser_->content_length().value_or(0);
  }
  [[nodiscard]] bool has_known_framing() const {
    const std::string_view coding = request_.header("transfer-encoding");
    return coding.empty() || beast::iequals(coding, "chunked");
  }
  [[nodiscard]] bool expects_continue() const { return !request_.header("expect").empty(); }

  // Counts bytes among those of all bodies while it lives.
  struct BodyShare {
    BodyShare(std::atomic<std::size_t>& sum, std::size_t weight)
        : all(sum), bytes(weight), total(sum.fetch_add(weight) + weight) {}
    ~BodyShare() { all.fetch_sub(bytes); }
    BodyShare(const BodyShare&) = delete;
    BodyShare& operator=(const BodyShare&) = delete;
    std::atomic<std::size_t>& all;
    std::size_t bytes;
    std::size_t total;
  };

  Task<bool> read_body() {
    if (parser_->is_done()) co_return true;
    if (expects_continue() && buffer_.size() == 0) {
      const std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
      const bool fine = co_await write(go_on);
      if (!fine) co_return false;
    }
    ErrorCode error;
    arm(options_.body_time);
    co_await http::async_read(stream_, buffer_, *parser_,
                              asio::redirect_error(asio::use_awaitable, error));
    disarm();
    if (error) {
      co_await refuse_input(error, "the request's body");
      co_return false;
    }
    request_.body = std::move(parser_->get().body());
    co_return true;
  }

  Task<bool> refuse_input(ErrorCode error, const char* what) {
    int status = 400;
    std::string message = "the request is not HTTP/1.1: " + error.message();
    if (timed_out_) {
      status = 408;
      message = fmt::format("{} did not come within the time for it", what);
    } else if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      status = 431;
      message = fmt::format("the request's head is larger than {} bytes", options_.max_header);
    } else if (error == http::error::body_limit) {
      status = 413;
      message = fmt::format("the request's body is larger than {} bytes", options_.max_body);
    } else if (error.category() != http::make_error_code(http::error::end_of_stream).category() ||
               error == http::error::end_of_stream || error == http::error::partial_message) {
      co_return false;  // the client has left
    }
    timed_out_ = false;
    if (request_.method.empty() && parser_) request_.method = parser_->get().method_string();
    co_return co_await send_last(environment_.application.failure(status, message));
  }

  // Reads away what the client still sends, so that it reads our answer instead of a reset.
  Task<void> linger() {
    constexpr std::size_t kMost = std::size_t{64} << 20U;
    std::size_t total = 0;
    ErrorCode error;
    while (!timed_out_ && total < kMost) {
      buffer_.clear();
      const std::size_t bytes = co_await socket().async_read_some(
          buffer_.prepare(65536), asio::redirect_error(asio::use_awaitable, error));
      if (error) break;
      total += bytes;
    }
  }

  // In slices, so that the time for one says whether the client takes anything at all.
  Task<bool> write(std::string_view out) {
    constexpr std::size_t kSlice = std::size_t{256} << 10U;
    while (!out.empty()) {
      const std::size_t size = std::min(kSlice, out.size());
      ErrorCode error;
      arm(options_.write_time);
      co_await asio::async_write(stream_, asio::buffer(out.data(), size),
                                 asio::redirect_error(asio::use_awaitable, error));
      disarm();
      if (error) {
        gone_ = true;
        co_return false;
      }
      out.remove_prefix(size);
    }
    co_return true;
  }

  // When the time is over, what the connection waits for on the network ends with an error.
  void arm(Milliseconds time) {
    timed_out_ = false;
    deadline_timer_.expires_after(time);
    deadline_timer_.async_wait(
        [self = this->shared_from_this(), armed = ++armed_](const ErrorCode& error) {
          if (error || armed != self->armed_) return;
          self->timed_out_ = true;
          ErrorCode ignored;
          self->stream_.lowest_layer().cancel(ignored);
        });
  }
  void disarm() {
    ++armed_;
    deadline_timer_.cancel();
  }

  void signal() {
    signalled_ = true;
    signal_timer_.cancel();
  }
  // False: the time is over and there was no signal.
  Task<bool> wait_signal(Milliseconds time) {
    if (!signalled_) {
      ErrorCode ignored;
      signal_timer_.expires_after(time);
      co_await signal_timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    co_return std::exchange(signalled_, false);
  }

  [[nodiscard]] asio::ip::tcp::socket& socket() {
    if constexpr (std::is_same_v<Stream, asio::ip::tcp::socket>) {
      return stream_;
    } else {
      return stream_.next_layer();
    }
  }

  ConnectionEnvironment& environment_;
  const HttpOptions& options_;
  NetworkThread& thread_;
  Stream stream_;
  std::string remote_;

  asio::steady_timer signal_timer_;
  bool signalled_ = false;
  asio::steady_timer deadline_timer_;
  std::uint64_t armed_ = 0;
  bool timed_out_ = false;

  beast::flat_buffer buffer_{std::size_t{256} << 10U};
  std::optional<Parser> parser_;
  bool reading_ = false;  // watch() waits for input
  bool gone_ = false;     // the client has closed its side
  bool closed_ = false;   // we have closed ours
  bool idle_ = false;     // between two requests
  bool worked_ = false;

  HttpRequest request_;
  std::optional<BodyShare> share_;
  unsigned version_ = 11;
  bool keeps_ = true;
  Served served_;
  std::chrono::steady_clock::time_point started_;
};

}  // namespace mistral::server
