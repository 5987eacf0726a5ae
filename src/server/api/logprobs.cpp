#include "server/api/logprobs.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace mistral::server {
namespace {

// JSON has no infinity; what cannot be is told as OpenAI does.
constexpr double kImpossible = -9999.0;

double finite(double logprob) {
  return std::isfinite(logprob) ? std::max(logprob, kImpossible) : kImpossible;
}

// Number of characters; -1 when the text is not UTF-8.
std::int64_t characters(std::string_view text) {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++count) {
    const auto lead = static_cast<unsigned char>(text[i]);
    std::size_t length = 1;
    if (lead >= 0xf0 && lead < 0xf5) {
      length = 4;
    } else if (lead >= 0xe0) {
      length = 3;
    } else if (lead >= 0xc2) {
      length = 2;
    }
    if ((lead >= 0x80 && lead < 0xc2) || lead >= 0xf5 || i + length > text.size()) return -1;
    for (std::size_t k = 1; k < length; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0U) != 0x80U) return -1;
    }
    i += length;
  }
  return count;
}

Json bytes_json(const std::string& bytes) {
  Json list = Json::array();
  for (const char byte : bytes) list.push_back(static_cast<unsigned char>(byte));
  return list;
}

Json entry(const text::Tokenizer& tokenizer, const TokenLogprob& token) {
  Json json = Json::object();
  json["token"] = token_text(tokenizer, token.token);
  json["logprob"] = finite(token.logprob);
  json["bytes"] = bytes_json(token_bytes(tokenizer, token.token));
  return json;
}

}  // namespace

std::string token_bytes(const text::Tokenizer& tokenizer, TokenId id) {
  std::string bytes;
  tokenizer.append_bytes(id, /*first=*/false, /*skip_special=*/false, bytes);
  return bytes;
}

std::string token_text(const text::Tokenizer& tokenizer, TokenId id) {
  std::string bytes = token_bytes(tokenizer, id);
  if (characters(bytes) >= 0) return bytes;
  std::string text = "bytes:";
  for (const char byte : bytes) text += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
  return text;
}

Json chat_logprob(const text::Tokenizer& tokenizer, const TokenLogprobs& token) {
  Json json = entry(tokenizer, token.chosen);
  Json top = Json::array();
  for (const TokenLogprob& other : token.top) top.push_back(entry(tokenizer, other));
  json["top_logprobs"] = std::move(top);
  return json;
}

void CompletionLogprobs::add(TokenId id, const TokenLogprobs* token) {
  const std::string text = token_text(tokenizer_, id);
  tokens_.push_back(text);
  text_offset_.push_back(offset_);
  offset_ += std::max<std::int64_t>(0, characters(token_bytes(tokenizer_, id)));
  if (token == nullptr) {
    token_logprobs_.push_back(nullptr);
    top_logprobs_.push_back(nullptr);
    return;
  }
  token_logprobs_.push_back(finite(token->chosen.logprob));
  Json top = Json::object();
  for (const TokenLogprob& other : token->top) {
    const std::string name = token_text(tokenizer_, other.token);
    if (!top.contains(name)) top[name] = finite(other.logprob);
  }
  if (!top.contains(text)) top[text] = finite(token->chosen.logprob);
  top_logprobs_.push_back(std::move(top));
}

Json CompletionLogprobs::take() {
  Json json = Json::object();
  json["tokens"] = std::exchange(tokens_, Json::array());
  json["token_logprobs"] = std::exchange(token_logprobs_, Json::array());
  Json top = std::exchange(top_logprobs_, Json::array());
  json["top_logprobs"] = top_ > 0 ? std::move(top) : Json(nullptr);
  json["text_offset"] = std::exchange(text_offset_, Json::array());
  return json;
}

TokenLogprobs logprobs_of(std::span<const float> logits, TokenId token, std::int32_t top) {
  const float most = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - most);
  const double log_sum = std::log(sum) + most;
  const auto logprob = [&](TokenId id) {
    return static_cast<double>(logits[static_cast<std::size_t>(id)]) - log_sum;
  };
  TokenLogprobs result;
  result.chosen = {token, logprob(token)};
  if (top <= 0) return result;
  std::vector<TokenId> ids(logits.size());
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<TokenId>(i);
  const auto count = std::min<std::size_t>(static_cast<std::size_t>(top), ids.size());
  const auto more = [&](TokenId a, TokenId b) {
    const float left = logits[static_cast<std::size_t>(a)];
    const float right = logits[static_cast<std::size_t>(b)];
    return left != right ? left > right : a < b;
  };
  std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count), ids.end(), more);
  for (std::size_t i = 0; i < count; ++i) result.top.push_back({ids[i], logprob(ids[i])});
  return result;
}

}  // namespace mistral::server
