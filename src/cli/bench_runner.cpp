#include "cli/bench_runner.h"

#include <algorithm>
#include <chrono>
#include <latch>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "core/error.h"

namespace mistral::cli {

namespace {

using Clock = std::chrono::steady_clock;

// A prefix cache holds whole blocks: what it does not hold of the past is computed and timed.
constexpr std::int64_t kLargestBlock = 32;
constexpr int kAttempts = 5;

// What is left of an answer: when its tokens were drawn, and how many it used. Error kInternal when
// the model failed.
struct Rest {
  std::vector<Clock::time_point> tokens;
  Usage usage;
};

Rest rest_of(engine::RequestHandle& handle) {
  Rest rest;
  while (true) {
    const engine::Event event = handle.next();
    if (const auto* token = std::get_if<engine::TokenEvent>(&event)) {
      rest.tokens.push_back(token->drawn_at);
      continue;
    }
    const auto& finish = std::get<engine::FinishEvent>(event);
    if (finish.reason == FinishReason::kError) {
      throw make_error(ErrorKind::kInternal, "the model failed: {}", finish.error);
    }
    rest.usage = finish.usage;
    return rest;
  }
}

// While it lives, the engine stands still within a step, so that requests submitted meanwhile start
// together: a request of one token whose logits are waited for.
class EngineHold {
 public:
  explicit EngineHold(engine::Engine& engine) {
    engine::Request request;
    request.prompt = {0};
    request.sampling.max_tokens = 1;
    request.on_prompt_logits = [held = held_, released = released_](std::int64_t,
                                                                    std::span<const float>) {
      held->count_down();
      released->wait();
    };
    handle_ = std::make_unique<engine::RequestHandle>(engine.submit(std::move(request)));
    // The logits never come when the model fails; the sequences that follow will say so.
    while (!held_->try_wait()) {
      const std::optional<engine::Event> event = handle_->next_for(1);
      if (event && std::holds_alternative<engine::FinishEvent>(*event)) break;
    }
  }
  ~EngineHold() { released_->count_down(); }
  EngineHold(const EngineHold&) = delete;
  EngineHold& operator=(const EngineHold&) = delete;

