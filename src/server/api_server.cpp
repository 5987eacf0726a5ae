#include "server/api_server.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/log.h"
#include "server/api/chat.h"
#include "server/api/completions.h"
#include "server/api/embeddings.h"
#include "server/api/error.h"
#include "server/api/model_routes.h"
#include "server/documents.h"
#include "server/web_files.h"

namespace mistral::server {
namespace {

// Without a step for so long while there is work, the engine is taken for dead.
constexpr std::chrono::seconds kStall{120};

HttpResponse text_response(std::string text, int status = 200) {
  return {.status = status, .content_type = "text/plain; charset=utf-8", .body = std::move(text)};
}

bool is_json(std::string_view content_type) {
  std::string type(content_type.substr(0, content_type.find(';')));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.pop_back();
  for (char& c : type) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return type == "application/json" ||
         (type.starts_with("application/") && type.ends_with("+json"));
}

}  // namespace

struct ApiServer::Route {
  std::string_view path;
  std::string_view method;
  Reply (ApiServer::*answer)(const HttpRequest&);
  bool open = false;       // without a key
  bool work = false;       // takes time
  bool generates = false;  // counts for the limit of requests
};

const std::vector<ApiServer::Route>& ApiServer::routes() {
  static const std::vector<Route> kRoutes = {
      {.path = "/v1/chat/completions",
       .method = "POST",
       .answer = &ApiServer::chat,
       .work = true,
       .generates = true},
      {.path = "/v1/completions",
       .method = "POST",
       .answer = &ApiServer::complete_text,
       .work = true,
       .generates = true},
      {.path = "/v1/embeddings",
       .method = "POST",
       .answer = &ApiServer::embed,
       .work = true,
       .generates = true},
      {.path = "/v1/models", .method = "GET", .answer = &ApiServer::models},
      {.path = "/v1/models/*", .method = "GET", .answer = &ApiServer::models},
      {.path = "/tokenize", .method = "POST", .answer = &ApiServer::tokenize, .work = true},
      {.path = "/detokenize", .method = "POST", .answer = &ApiServer::detokenize, .work = true},
      {.path = "/re_isq", .method = "POST", .answer = &ApiServer::re_isq},
      {.path = "/activate_adapters", .method = "POST", .answer = &ApiServer::activate_adapters},
      {.path = "/metrics", .method = "GET", .answer = &ApiServer::metrics},
      {.path = "/", .method = "GET", .answer = &ApiServer::root, .open = true},
      {.path = "/web/*", .method = "GET", .answer = &ApiServer::web, .open = true},
      {.path = "/health", .method = "GET", .answer = &ApiServer::health, .open = true},
      {.path = "/ready", .method = "GET", .answer = &ApiServer::ready, .open = true},
      {.path = "/docs", .method = "GET", .answer = &ApiServer::docs, .open = true},
      {.path = "/docs/", .method = "GET", .answer = &ApiServer::docs, .open = true},
      {.path = "/api-doc/openapi.json",
       .method = "GET",
       .answer = &ApiServer::openapi,
       .open = true},
  };
  return kRoutes;
}

const ApiServer::Route* ApiServer::find(std::string_view path) {
  for (const Route& route : routes()) {
    const bool matches = route.path.ends_with("/*")
                             ? path.size() >= route.path.size() &&
                                   path.starts_with(route.path.substr(0, route.path.size() - 1))
                             : path == route.path;
    if (matches) return &route;
  }
  return nullptr;
}

ApiServer::ApiServer(ApiOptions options) : options_(std::move(options)) {
  if (!options_.log_file.empty()) request_log_ = std::make_unique<RequestLog>(options_.log_file);
}

ApiServer::~ApiServer() = default;

const Service& ApiServer::service() const {
  const Service* service = service_.load();
  if (service != nullptr) return *service;
  throw ApiError::of_status(503, "server_error", "model_loading", "The model is being loaded.")
      .retry_after(5);
}

std::optional<HttpResponse> ApiServer::refuse_for_load() const {
  if (draining_) {
    return ApiError::of_status(503, "server_error", "server_shutdown",
                               "The server is shutting down.")
        .retry_after(5)
        .response();
  }
  if (service_.load() == nullptr) {
    return ApiError::of_status(503, "server_error", "model_loading", "The model is being loaded.")
        .retry_after(5)
        .response();
  }
  const std::int64_t admitted = admitted_->load();
  if (admitted < options_.max_requests) return std::nullopt;
  const double rounds = static_cast<double>(admitted) / std::max<double>(1, options_.max_sequences);
  const double seconds = std::clamp(rounds * http_metrics_.usual_seconds() / 2, 1.0, 60.0);
  return ApiError::of_status(429, "rate_limit_error", "server_overloaded",
                             fmt::format("The server is busy: {} requests are being answered or "
                                         "wait. Try again later.",
                                         admitted))
      .retry_after(static_cast<int>(std::ceil(seconds)))
      .response();
}

// The limit may be passed by as many requests as arrive at the very same time; the engine's own
// queue has room for them.
std::shared_ptr<void> ApiServer::admit() {
  admitted_->fetch_add(1);
  return {nullptr, [count = admitted_](void*) { count->fetch_sub(1); }};
}

std::optional<HttpResponse> ApiServer::refuse(const HttpRequest& head) {
  if (head.method == "OPTIONS") return HttpResponse{.status = 204, .content_type = ""};
  const Route* route = find(head.path);
  if (route == nullptr) {
    return ApiError::of_status(404, "invalid_request_error", "unknown_url",
                               fmt::format("Unknown request URL: {} {}.", head.method, head.path))
        .response();
  }
  const bool method_fits =
      head.method == route->method || (head.method == "HEAD" && route->method == "GET");
  if (!method_fits) {
    HttpResponse response =
        ApiError::of_status(405, "invalid_request_error", "method_not_allowed",
                            fmt::format("{} takes {} only.", route->path, route->method))
            .response();
    response.headers.emplace_back("Allow",
                                  route->method == "GET" ? "GET, HEAD, OPTIONS" : "POST, OPTIONS");
    return response;
  }
  if (!options_.keys.empty() && !route->open) {
    std::string_view key = ApiKeys::bearer(head.header("authorization"));
    if (key.empty()) key = head.header("x-api-key");
    if (key.empty()) key = head.header("api-key");
    if (!options_.keys.accepts(key)) {
      return ApiError::of_status(
                 401, "invalid_request_error", "invalid_api_key",
                 key.empty() ? "You did not provide an API key." : "Incorrect API key provided.")
          .response();
    }
  }
  if (route->method == "POST" && !is_json(head.header("content-type"))) {
    return ApiError::of_status(415, "invalid_request_error", "unsupported_media_type",
                               "Expected a body with the header 'Content-Type: application/json'.")
        .response();
  }
  const std::string_view coding = head.header("content-encoding");
  if (!coding.empty() && coding != "identity") {
    HttpResponse response =
        ApiError::of_status(415, "invalid_request_error", "unsupported_media_type",
                            "Expected a body without 'Content-Encoding': compressed ones are not "
                            "read.")
            .response();
    response.headers.emplace_back("Accept-Encoding", "identity");
    return response;
  }
  if (!route->generates) return std::nullopt;
  std::optional<HttpResponse> refusal = refuse_for_load();
  if (refusal && refusal->status == 429) refused_.fetch_add(1);
  return refusal;
}

bool ApiServer::is_work(const HttpRequest& request) const {
  const Route* route = find(request.path);
  return route != nullptr && route->work;
}

Reply ApiServer::handle(HttpRequest& request) noexcept {
  try {
    const Route* route = find(request.path);
    if (route == nullptr) throw ApiError("", "Unknown request URL.");
    return answer(*route, request);
  } catch (...) {
    HttpResponse response = current_api_error(request.id).response();
    if (response.status == 429) refused_.fetch_add(1);
    if (request_log_) request_log_->response(response.status, response.body);
    return response;
  }
}

Reply ApiServer::answer(const Route& route, HttpRequest& request) {
  const bool logs = request_log_ && route.method == "POST";
  if (logs) request_log_->request(request.body);
  Reply reply = (this->*route.answer)(request);
  request.body = std::string();
  if (!logs) return reply;
  if (auto* exchange = std::get_if<std::unique_ptr<Exchange>>(&reply)) {
    return logged(std::move(*exchange), *request_log_);
  }
  const auto& whole = std::get<HttpResponse>(reply);
  request_log_->response(whole.status, whole.body);
  return reply;
}

HttpResponse ApiServer::failure(int status, const std::string& message) {
  const bool ours = status >= 500;
  ApiError error =
      ApiError::of_status(status, ours ? "server_error" : "invalid_request_error", "", message);
  return error.response();
}

void ApiServer::complete(const HttpRequest& request, HttpResponse& response) const {
  response.headers.emplace_back("X-Request-Id", request.id);
  if (options_.cors_origin.empty()) return;
  response.headers.emplace_back("Access-Control-Allow-Origin", options_.cors_origin);
  response.headers.emplace_back("Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
  if (options_.cors_origin != "*") response.headers.emplace_back("Vary", "Origin");
  if (request.method != "OPTIONS") return;
  response.headers.emplace_back("Access-Control-Allow-Methods", "GET, POST, OPTIONS");
  // What the official clients send besides has no fixed list.
  const std::string_view asked = request.header("access-control-request-headers");
  const bool plain = std::ranges::all_of(asked, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == ',' || c == ' ';
  });
  response.headers.emplace_back("Access-Control-Allow-Headers", asked.empty() || !plain
                                                                    ? "content-type, authorization"
                                                                    : std::string(asked));
  response.headers.emplace_back("Access-Control-Max-Age", "600");
}

void ApiServer::served(const HttpRequest& request, const Served& served) {
  const Route* route = find(request.path);
  const std::string_view name = route == nullptr ? std::string_view("other") : route->path;
  // Anybody may make up methods; they must not fill the metrics.
  constexpr std::string_view kMethods[] = {"GET", "POST", "HEAD", "OPTIONS"};
  const bool known = std::ranges::find(kMethods, request.method) != std::end(kMethods);
  http_metrics_.count(name, known ? std::string_view(request.method) : "other", served.status);
  if (route != nullptr && route->generates && served.status == 200) {
    http_metrics_.add_generation(served.seconds);
  }
  if (options_.access_log) write_access_line(access_line(request, served, options_.log_format));
}

Reply ApiServer::chat(const HttpRequest& request) {
  return chat_completions(service(), request, admit());
}

Reply ApiServer::complete_text(const HttpRequest& request) {
  return completions(service(), request, admit());
}

Reply ApiServer::embed(const HttpRequest& request) {
  return embeddings(service(), request, admit());
}

Reply ApiServer::models(const HttpRequest& request) {
  constexpr std::string_view kPath = "/v1/models";
  std::string_view id = request.path;
  id.remove_prefix(std::min(kPath.size() + 1, id.size()));
  return id.empty() ? list_models(service()) : get_model(service(), id);
}

Reply ApiServer::tokenize(const HttpRequest& request) {
  return tokenize_text(service(), request);
}

Reply ApiServer::detokenize(const HttpRequest& request) {
  return detokenize_ids(service(), request);
}

// Programs that look whether somebody is there get a word, browsers the chat page.
Reply ApiServer::root(const HttpRequest& request) {
  if (request.header("accept").find("text/html") != std::string_view::npos) return web(request);
  HttpResponse response = text_response("OK");
  response.headers.emplace_back("Vary", "Accept");
  return response;
}

Reply ApiServer::web(const HttpRequest& request) {
  const WebFile* file = find_web_file(request.path);
  if (file == nullptr) {
    return ApiError::of_status(404, "invalid_request_error", "unknown_url",
                               fmt::format("There is no {}.", request.path))
        .response();
  }
  HttpResponse response{.content_type = std::string(file->content_type)};
  response.headers = {{"ETag", std::string(file->etag)},
                      {"Cache-Control", "no-cache"},
                      {"Vary", "Accept"},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Content-Security-Policy", std::string(kContentSecurityPolicy)}};
  if (request.header("if-none-match").find(file->etag) != std::string_view::npos) {
    response.status = 304;
  } else {
    response.body = file->bytes;
  }
  return response;
}

Reply ApiServer::health(const HttpRequest&) {
  return text_response("OK");
}

Reply ApiServer::ready(const HttpRequest&) {
  const auto answer = [](const char* status, int code) {
    return json_response(Json{{"status", status}}, code);
  };
  const Service* service = service_.load();
  if (draining_) return answer("shutting down", 503);
  if (service == nullptr) return answer("loading", 503);
  const engine::EngineStats stats = service->engine().stats();
  const std::lock_guard lock(progress_mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (stats.steps != last_steps_ || stats.running + stats.waiting == 0) {
    last_steps_ = stats.steps;
    last_progress_ = now;
  }
  return now - last_progress_ > kStall ? answer("the engine does not go on", 503)
                                       : answer("ready", 200);
}

Reply ApiServer::metrics(const HttpRequest&) {
  const Service* service = service_.load();
  ServerState state;
  state.ready = service != nullptr && !draining_;
  state.refused = refused_.load();
  if (connections_) state.connections = connections_();
  std::optional<engine::EngineStats> stats;
  if (service != nullptr) {
    state.model = service->id();
    stats = service->engine().stats();
  }
  HttpResponse response =
      text_response(metrics_text(http_metrics_.snapshot(), state, stats ? &*stats : nullptr));
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  return response;
}

Reply ApiServer::docs(const HttpRequest& request) {
  if (!request.path.ends_with('/')) {
    return HttpResponse{.status = 302, .content_type = "", .headers = {{"Location", "/docs/"}}};
  }
  return HttpResponse{
      .content_type = "text/html; charset=utf-8",
      .body = std::string(docs_page()),
      .headers = {{"Content-Security-Policy",
                   "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                   "connect-src 'self'"}}};
}

Reply ApiServer::openapi(const HttpRequest&) {
  return HttpResponse{.body = std::string(openapi_document())};
}

Reply ApiServer::re_isq(const HttpRequest& request) {
  return refuse_re_isq(request);
}

Reply ApiServer::activate_adapters(const HttpRequest& request) {
  return refuse_adapters(request);
}

}  // namespace mistral::server
