// What the connections of one server share, and how one is begun. The two kinds, plain and TLS, are
// compiled apart, as the HTTP library makes that slow.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <unordered_set>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/thread_pool.hpp>

#include "server/http/http_server.h"

namespace mistral::server {

class ConnectionBase {
 public:
  ConnectionBase() = default;
  virtual ~ConnectionBase() = default;
  ConnectionBase(const ConnectionBase&) = delete;
  ConnectionBase& operator=(const ConnectionBase&) = delete;

  // Both are called on the connection's thread.
  virtual void drain() = 0;  // ends after what it is at
  virtual void close() = 0;  // ends at once
};

// One network thread and the connections that live on it.
struct NetworkThread {
  boost::asio::io_context context{1};
  // Keeps the thread while there are no connections.
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard{
      context.get_executor()};
  std::unordered_set<ConnectionBase*> connections;  // of this thread only
};

struct ConnectionEnvironment {
  ConnectionEnvironment(const HttpOptions& the_options, Application& the_application,
                        boost::asio::thread_pool& the_workers)
      : options(the_options), application(the_application), workers(the_workers) {}

  const HttpOptions& options;
  Application& application;
  boost::asio::thread_pool& workers;
  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> body_bytes{0};  // announced by bodies that are being read
  std::atomic<bool> draining{false};
  std::string id_prefix;  // of this run's request ids
  std::atomic<std::uint64_t> next_id{1};
};

void begin_plain(ConnectionEnvironment& environment, NetworkThread& thread,
                 boost::asio::ip::tcp::socket socket, std::string remote);
void begin_tls(ConnectionEnvironment& environment, NetworkThread& thread,
               boost::asio::ip::tcp::socket socket, std::string remote,
               boost::asio::ssl::context& tls);

}  // namespace mistral::server