 private:
  std::shared_ptr<std::latch> held_ = std::make_shared<std::latch>(1);
  std::shared_ptr<std::latch> released_ = std::make_shared<std::latch>(1);
  std::unique_ptr<engine::RequestHandle> handle_;
};

}  // namespace

struct BenchRunner::Outcome {
  std::int64_t computed = 0;  // prompt tokens of all sequences that no cache held
  std::vector<double> first_tokens;
  double prompt_seconds = 0;
  double generate_seconds = 0;
  std::vector<double> intervals;
};

BenchRunner::BenchRunner(Session& session, std::optional<Constraint> constraint)
    : session_(session), constraint_(std::move(constraint)) {}

std::vector<TokenId> BenchRunner::random_tokens(std::int64_t count) {
  std::uniform_int_distribution<TokenId> any(0, static_cast<TokenId>(session_.vocab_size() - 1));
  std::vector<TokenId> tokens(static_cast<std::size_t>(count));
  for (TokenId& token : tokens) token = any(random_);
  return tokens;
}

void BenchRunner::warm_up() {
  pasts_.assign(1, {});
  const std::optional<Constraint> constraint = std::exchange(constraint_, std::nullopt);
  (void)run_once({.prompt = 16, .generate = 1});
  constraint_ = constraint;
}

// All sequences become known to the engine in the same moment. The last one is the last to get its
// first token, since the engine serves them in order; from there on every step gives each sequence
// one token, so its tokens tell the time of all. The others may be ahead by then: they go on until
// it is done, and are cancelled.
BenchRunner::Outcome BenchRunner::run_once(const BenchCase& test) {
  // A sequence needs a token to start from.
  const std::int64_t prompt = test.depth > 0 ? test.prompt : std::max<std::int64_t>(test.prompt, 1);
  const std::int64_t length = test.depth + prompt;
  const std::int64_t needed = length + test.generate;
  if (needed > session_.context_length()) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "{} prompt tokens and {} generated tokens do not fit the context of {} tokens",
                     length, test.generate, session_.context_length());
  }

  std::vector<engine::Request> requests;
  for (std::int64_t i = 0; i < test.batch; ++i) {
    std::vector<TokenId> input = pasts_[static_cast<std::size_t>(i)];
    for (const TokenId token : random_tokens(prompt)) input.push_back(token);
    SamplingParams sampling;
    sampling.temperature = 0.0;
    sampling.ignore_eos = true;
    // The first token belongs to the prompt.
    std::int64_t tokens = test.generate + 1;
    if (test.generate > 0 && i + 1 < test.batch) {
      tokens = std::max(tokens, session_.context_length() - length);
    }
    sampling.max_tokens = tokens;
    if (constraint_ && test.generate > 0) {
      // An end that the constraint allows would be one: it must not be drawn.
      sampling.constraint = constraint_;
      sampling.ignore_eos = false;
      sampling.min_tokens = tokens;
    }
    requests.push_back(session_.request(std::move(input), sampling));
  }
  const std::int64_t preemptions = session_.engine().stats().preemptions;
  std::vector<engine::RequestHandle> handles;
  std::vector<Clock::time_point> submitted;
  std::optional<EngineHold> hold;
  if (test.batch > 1) hold.emplace(session_.engine());
  for (engine::Request& request : requests) {
    submitted.push_back(Clock::now());
    handles.push_back(session_.engine().submit(std::move(request)));
  }
  const Clock::time_point begin = hold ? Clock::now() : submitted.front();
  hold.reset();

  Outcome outcome;
  const Rest slowest = rest_of(handles.back());
  for (std::size_t i = 1; i < slowest.tokens.size(); ++i) {
    outcome.intervals.push_back(
        std::chrono::duration<double>(slowest.tokens[i] - slowest.tokens[i - 1]).count());
  }
  const Usage& last_usage = slowest.usage;
  // Seconds after `begin` to the first token of sequence i.
  const auto first_token = [&](std::size_t i, const Usage& usage) {
    return usage.prompt_seconds - std::chrono::duration<double>(begin - submitted[i]).count();
  };
  outcome.prompt_seconds = first_token(handles.size() - 1, last_usage);
  outcome.generate_seconds = last_usage.completion_seconds;
  if (last_usage.completion_tokens < test.generate + 1) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "only {} of {} tokens could be generated after {} within the context of {} "
                     "tokens and the KV cache; see --ctx and --pa-ctxt-len{}",
                     last_usage.completion_tokens - 1, test.generate, length,
                     session_.context_length(),
                     constraint_ ? "; or the constraint allows no longer answer" : "");
  }

  // All others must have taken part in every step until then, the last one included: whatever they
  // drew in it came after the token before.
  bool together = session_.engine().stats().preemptions == preemptions;
  for (std::size_t i = 0; i + 1 < handles.size(); ++i) {
    if (test.generate > 0) handles[i].cancel();
    const Rest rest = rest_of(handles[i]);
    if (test.generate > 0) {
      const Clock::time_point before_last = slowest.tokens[slowest.tokens.size() - 2];
      together = together && !rest.tokens.empty() && rest.tokens.back() > before_last;
    }
    outcome.computed += rest.usage.prompt_tokens - rest.usage.cached_tokens;
    outcome.first_tokens.push_back(first_token(i, rest.usage));
  }
  outcome.computed += last_usage.prompt_tokens - last_usage.cached_tokens;
  outcome.first_tokens.push_back(outcome.prompt_seconds);
  if (!together) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "{} sequences of {} tokens do not fit the KV cache or the context together; "
                     "give more with --pa-ctxt-len or --ctx",
                     test.batch, needed);
  }
  return outcome;
}

// The time for the prompts alone.
double BenchRunner::prompt_seconds(const BenchCase& test, const Outcome& outcome) {
  const std::int64_t wanted = test.batch * test.prompt;
  if (outcome.computed <= wanted + test.batch * kLargestBlock) {
    return outcome.prompt_seconds * static_cast<double>(wanted) /
           static_cast<double>(outcome.computed);
  }
  // The past was computed as well: what it takes alone is subtracted. A few attempts: something
  // else may have held up a short one.
  double seconds = 0;
  for (int attempt = 0; attempt < kAttempts && seconds <= 0; ++attempt) {
    const Outcome past = run_once({.depth = test.depth, .batch = test.batch});
    seconds = outcome.prompt_seconds - past.prompt_seconds;
  }
  if (seconds <= 0) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "{} prompt tokens after {} are too few to measure; use more with -p",
                     test.prompt, test.depth);
  }
  return seconds;
}

BenchTimes BenchRunner::run(const BenchCase& test, int repetitions,
                            const std::function<void()>& step) {
  pasts_.clear();
  for (std::int64_t i = 0; i < test.batch; ++i) pasts_.push_back(random_tokens(test.depth));
  if (test.depth > 0 && test.prompt > 0) {
    (void)run_once({.depth = test.depth, .batch = test.batch});  // for a prefix cache
  }
  BenchTimes times;
  for (int i = 0; i < repetitions; ++i) {
    const Outcome outcome = run_once(test);
    if (test.prompt > 0) {
      times.prompt_seconds.push_back(prompt_seconds(test, outcome));
      times.first_token.insert(times.first_token.end(), outcome.first_tokens.begin(),
                               outcome.first_tokens.end());
    }
    if (test.generate > 0) times.generate_seconds.push_back(outcome.generate_seconds);
    times.token_intervals.insert(times.token_intervals.end(), outcome.intervals.begin(),
                                 outcome.intervals.end());
    step();
  }
  return times;
}

}  // namespace mistral::cli
