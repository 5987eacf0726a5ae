#include "server/http/http_server.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <random>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "server/http/connection.h"

namespace mistral::server {
namespace {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

// A crowd of connections leaves gaps in the heap that the allocator keeps.
constexpr std::size_t kCrowd = 64;
constexpr std::size_t kFew = 8;
constexpr std::chrono::milliseconds kLook{500};

void give_memory_back() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

std::string random_prefix() {
  std::random_device device;
  return fmt::format("req-{:08x}-", device());
}

std::string text_of(const asio::ip::tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return endpoint.address().is_v6() ? fmt::format("[{}]:{}", address, endpoint.port())
                                    : fmt::format("{}:{}", address, endpoint.port());
}

}  // namespace

struct HttpServer::Impl {
  Impl(const HttpOptions& the_options, Application& application)
      : options(the_options),
        workers(static_cast<std::size_t>(options.worker_threads)),
        environment(options, application, workers) {
    environment.id_prefix = random_prefix();
    for (int i = 0; i < options.network_threads; ++i) {
      networks.push_back(std::make_unique<NetworkThread>());
    }
    acceptor.emplace(networks.front()->context);
    pause.emplace(networks.front()->context);
    crowd.emplace(networks.front()->context);
    prepare_tls();
    bind();
    accept();
    for (auto& network : networks) {
      threads.emplace_back([&network = *network] { run(network); });
    }
  }

  ~Impl() {
    drain();
    for (auto& network : networks) {
      asio::post(network->context, [&network = *network] {
        // Closing takes nothing out of the set: that happens when a coroutine has ended.
        for (ConnectionBase* connection : network.connections) connection->close();
      });
      network->guard.reset();
    }
    workers.join();
    for (std::thread& thread : threads) thread.join();
  }

  static void run(NetworkThread& network) {
    while (true) {
      try {
        network.context.run();
        return;
      } catch (const std::exception& error) {
        log::error("a connection failed: {}", error.what());
      }
    }
  }

  void prepare_tls() {
    if (options.tls_certificate.empty() && options.tls_key.empty()) return;
    if (options.tls_certificate.empty() || options.tls_key.empty()) {
      throw Error(ErrorKind::kInvalidArgument, "TLS needs both a certificate and its key");
    }
    tls.emplace(asio::ssl::context::tls_server);
    tls->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                     asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 |
                     asio::ssl::context::no_tlsv1_1);
    ErrorCode error;
    tls->use_certificate_chain_file(options.tls_certificate, error);
    if (error) {
      throw make_error(ErrorKind::kInvalidFile, "TLS certificate '{}': {}", options.tls_certificate,
                       error.message());
    }
    tls->use_private_key_file(options.tls_key, asio::ssl::context::pem, error);
    if (error) {
      throw make_error(ErrorKind::kInvalidFile, "TLS key '{}': {}", options.tls_key,
                       error.message());
    }
  }

  void bind() {
    ErrorCode error;
    const auto address = asio::ip::make_address(options.address, error);
    if (error) {
      throw make_error(ErrorKind::kInvalidArgument,
                       "'{}' is no IP address to listen at, as 127.0.0.1 or ::1", options.address);
    }
    const asio::ip::tcp::endpoint endpoint(address, options.port);
    acceptor->open(endpoint.protocol(), error);
    if (!error) acceptor->set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor->bind(endpoint, error);
    if (!error) acceptor->listen(4096, error);
    if (error) {
      throw make_error(ErrorKind::kResource, "cannot listen at {}: {}", text_of(endpoint),
                       error.message());
    }
    bound = acceptor->local_endpoint(error);
  }

  // Sockets are made on the threads in turn.
  void accept() {
    NetworkThread& network = *networks[next_network++ % networks.size()];
    acceptor->async_accept(network.context,
                           [this, &network](const ErrorCode& error, asio::ip::tcp::socket socket) {
                             if (environment.draining) return;
                             if (error) {
                               // Out of file handles, for instance: others will be given back.
                               pause->expires_after(std::chrono::milliseconds(50));
                               pause->async_wait([this](const ErrorCode& stopped) {
                                 if (!stopped) accept();
                               });
                               return;
                             }
                             begin(network, std::move(socket));
                             if (!crowded && environment.connections >= kCrowd) watch_crowd();
                             accept();
                           });
  }

  // Until it has gone.
  void watch_crowd() {
    crowded = true;
    crowd->expires_after(kLook);
    crowd->async_wait([this](const ErrorCode& stopped) {
      if (stopped || environment.draining) return;
      if (environment.connections > kFew) {
        watch_crowd();
        return;
      }
      crowded = false;
      asio::post(workers, give_memory_back);
    });
  }

  void begin(NetworkThread& network, asio::ip::tcp::socket socket) {
    if (environment.connections >= options.max_connections) return;  // closes it
    ErrorCode ignored;
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    socket.set_option(asio::socket_base::keep_alive(true), ignored);
    std::string remote = text_of(socket.remote_endpoint(ignored));
    asio::post(network.context,
               [this, &network, socket = std::move(socket), remote = std::move(remote)]() mutable {
                 if (environment.draining) return;
                 if (tls) {
                   begin_tls(environment, network, std::move(socket), std::move(remote), *tls);
                 } else {
                   begin_plain(environment, network, std::move(socket), std::move(remote));
                 }
               });
  }

  void drain() {
    if (environment.draining.exchange(true)) return;
    asio::post(networks.front()->context, [this] {
      ErrorCode ignored;
      acceptor->close(ignored);
      pause->cancel();
      crowd->cancel();
    });
    for (auto& network : networks) {
      asio::post(network->context, [&network = *network] {
        for (ConnectionBase* connection : network.connections) connection->drain();
      });
    }
  }

  HttpOptions options;
  asio::thread_pool workers;
  ConnectionEnvironment environment;
  std::vector<std::unique_ptr<NetworkThread>> networks;
  std::optional<asio::ssl::context> tls;
  std::optional<asio::ip::tcp::acceptor> acceptor;
  std::optional<asio::steady_timer> pause;  // between attempts to accept
  std::optional<asio::steady_timer> crowd;  // looks whether it has gone
  bool crowded = false;                     // of the first network thread only
  asio::ip::tcp::endpoint bound;
  std::size_t next_network = 0;
  std::vector<std::thread> threads;
};

HttpServer::HttpServer(const HttpOptions& options, Application& application)
    : impl_(std::make_unique<Impl>(options, application)) {}

HttpServer::~HttpServer() = default;

std::string HttpServer::url() const {
  return fmt::format("{}://{}", impl_->tls ? "https" : "http", text_of(impl_->bound));
}

std::uint16_t HttpServer::port() const {
  return impl_->bound.port();
}

std::size_t HttpServer::connections() const {
  return impl_->environment.connections;
}

void HttpServer::drain() {
  impl_->drain();
}

bool HttpServer::wait_idle(std::chrono::milliseconds time) const {
  const auto until = std::chrono::steady_clock::now() + time;
  while (connections() > 0) {
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

}  // namespace mistral::server
