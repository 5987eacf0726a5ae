#include "server/api/embeddings.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "server/api/error.h"
#include "server/api/json_body.h"
#include "server/api/prompts.h"

namespace mistral::server {
namespace {

// Written on the engine's thread, read when the request has ended.
struct Pool {
  std::vector<double> sum;
};

class EmbeddingExchange final : public Exchange {
 public:
  struct Input {
    engine::RequestHandle handle;
    std::shared_ptr<Pool> pool;
    bool over = false;
  };
  EmbeddingExchange(const Service& service, std::string request_id, std::shared_ptr<void> ticket,
                    std::vector<Input> inputs, std::size_t dimensions, bool base64)
      : service_(service),
        request_id_(std::move(request_id)),
        ticket_(std::move(ticket)),
        inputs_(std::move(inputs)),
        left_(inputs_.size()),
        dimensions_(dimensions),
        base64_(base64) {}

  void start(std::function<void()> wake) override {
    for (Input& input : inputs_) input.handle.notify(wake);
  }

  [[nodiscard]] Progress advance() override {
    for (Input& input : inputs_) {
      if (const auto failure = take_events(input)) return {.head = *failure, .over = true};
    }
    if (left_ > 0) return {};
    return {.head = whole(), .over = true};
  }

 private:
  std::optional<HttpResponse> take_events(Input& input) {
    while (!input.over) {
      const std::optional<engine::Event> event = input.handle.try_next();
      if (!event) return std::nullopt;
      const auto* end = std::get_if<engine::FinishEvent>(&*event);
      if (end == nullptr) continue;
      input.over = true;
      --left_;
      prompt_tokens_ += end->usage.prompt_tokens;
      if (end->reason == FinishReason::kError) {
        return model_failure(end->error, request_id_).response();
      }
      if (end->reason == FinishReason::kCancelled) {
        return ApiError::of_status(503, "server_error", "server_shutdown",
                                   "The server is shutting down.")
            .response();
      }
    }
    return std::nullopt;
  }

  HttpResponse whole() {
    Json data = Json::array();
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const std::vector<float> vector = unit_vector(inputs_[i].pool->sum, dimensions_);
      Json json = Json::object();
      json["object"] = "embedding";
      json["index"] = i;
      json["embedding"] = base64_ ? Json(base64_floats(vector)) : Json(vector);
      data.push_back(std::move(json));
    }
    Json body = Json::object();
    body["object"] = "list";
    body["data"] = std::move(data);
    body["model"] = service_.id();
    body["usage"] = {{"prompt_tokens", prompt_tokens_}, {"total_tokens", prompt_tokens_}};
    return json_response(body);
  }

  const Service& service_;
  std::string request_id_;
  std::shared_ptr<void> ticket_;
  std::vector<Input> inputs_;
  std::size_t left_;
  std::size_t dimensions_;
  bool base64_;
  std::int64_t prompt_tokens_ = 0;
};

}  // namespace

std::vector<float> unit_vector(const std::vector<double>& sum, std::size_t dimensions) {
  double squares = 0;
  for (std::size_t i = 0; i < dimensions; ++i) squares += sum[i] * sum[i];
  const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
  std::vector<float> vector(dimensions);
  for (std::size_t i = 0; i < dimensions; ++i) vector[i] = static_cast<float>(sum[i] * scale);
  return vector;
}

std::string base64_floats(const std::vector<float>& values) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::uint8_t> bytes;
  bytes.reserve(values.size() * 4);
  for (const float value : values) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (unsigned shift = 0; shift < 32; shift += 8) {
      bytes.push_back(static_cast<std::uint8_t>(bits >> shift));
    }
  }
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = group << 8U | (k < count ? bytes[i + k] : 0U);
    for (std::size_t k = 0; k < 4; ++k) {
      text += k <= count ? kLetters[group >> (18 - 6 * k) & 63U] : '=';
    }
  }
  return text;
}

Reply embeddings(const Service& service, const HttpRequest& http, std::shared_ptr<void> ticket) {
  const Json body = parse_body(http.body);
  const Fields fields(body);
  check_model_field(fields);
  (void)fields.string("user");
  const auto format = fields.word("encoding_format", {"float", "base64"});
  const std::int64_t width = service.model().model->hidden_size();
  if (width == 0) fields.unsupported("model", "it does not hand out what embeddings are made of.");
  const std::int64_t dimensions = fields.integer("dimensions", 1, width).value_or(width);
  const Json* given = fields.find("input");
  if (given == nullptr) fields.missing("input");
  const bool truncates = service.truncates(fields.boolean("truncate_sequence"));
  std::vector<PromptInput> prompts = read_prompts(service, fields, "input", false, truncates);

  // Nothing is begun before all inputs are known to be in order.
  const auto name_of = [&](std::size_t i) {
    return prompts.size() > 1 ? fmt::format("input[{}]", i) : std::string("input");
  };
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const bool text = given->is_string() || (*given)[i].is_string();
    if (prompts[i].ids.empty() || (text && prompts[i].text.empty())) {
      throw ApiError(name_of(i), fmt::format("Invalid value for '{}': it is empty.", name_of(i)));
    }
  }
  std::vector<EmbeddingExchange::Input> inputs;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    auto pool = std::make_shared<Pool>();
    pool->sum.resize(static_cast<std::size_t>(width));
    engine::Request request;
    request.prompt = std::move(prompts[i].ids);
    request.sampling.temperature = 0;
    request.sampling.max_tokens = 1;
    request.on_prompt_hidden = [pool](std::int64_t, std::span<const float> hidden) {
      for (std::size_t k = 0; k < hidden.size(); ++k) pool->sum[k] += hidden[k];
    };
    if (truncates) service.truncate(request.prompt, request.sampling);
    try {
      inputs.push_back({service.engine().submit(std::move(request)), pool});
    } catch (const Error& error) {
      ApiError told = to_api_error(error, http.id);
      if (told.param() != "prompt") throw told;
      throw ApiError(name_of(i), told.what(), told.code());
    }
  }
  return std::make_unique<EmbeddingExchange>(service, http.id, std::move(ticket), std::move(inputs),
                                             static_cast<std::size_t>(dimensions),
                                             format == "base64");
}

}  // namespace mistral::server
