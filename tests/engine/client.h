// A client of the engine for tests: asks, reads all events, and knows the right answer.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/engine.h"
#include "engine/fakes.h"

namespace mistral::engine {

struct Outcome {
  std::vector<TokenId> tokens;
  std::string text;
  std::vector<std::string> pieces;
  FinishEvent end;
};

inline Outcome drain(RequestHandle& handle) {
  Outcome outcome;
  for (;;) {
    Event event = handle.next();
    if (auto* token = std::get_if<TokenEvent>(&event)) {
      outcome.tokens.push_back(token->token);
      outcome.text += token->text;
      outcome.pieces.push_back(token->text);
      continue;
    }
    outcome.end = std::get<FinishEvent>(std::move(event));
    outcome.text += outcome.end.text;
    return outcome;
  }
}

inline Outcome answer(Engine& engine, Request request) {
  RequestHandle handle = engine.submit(std::move(request));
  return drain(handle);
}

inline Request request_of(std::vector<TokenId> prompt, std::int64_t max_tokens) {
  Request request;
  request.prompt = std::move(prompt);
  request.sampling.max_tokens = max_tokens;
  return request;
}

// The greedy answer by the fake model's plain rule.
inline std::vector<TokenId> expected_tokens(const FakeModel& model, std::vector<TokenId> history,
                                            std::int64_t count) {
  std::vector<TokenId> tokens;
  while (static_cast<std::int64_t>(tokens.size()) < count) {
    tokens.push_back(model.next_token(history));
    history.push_back(tokens.back());
  }
  return tokens;
}

}  // namespace mistral::engine
