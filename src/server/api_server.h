// The routes: who may use them, when, and what answers.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/api/service.h"
#include "server/http/message.h"
#include "server/operation/api_keys.h"
#include "server/operation/metrics.h"
#include "server/operation/request_log.h"

namespace mistral::server {

struct ApiOptions {
  ApiKeys keys;                   // none: everybody may
  std::string cors_origin = "*";  // empty: browsers may not call from other pages
  bool access_log = true;
  LogFormat log_format = LogFormat::kText;
  std::string log_file;             // of requests and answers; empty: none
  std::int64_t max_requests = 64;   // for chats, completions and embeddings that are taken at once
  std::int32_t max_sequences = 32;  // of those, answered at once
};

class ApiServer final : public Application {
 public:
  // Throws Error: the log file cannot be opened.
  explicit ApiServer(ApiOptions options);
  ~ApiServer() override;

  // From now on requests are answered; before, they are told to come back. `service` must outlive
  // this.
  void open(const Service& service) { service_.store(&service); }
  // No more requests are taken.
  void drain() { draining_.store(true); }
  // How many connections there are; for the metrics.
  void count_connections(std::function<std::size_t()> count) { connections_ = std::move(count); }

  [[nodiscard]] std::optional<HttpResponse> refuse(const HttpRequest& head) override;
  [[nodiscard]] bool is_work(const HttpRequest& request) const override;
  [[nodiscard]] Reply handle(HttpRequest& request) noexcept override;
  [[nodiscard]] HttpResponse failure(int status, const std::string& message) override;
  void complete(const HttpRequest& request, HttpResponse& response) const override;
  void served(const HttpRequest& request, const Served& served) override;

  struct Route;

 private:
  [[nodiscard]] static const std::vector<Route>& routes();
  // The route of a path; null: there is none. `*` at the end of a route's path stands for the rest.
  [[nodiscard]] static const Route* find(std::string_view path);
  [[nodiscard]] const Service& service() const;
  [[nodiscard]] std::shared_ptr<void> admit();
  [[nodiscard]] std::optional<HttpResponse> refuse_for_load() const;

  [[nodiscard]] Reply answer(const Route& route, HttpRequest& request);
  [[nodiscard]] Reply chat(const HttpRequest& request);
  [[nodiscard]] Reply complete_text(const HttpRequest& request);
  [[nodiscard]] Reply embed(const HttpRequest& request);
  [[nodiscard]] Reply models(const HttpRequest& request);
  [[nodiscard]] Reply tokenize(const HttpRequest& request);
  [[nodiscard]] Reply detokenize(const HttpRequest& request);
  [[nodiscard]] Reply root(const HttpRequest& request);
  [[nodiscard]] Reply health(const HttpRequest& request);
  [[nodiscard]] Reply ready(const HttpRequest& request);
  [[nodiscard]] Reply metrics(const HttpRequest& request);
  [[nodiscard]] Reply docs(const HttpRequest& request);
  [[nodiscard]] Reply openapi(const HttpRequest& request);
  [[nodiscard]] Reply re_isq(const HttpRequest& request);
  [[nodiscard]] Reply activate_adapters(const HttpRequest& request);

  ApiOptions options_;
  std::atomic<const Service*> service_{nullptr};
  std::atomic<bool> draining_{false};
  std::function<std::size_t()> connections_;
  HttpMetrics http_metrics_;
  std::unique_ptr<RequestLog> request_log_;
  std::shared_ptr<std::atomic<std::int64_t>> admitted_ =
      std::make_shared<std::atomic<std::int64_t>>(0);
  std::atomic<std::int64_t> refused_{0};

  // Whether the engine goes on.
  std::mutex progress_mutex_;
  std::int64_t last_steps_ = -1;
  std::chrono::steady_clock::time_point last_progress_;
};

}  // namespace mistral::server
