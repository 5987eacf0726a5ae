#include "server/http/connection_impl.h"

namespace mistral::server {
namespace {

struct NoHandshake {
  static asio::awaitable<bool> open(asio::ip::tcp::socket&) { co_return true; }
  static asio::awaitable<void> shut(asio::ip::tcp::socket& socket) {
    ErrorCode ignored;
    socket.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    co_return;
  }
};

}  // namespace

void begin_plain(ConnectionEnvironment& environment, NetworkThread& thread,
                 asio::ip::tcp::socket socket, std::string remote) {
  std::make_shared<Connection<asio::ip::tcp::socket, NoHandshake>>(
      environment, thread, std::move(socket), std::move(remote))
      ->begin();
}

}  // namespace mistral::server
