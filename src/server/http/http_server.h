// Listens, and speaks HTTP/1.1 with every client: a few threads, none for a connection.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "server/http/message.h"

namespace mistral::server {

struct HttpOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  // 0: one that is free
  // Files in PEM format; both or none.
  std::string tls_certificate;
  std::string tls_key;

  int network_threads = 2;
  int worker_threads = 4;  // prepare requests
  std::size_t max_connections = 8192;
  std::size_t max_body = std::size_t{50} << 20U;
  std::size_t max_header = std::size_t{64} << 10U;
  std::size_t max_bodies = std::size_t{1} << 30U;  // all bodies being read at once, together

  // A client must send a whole head, and a whole body, within so much time.
  std::chrono::milliseconds header_time{10'000};
  std::chrono::milliseconds body_time{60'000};
  // How long a connection may wait for its next request.
  std::chrono::milliseconds idle_time{75'000};
  // How long a client may take nothing of what is sent to it.
  std::chrono::milliseconds write_time{60'000};
  // Silence in a stream after which a sign of life is sent.
  std::chrono::milliseconds keep_alive{1'000};
};

class HttpServer {
 public:
  // Binds the port and begins to serve. `application` must outlive this. Throws Error: the address
  // is none, the port is taken, a TLS file cannot be used.
  HttpServer(const HttpOptions& options, Application& application);
  ~HttpServer();  // ends what is left at once
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] std::string url() const;
  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::size_t connections() const;

  // Takes no new connections, and ends each one after the answer that it waits for.
  void drain();
  // Waits until there are no connections any more; false after `time`.
  [[nodiscard]] bool wait_idle(std::chrono::milliseconds time) const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace mistral::server
