// Requests as bytes: the first says which route, the rest is the body. Whatever comes, the answer
// is a whole one, and nothing is the server's fault.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <variant>

#include "server/api_server.h"

namespace {

using namespace mistral;

// Every token is followed by the end.
class EndingModel final : public nn::SequenceModel {
 public:
  [[nodiscard]] std::int32_t vocab_size() const override { return 256; }
  [[nodiscard]] std::int32_t context_length() const override { return 512; }
  [[nodiscard]] std::int32_t max_batch_rows() const override { return 512; }
  [[nodiscard]] std::int32_t block_size() const override { return 32; }
  [[nodiscard]] std::span<const nn::CacheGroup> cache_groups() const override { return groups_; }
  [[nodiscard]] std::int64_t cache_bytes() const override { return 1 << 16; }
  [[nodiscard]] std::int32_t hidden_size() const override { return 4; }
  void forward(const nn::Batch&, std::span<float> logits) override {
    std::fill(logits.begin(), logits.end(), 0.0F);
    for (std::size_t i = 0; i < logits.size(); i += 256) logits[i] = 100;
  }
  void forward(const nn::Batch& batch, std::span<float> logits, std::span<float> states) override {
    std::fill(states.begin(), states.end(), 0.5F);
    forward(batch, logits);
  }

 private:
  std::vector<nn::CacheGroup> groups_ = {{.bytes_per_block = 64}};
};

class ByteTokenizer final : public text::Tokenizer {
 public:
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text,
                                            const text::EncodeOptions&) const override {
    std::vector<TokenId> ids;
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  [[nodiscard]] std::string decode(std::span<const TokenId> ids, bool) const override {
    std::string text;
    for (const TokenId id : ids) append_bytes(id, false, false, text);
    return text;
  }
  void append_bytes(TokenId id, bool, bool, std::string& out) const override {
    out += static_cast<char>(id);
  }
  [[nodiscard]] std::size_t vocab_size() const override { return 256; }
  [[nodiscard]] std::string_view token(TokenId) const override { return {}; }
  [[nodiscard]] std::optional<TokenId> find(std::string_view) const override { return {}; }
  [[nodiscard]] bool is_special(TokenId) const override { return false; }
  [[nodiscard]] std::optional<TokenId> bos() const override { return {}; }
  [[nodiscard]] std::optional<TokenId> eos() const override { return {}; }
  [[nodiscard]] std::optional<TokenId> unk() const override { return {}; }
  [[nodiscard]] std::optional<TokenId> pad() const override { return {}; }
  [[nodiscard]] bool adds_bos() const override { return false; }
  [[nodiscard]] bool adds_eos() const override { return false; }
};

struct Target {
  Target() {
    loaded.name = "fuzz";
    loaded.model = std::make_unique<EndingModel>();
    loaded.tokenizer = std::make_unique<ByteTokenizer>();
    loaded.chat_template = text::ChatTemplate::compile(
        "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}");
    loaded.end_tokens = {0};
    engine = std::make_unique<engine::Engine>(*loaded.model, loaded.tokenizer.get(),
                                              loaded.end_tokens, engine::EngineOptions{});
    service = std::make_unique<server::Service>(
        server::ServedModel{.loaded = loaded, .engine = *engine, .id = "fuzz"},
        server::ServiceOptions{});
    server::ApiOptions options;
    options.access_log = false;
    api = std::make_unique<server::ApiServer>(std::move(options));
    api->open(*service);
  }
  models::LoadedModel loaded;
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<server::Service> service;
  std::unique_ptr<server::ApiServer> api;
};

void check(const server::HttpResponse& response) {
  if (response.status < 200 || response.status >= 500) std::abort();
  if (response.status >= 400 && !Json::parse(response.body).contains("error")) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Target target;
  constexpr const char* kPaths[] = {
      "/v1/chat/completions", "/v1/completions", "/v1/embeddings",    "/tokenize",
      "/detokenize",          "/re_isq",         "/activate_adapters"};
  if (size == 0) return 0;
  server::HttpRequest request;
  request.method = "POST";
  request.path = kPaths[data[0] % std::size(kPaths)];
  request.headers = {{"content-type", "application/json"}};
  request.body.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  request.id = "fuzz";
  if (target.api->refuse(request)) std::abort();
  server::Reply reply = target.api->handle(request);
  if (const auto* response = std::get_if<server::HttpResponse>(&reply)) {
    check(*response);
    return 0;
  }
  server::Exchange& exchange = *std::get<std::unique_ptr<server::Exchange>>(reply);
  exchange.start([] {});
  // The engine needs a moment for each answer; a request may ask for many.
  for (int i = 0; i < 50; ++i) {
    const server::Exchange::Progress progress = exchange.advance();
    if (progress.head) check(*progress.head);
    if (progress.over) break;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return 0;
}
