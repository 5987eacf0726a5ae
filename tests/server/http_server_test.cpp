// HTTP over real sockets: limits, broken requests, clients that leave.
#include "server/http/http_server.h"

#include <chrono>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "served_model.h"

namespace mistral::server {
namespace {

using Milliseconds = std::chrono::milliseconds;

class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~Client() { leave(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void leave() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  void reset() {
    const linger hard{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    leave();
  }
  void close_output() const { shutdown(fd_, SHUT_WR); }
  void write(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  // Up to `mark`, or the end.
  std::string read_until(std::string_view mark) {
    while (received_.find(mark) == std::string::npos) {
      if (!read_some()) break;
    }
    const std::size_t at = received_.find(mark);
    const std::size_t end = at == std::string::npos ? received_.size() : at + mark.size();
    std::string text = received_.substr(0, end);
    received_.erase(0, end);
    return text;
  }
  std::string read_all() {
    while (read_some()) {
    }
    return std::move(received_);
  }
  // A whole answer with Content-Length.
  std::string read_answer() {
    std::string head = read_until("\r\n\r\n");
    const std::size_t at = head.find("Content-Length: ");
    if (at == std::string::npos) return head;
    const auto length = static_cast<std::size_t>(std::stoul(head.substr(at + 16)));
    while (received_.size() < length && read_some()) {
    }
    head += received_.substr(0, length);
    received_.erase(0, length);
    return head;
  }

 private:
  bool read_some() {
    pollfd entry{fd_, POLLIN, 0};
    if (poll(&entry, 1, 20'000) <= 0) {
      ADD_FAILURE() << "nothing comes";
      return false;
    }
    char buffer[65536];
    const ssize_t count = recv(fd_, buffer, sizeof buffer, 0);
    if (count <= 0) return false;
    received_.append(buffer, static_cast<std::size_t>(count));
    return true;
  }

  int fd_;
  std::string received_;
};

HttpOptions options_of(std::size_t max_body = std::size_t{50} << 20U) {
  HttpOptions options;
  options.max_body = max_body;
  return options;
}

struct Server {
  explicit Server(const HttpOptions& options = options_of(), ApiOptions api_options = {})
      : fake(std::move(api_options)), http(options, *fake.api) {}

  ServedFake fake;
  HttpServer http;
};

std::string post_text(const std::string& path, const std::string& body,
                      const std::string& more = "") {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + more +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

constexpr const char* kCompletions = "/v1/completions";
const std::string kShort = R"({"prompt":"abc","max_tokens":4})";
const std::string kEndless =
    R"({"prompt":"abc","max_tokens":4000,"ignore_eos":true,"stream":true})";

template <typename Condition>
bool soon(Condition condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(Milliseconds(5));
  }
  return false;
}

TEST(HttpServer, AnswersOneRequestAfterAnother) {
  Server server;
  Client client(server.http.port());
  for (int i = 0; i < 3; ++i) {
    client.write(post_text(kCompletions, kShort));
    const std::string answer = client.read_answer();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
    EXPECT_NE(answer.find("Connection: keep-alive"), std::string::npos);
    EXPECT_NE(answer.find("X-Request-Id: req-"), std::string::npos);
  }
  client.write("GET /health HTTP/1.1\r\nX-Request-Id: mine-1\r\n\r\n");
  EXPECT_NE(client.read_answer().find("X-Request-Id: mine-1\r\n"), std::string::npos);
  client.write("GET /health HTTP/1.1\r\nX-Request-Id: no {good} one\r\n\r\n");
  EXPECT_NE(client.read_answer().find("X-Request-Id: req-"), std::string::npos);
  // Two at once, in their order.
  client.write("GET /health HTTP/1.1\r\nHost: x\r\n\r\n" + post_text(kCompletions, kShort) +
               "GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(client.read_answer().ends_with("OK"));
  EXPECT_NE(client.read_answer().find("text_completion"), std::string::npos);
  EXPECT_NE(client.read_answer().find("fake-model"), std::string::npos);
}

TEST(HttpServer, StreamsInChunksOrToTheEnd) {
  Server server;
  const std::string body = R"({"prompt":"abc","max_tokens":4,"stream":true})";
  {
    Client client(server.http.port());
    client.write(post_text(kCompletions, body));
    const std::string answer = client.read_until("0\r\n\r\n");
    EXPECT_NE(answer.find("Transfer-Encoding: chunked"), std::string::npos);
    EXPECT_NE(answer.find("data: [DONE]\n\n"), std::string::npos);
    client.write("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(client.read_answer().ends_with("OK"));
  }
  Client old(server.http.port());
  old.write("POST /v1/completions HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: " +
            std::to_string(body.size()) + "\r\n\r\n" + body);
  const std::string answer = old.read_all();
  EXPECT_EQ(answer.find("Transfer-Encoding"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("data: [DONE]\n\n")) << answer;
}

TEST(HttpServer, TakesBodiesInChunksAndByteByByte) {
  Server server;
  Client client(server.http.port());
  client.write(
      "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\n\r\n");
  for (const char c : kShort) client.write("1\r\n" + std::string(1, c) + "\r\n");
  client.write("0\r\n\r\n");
  EXPECT_TRUE(client.read_answer().starts_with("HTTP/1.1 200"));
  for (const char c : post_text(kCompletions, kShort)) client.write(std::string(1, c));
  EXPECT_TRUE(client.read_answer().starts_with("HTTP/1.1 200"));
}

TEST(HttpServer, HeadHasNoBody) {
  Server server;
  Client client(server.http.port());
  client.write("HEAD /health HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string head = client.read_until("\r\n\r\n");
  EXPECT_NE(head.find("Content-Length: 2"), std::string::npos);
  EXPECT_TRUE(client.read_answer().starts_with("HTTP/1.1 200"));
}

TEST(HttpServer, WaitsForTheWordToGoOn) {
  Server server;
  Client client(server.http.port());
  const std::string request = post_text(kCompletions, kShort, "Expect: 100-continue\r\n");
  const std::size_t head = request.find("\r\n\r\n") + 4;
  client.write(request.substr(0, head));
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.write(request.substr(head));
  EXPECT_TRUE(client.read_answer().starts_with("HTTP/1.1 200"));
}

TEST(HttpServer, RefusesLargeHeadsAndBodies) {
  Server server(options_of(1000));
  const auto status = [&](const std::string& text) {
    Client client(server.http.port());
    client.write(text);
    const std::string answer = client.read_all();
    EXPECT_NE(answer.find("\"error\""), std::string::npos);
    return answer.substr(0, 12);
  };
  EXPECT_EQ(status("GET /health HTTP/1.1\r\nX: " + std::string(65536, 'x') + "\r\n\r\n"),
            "HTTP/1.1 431");
  std::string many = "GET /health HTTP/1.1\r\n";
  for (int i = 0; i < 5000; ++i) many += "X" + std::to_string(i) + ": 0123456789\r\n";
  EXPECT_EQ(status(many + "\r\n"), "HTTP/1.1 431");
  EXPECT_EQ(status("GET /" + std::string(70000, 'x') + " HTTP/1.1\r\n\r\n"), "HTTP/1.1 431");
  EXPECT_EQ(status(post_text(kCompletions, std::string(1001, ' '))), "HTTP/1.1 413");
  // Announced, and not even sent.
  EXPECT_EQ(status("POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\n"
                   "Content-Length: 53477376\r\n\r\n"),
            "HTTP/1.1 413");
  EXPECT_EQ(status("POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n7d0\r\n" +
                   std::string(2000, 'x') + "\r\n0\r\n\r\n"),
            "HTTP/1.1 413");
}

TEST(HttpServer, RefusesWhatIsNotHttp) {
  Server server;
  for (const char* text :
       {"\x16\x03\x01\x02\x01\xfc\x03\x03\r\n\r\n", "GET\r\n\r\n", "GET /health HTTP/9.9\r\n\r\n",
        "GET /health HTTP/1.1\r\nno colon\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nGET /health HTTP/1.1",
        "POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
        "Content-Type: application/json\r\n\r\nzz\r\n"}) {
    Client client(server.http.port());
    client.write(text);
    EXPECT_TRUE(client.read_all().starts_with("HTTP/1.1 400")) << text;
  }
}

TEST(HttpServer, SlowClientsAreToldAndLeft) {
  HttpOptions options;
  options.header_time = Milliseconds(100);
  options.body_time = Milliseconds(100);
  options.idle_time = Milliseconds(100);
  Server server(options);
  Client head(server.http.port());
  head.write("GET /health HTTP/1.1\r\nX: ");
  EXPECT_TRUE(head.read_all().starts_with("HTTP/1.1 408"));
  Client body(server.http.port());
  body.write(
      "POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\n"
      "Content-Length: 10\r\n\r\n{");
  EXPECT_TRUE(body.read_all().starts_with("HTTP/1.1 408"));
  Client silent(server.http.port());
  EXPECT_EQ(silent.read_all(), "");
  EXPECT_TRUE(soon([&] { return server.http.connections() == 0; }));
}

TEST(HttpServer, SignsOfLifeWhileTheModelThinks) {
  HttpOptions options;
  options.keep_alive = Milliseconds(20);
  Server server(options);
  server.fake.model->on_step = [](const nn::Batch&) {
    std::this_thread::sleep_for(Milliseconds(200));
  };
  Client client(server.http.port());
  client.write(post_text(kCompletions, R"({"prompt":"abc","max_tokens":2,"stream":true})"));
  const std::string answer = client.read_until("[DONE]\n\n");
  EXPECT_LT(answer.find(": keep-alive"), answer.find("data: "));
}

TEST(HttpServer, ClientsThatLeaveEndTheirAnswers) {
  Server server;
  server.fake.model->on_step = [](const nn::Batch&) {
    std::this_thread::sleep_for(Milliseconds(1));
  };
  const auto idle = [&] {
    const engine::EngineStats stats = server.fake.engine->stats();
    return stats.running + stats.waiting == 0;
  };
  int left = 0;
  for (const bool stream : {true, false}) {
    for (int how = 0; how < 3; ++how) {
      std::string body = kEndless;
      if (!stream) body.replace(body.find("true}"), 5, "false}");
      Client client(server.http.port());
      client.write(post_text(kCompletions, body));
      ASSERT_TRUE(soon([&] { return server.fake.engine->stats().running == 1; }));
      if (stream) (void)client.read_until("data: ");
      if (how == 0) client.leave();
      if (how == 1) client.reset();
      if (how == 2) client.close_output();
      ++left;
      EXPECT_TRUE(soon(idle));
      EXPECT_TRUE(soon([&] { return server.fake.engine->stats().finished_cancelled == left; }));
    }
  }
  EXPECT_TRUE(soon([&] { return server.http.connections() == 0; }));
}

TEST(HttpServer, DrainsBeforeItEnds) {
  Server server;
  server.fake.model->on_step = [](const nn::Batch&) {
    std::this_thread::sleep_for(Milliseconds(1));
  };
  Client idle(server.http.port());
  idle.write("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
  (void)idle.read_answer();
  Client busy(server.http.port());
  busy.write(post_text(kCompletions,
                       R"({"prompt":"abc","max_tokens":100,"ignore_eos":true,"stream":true})"));
  (void)busy.read_until("data: ");
  server.http.drain();
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_NE(busy.read_all().find("[DONE]"), std::string::npos);
  EXPECT_TRUE(server.http.wait_idle(Milliseconds(10'000)));
}

TEST(HttpServer, EndsAtOnceWithConnectionsOfAllKinds) {
  auto server = std::make_unique<Server>();
  Client idle(server->http.port());
  Client half(server->http.port());
  half.write("GET /hea");
  Client streaming(server->http.port());
  streaming.write(post_text(kCompletions, kEndless));
  (void)streaming.read_until("data: ");
  server.reset();
  (void)streaming.read_all();
  EXPECT_EQ(idle.read_all(), "");
}

TEST(HttpServer, SaysWhyItCannotListen) {
  ServedFake fake;
  HttpOptions options;
  const HttpServer first(options, *fake.api);
  options.port = first.port();
  EXPECT_THROW(HttpServer(options, *fake.api), Error);
  options.address = "localhost";
  EXPECT_THROW(HttpServer(options, *fake.api), Error);
  options = HttpOptions{};
  options.tls_certificate = "no-such-file";
  EXPECT_THROW(HttpServer(options, *fake.api), Error);
  options.tls_key = "no-such-file";
  EXPECT_THROW(HttpServer(options, *fake.api), Error);
}

TEST(HttpServer, ManyStreamsNeedNoThreads) {
  ApiOptions api_options;
  api_options.max_requests = 1000;
  Server server(options_of(), std::move(api_options));
  const auto threads = [] {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
      (void)entry;
      ++count;
    }
    return count;
  };
  const int before = threads();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 200; ++i) {
    clients.push_back(std::make_unique<Client>(server.http.port()));
    clients.back()->write(
        post_text(kCompletions, R"({"prompt":"abc","max_tokens":16,"stream":true})"));
  }
  for (std::size_t i = 0; i < clients.size(); i += 10) clients[i]->leave();
  EXPECT_EQ(threads(), before);
  for (std::size_t i = 0; i < clients.size(); ++i) {
    if (i % 10 == 0) continue;
    EXPECT_NE(clients[i]->read_until("[DONE]\n\n").find("[DONE]"), std::string::npos) << i;
  }
}

}  // namespace
}  // namespace mistral::server
