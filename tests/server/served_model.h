// A server without sockets: a model that needs no weights, its engine, the routes, and a client.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/json.h"
#include "engine/fakes.h"
#include "server/api_server.h"

namespace mistral::server {

// Has hidden states: of a token the vector (id, position, 1).
class StatefulModel final : public engine::FakeModel {
 public:
  using FakeModel::forward;
  [[nodiscard]] std::int32_t hidden_size() const override { return 3; }
  void forward(const nn::Batch& batch, std::span<float> logits, std::span<float> hidden) override {
    FakeModel::forward(batch, logits);
    std::size_t next = 0;
    for (const nn::BatchSequence& sequence : batch.sequences) {
      for (std::int32_t r = 0; r < sequence.row_count; ++r) {
        const std::int32_t row = sequence.first_row + r;
        if (next == batch.hidden_rows.size() || batch.hidden_rows[next] != row) continue;
        hidden[next * 3] = static_cast<float>(batch.tokens[static_cast<std::size_t>(row)]);
        hidden[next * 3 + 1] = static_cast<float>(sequence.first_position + r);
        hidden[next * 3 + 2] = 1;
        ++next;
      }
    }
    EXPECT_EQ(next, batch.hidden_rows.size());
  }
};

struct ServedFake {
  // Answers consist of letters, so that they are text.
  explicit ServedFake(ApiOptions options = {}, engine::EngineOptions engine_options = {},
                      const ServiceOptions& service_options = {}) {
    auto owned = std::make_unique<StatefulModel>();
    model = owned.get();
    model->last_id = 'z';
    loaded.name = "fake";
    loaded.architecture = "fake";
    loaded.model = std::move(owned);
    loaded.tokenizer = std::make_unique<engine::FakeTokenizer>();
    loaded.chat_template = text::ChatTemplate::compile(
        "{% for m in messages %}{% if m['role'] not in ['system', 'user', 'assistant', 'tool'] %}"
        "{{ raise_exception('role ' + m['role']) }}{% endif %}"
        "[{{ m['role'] }}]{{ m['content'] }}{% endfor %}[assistant]");
    loaded.end_tokens = {0};
    options.access_log = false;
    engine = std::make_unique<engine::Engine>(*loaded.model, loaded.tokenizer.get(),
                                              loaded.end_tokens, engine_options);
    service = std::make_unique<Service>(
        ServedModel{.loaded = loaded, .engine = *engine, .id = "fake-model", .created = 1},
        service_options);
    api = std::make_unique<ApiServer>(std::move(options));
    api->open(*service);
  }

  StatefulModel* model;
  models::LoadedModel loaded;
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<Service> service;
  std::unique_ptr<ApiServer> api;
};

struct Answered {
  int status = 0;
  std::string content_type;
  Headers headers;
  std::string body;  // of a stream all pieces together

  [[nodiscard]] Json json() const { return Json::parse(body); }
  [[nodiscard]] std::string header(const std::string& name) const {
    for (const auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return "";
  }
  // The data of the events of a stream.
  [[nodiscard]] std::vector<std::string> events() const {
    std::vector<std::string> list;
    std::size_t begin = 0;
    while (begin < body.size()) {
      const std::size_t end = body.find("\n\n", begin);
      EXPECT_NE(end, std::string::npos);
      if (end == std::string::npos) break;
      const std::string event = body.substr(begin, end - begin);
      EXPECT_TRUE(event.starts_with("data: ")) << event;
      list.push_back(event.substr(6));
      begin = end + 2;
    }
    return list;
  }
};

// Waits as a connection does.
inline Answered run_exchange(Exchange& exchange) {
  std::mutex mutex;
  std::condition_variable woken;
  bool signal = false;
  exchange.start([&] {
    const std::lock_guard lock(mutex);
    signal = true;
    woken.notify_one();
  });
  Answered answered;
  while (true) {
    Exchange::Progress progress = exchange.advance();
    if (progress.head) {
      answered.status = progress.head->status;
      answered.content_type = progress.head->content_type;
      answered.headers = progress.head->headers;
      answered.body = progress.head->body;
    }
    answered.body += progress.piece;
    if (progress.over) return answered;
    std::unique_lock lock(mutex);
    woken.wait(lock, [&] { return signal; });
    signal = false;
  }
}

inline Answered send(ApiServer& api, HttpRequest request) {
  const auto whole = [&](HttpResponse response) {
    api.complete(request, response);
    return Answered{response.status, response.content_type, response.headers, response.body};
  };
  if (request.id.empty()) request.id = "req-1";
  if (auto refusal = api.refuse(request)) return whole(std::move(*refusal));
  Reply reply = api.handle(request);
  if (auto* response = std::get_if<HttpResponse>(&reply)) return whole(std::move(*response));
  const std::unique_ptr<Exchange> exchange = std::move(std::get<std::unique_ptr<Exchange>>(reply));
  return run_exchange(*exchange);
}

inline Answered post(ApiServer& api, const std::string& path, const std::string& body) {
  return send(api, {.method = "POST",
                    .path = path,
                    .headers = {{"content-type", "application/json"}},
                    .body = body});
}
inline Answered post(ApiServer& api, const std::string& path, const Json& body) {
  return post(api, path, body.dump());
}
inline Answered get(ApiServer& api, const std::string& path) {
  return send(api, {.method = "GET", .path = path});
}

// Whatever the model would say, it would most like to say this. What a constraint makes it say
// instead goes on with what this ends with.
inline void say(ServedFake& fake, const std::string& text) {
  fake.model->last_id = 127;
  fake.model->on_logits = [text](const nn::BatchSequence& sequence, std::int64_t position,
                                 std::span<float> row) {
    const auto at = static_cast<std::size_t>(position + 1 - sequence.rope_length);
    std::fill(row.begin(), row.end(), 0.0F);
    row[at < text.size() ? static_cast<std::size_t>(text[at]) : 0U] = 9;
  };
}

}  // namespace mistral::server
