#include <boost/asio/ssl/stream.hpp>

#include "server/http/connection_impl.h"

namespace mistral::server {
namespace {

using TlsStream = asio::ssl::stream<asio::ip::tcp::socket>;

struct TlsHandshake {
  static asio::awaitable<bool> open(TlsStream& stream) {
    ErrorCode error;
    co_await stream.async_handshake(asio::ssl::stream_base::server,
                                    asio::redirect_error(asio::use_awaitable, error));
    co_return !error;
  }
  static asio::awaitable<void> shut(TlsStream& stream) {
    ErrorCode ignored;
    co_await stream.async_shutdown(asio::redirect_error(asio::use_awaitable, ignored));
    stream.lowest_layer().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  }
};

}  // namespace

void begin_tls(ConnectionEnvironment& environment, NetworkThread& thread,
               asio::ip::tcp::socket socket, std::string remote, asio::ssl::context& tls) {
  std::make_shared<Connection<TlsStream, TlsHandshake>>(
      environment, thread, TlsStream(std::move(socket), tls), std::move(remote))
      ->begin();
}

}  // namespace mistral::server
