#include "cli/perplexity.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "core/error.h"
#include "core/progress.h"

namespace mistral::cli {

namespace {

constexpr std::size_t kWindowsAtOnce = 2;
constexpr std::size_t kPiece = 4096;  // logits that one task sums

// Written by the engine's thread until the request has finished, and shared with it because a
// cancelled request may still be in a step.
struct Score {
  std::vector<TokenId> tokens;
  double sum = 0;
  std::int64_t scored = 0;
};

struct Window {
  std::shared_ptr<const Score> score;
  engine::RequestHandle handle;
};

Window submit_window(Session& session, std::vector<TokenId> tokens) {
  auto score = std::make_shared<Score>();
  score->tokens = std::move(tokens);
  engine::Request request;
  request.prompt = score->tokens;
  request.sampling.temperature = 0.0;
  request.sampling.ignore_eos = true;
  request.sampling.max_tokens = 1;
  // Called by the engine's thread between steps, when nobody else uses the threads.
  request.on_prompt_logits = [score, &pool = session.pool()](std::int64_t position,
                                                             std::span<const float> logits) {
    const auto length = static_cast<std::int64_t>(score->tokens.size());
    if (position < length / 2 || position + 1 >= length) return;
    const TokenId next = score->tokens[static_cast<std::size_t>(position + 1)];
    score->sum += negative_log_likelihood(logits, next, pool);
    ++score->scored;
  };
  return {score, session.engine().submit(std::move(request))};
}

void wait_for(Window& window) {
  while (true) {
    const engine::Event event = window.handle.next();
    if (const auto* finish = std::get_if<engine::FinishEvent>(&event)) {
      if (finish->reason == FinishReason::kError) {
        throw make_error(ErrorKind::kInternal, "the model failed: {}", finish->error);
      }
      return;
    }
  }
}

// Sum of exp(logit - largest) over a piece of a row.
struct PartialSum {
  double largest = 0;
  double sum = 0;
};

PartialSum partial_sum(std::span<const float> logits) {
  PartialSum part;
  part.largest = *std::ranges::max_element(logits);
  for (const float logit : logits) part.sum += std::exp(static_cast<double>(logit) - part.largest);
  return part;
}

}  // namespace

double negative_log_likelihood(std::span<const float> logits, TokenId token, ThreadPool& pool) {
  // Pieces of fixed length, added up in order: the sum does not depend on who computed them.
  std::vector<PartialSum> parts((logits.size() + kPiece - 1) / kPiece);
  pool.run(static_cast<std::int64_t>(parts.size()), 1,
           [&](std::int64_t begin, std::int64_t end, int /*worker*/) {
             for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end);
                  ++i) {
               const std::size_t length = std::min(kPiece, logits.size() - i * kPiece);
               parts[i] = partial_sum(logits.subspan(i * kPiece, length));
             }
           });
  double largest = parts.front().largest;
  for (const PartialSum& part : parts) largest = std::max(largest, part.largest);
  double sum = 0;
  for (const PartialSum& part : parts) sum += part.sum * std::exp(part.largest - largest);
  return std::log(sum) + largest - logits[static_cast<std::size_t>(token)];
}

Perplexity measure_perplexity(Session& session, std::span<const TokenId> tokens,
                              std::int64_t window) {
  if (window > session.context_length()) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "a window of {} tokens does not fit the context of {} tokens", window,
                     session.context_length());
  }
  if (window < 3) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "a window of {} tokens has nothing to score; at least 3 are needed", window);
  }
  const std::int64_t windows = static_cast<std::int64_t>(tokens.size()) / window;
  if (windows == 0) {
    throw make_error(ErrorKind::kInvalidArgument, "the text has {} tokens; a full window needs {}",
                     tokens.size(), window);
  }
  const text::Tokenizer* tokenizer = session.model().tokenizer.get();
  std::optional<TokenId> bos;
  if (tokenizer != nullptr && tokenizer->adds_bos()) bos = tokenizer->bos();

  ProgressBar bar("perplexity");
  std::deque<Window> running;
  double sum = 0;
  Perplexity result;
  std::int64_t started = 0;
  for (std::int64_t done = 0; done < windows; ++done) {
    while (started < windows && running.size() < kWindowsAtOnce) {
      const auto part = tokens.subspan(static_cast<std::size_t>(started * window),
                                       static_cast<std::size_t>(window));
      std::vector<TokenId> ids(part.begin(), part.end());
      if (bos) ids.front() = *bos;
      running.push_back(submit_window(session, std::move(ids)));
      ++started;
    }
    wait_for(running.front());
    sum += running.front().score->sum;
    result.tokens += running.front().score->scored;
    running.pop_front();
    bar.update(static_cast<std::uint64_t>(done + 1), static_cast<std::uint64_t>(windows));
  }
  result.perplexity = std::exp(sum / static_cast<double>(result.tokens));
  return result;
}

}  // namespace mistral::cli
