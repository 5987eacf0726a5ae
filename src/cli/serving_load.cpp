#include "cli/serving_load.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <random>
#include <thread>

#include <fmt/format.h>

#include "core/error.h"
#include "core/json.h"

namespace mistral::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

// The prompts of all requests and when each may be sent, made before the clock starts.
struct Plan {
  std::vector<std::vector<TokenId>> prompts;
  std::vector<double> arrivals;  // seconds after the start
};

Plan plan_of(const ServingCase& test, std::int64_t vocab, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<TokenId> any(0, static_cast<TokenId>(vocab - 1));
  std::exponential_distribution<double> pause(test.rate > 0 ? test.rate : 1.0);
  std::vector<TokenId> shared(static_cast<std::size_t>(std::min(test.shared, test.prompt)));
  for (TokenId& token : shared) token = any(random);
  Plan plan;
  double at = 0;
  for (std::int64_t i = 0; i < test.requests; ++i) {
    std::vector<TokenId>& prompt = plan.prompts.emplace_back(shared);
    while (static_cast<std::int64_t>(prompt.size()) < test.prompt) prompt.push_back(any(random));
    plan.arrivals.push_back(test.rate > 0 ? at : 0);
    at += pause(random);
  }
  return plan;
}

class Load {
 public:
  Load(Session& session, const ServingCase& test, std::uint64_t seed)
      : session_(session), test_(test), plan_(plan_of(test, session.vocab_size(), seed)) {}

  ServingTimes run() {
    start_ = Clock::now();
    {
      std::vector<std::jthread> streams;
      const std::int64_t count = std::min(test_.streams, test_.requests);
      for (std::int64_t i = 0; i < count; ++i) streams.emplace_back([this] { stream(); });
    }
    if (failure_) std::rethrow_exception(failure_);
    times_.seconds = seconds_between(start_, Clock::now());
    return std::move(times_);
  }

 private:
  void stream() {
    for (;;) {
      const std::size_t next = next_.fetch_add(1);
      if (next >= plan_.prompts.size()) return;
      std::this_thread::sleep_until(start_ +
                                    std::chrono::duration_cast<Clock::duration>(
                                        std::chrono::duration<double>(plan_.arrivals[next])));
      try {
        ask(std::move(plan_.prompts[next]));
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = std::current_exception();
        next_ = plan_.prompts.size();
        return;
      }
    }
  }

  void ask(std::vector<TokenId> prompt) {
    engine::Request request;
    request.prompt = std::move(prompt);
    request.sampling.temperature = 0.0;
    request.sampling.ignore_eos = true;
    request.sampling.max_tokens = test_.answer;
    engine::RequestHandle handle = session_.engine().submit(std::move(request));
    for (;;) {
      const engine::Event event = handle.next();
      const auto* finish = std::get_if<engine::FinishEvent>(&event);
      if (finish == nullptr) continue;
      if (finish->reason == FinishReason::kError) {
        throw make_error(ErrorKind::kInternal, "the model failed: {}", finish->error);
      }
      note(finish->usage);
      return;
    }
  }

  void note(const Usage& usage) {
    const std::lock_guard lock(mutex_);
    times_.prompt_tokens += usage.prompt_tokens;
    times_.cached_tokens += usage.cached_tokens;
    times_.completion_tokens += usage.completion_tokens;
    times_.first_token.push_back(usage.prompt_seconds);
    if (usage.completion_tokens > 1) {
      times_.between.push_back(usage.completion_seconds /
                               static_cast<double>(usage.completion_tokens - 1));
    }
  }

  Session& session_;
  const ServingCase& test_;
  Plan plan_;
  Clock::time_point start_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  ServingTimes times_;
  std::exception_ptr failure_;
};

double per_second(std::int64_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

}  // namespace

ServingTimes run_serving(Session& session, const ServingCase& test, std::uint64_t seed) {
  if (test.prompt + test.answer > session.context_length()) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "{} prompt tokens and {} answer tokens do not fit the context of {} tokens",
                     test.prompt, test.answer, session.context_length());
  }
  return Load(session, test, seed).run();
}

std::string serving_table(const std::vector<ServingMeasurement>& measurements) {
  std::string table =
      "| streams | requests | tokens/s | first token p50 / p95 / p99 ms | between tokens p50 / p95 "
      "/ p99 ms | cached |\n|---:|---:|---:|---:|---:|---:|\n";
  for (const ServingMeasurement& m : measurements) {
    const Distribution first = distribution(m.times.first_token);
    const Distribution between = distribution(m.times.between);
    table += fmt::format(
        "| {} | {} | {:.1f} | {:.0f} / {:.0f} / {:.0f} | {:.1f} / {:.1f} / {:.1f} | {:.0f} % |\n",
        m.test.streams, m.test.requests, per_second(m.times.completion_tokens, m.times.seconds),
        1e3 * first.median, 1e3 * first.p95, 1e3 * first.p99, 1e3 * between.median,
        1e3 * between.p95, 1e3 * between.p99,
        100.0 * static_cast<double>(m.times.cached_tokens) /
            static_cast<double>(std::max<std::int64_t>(1, m.times.prompt_tokens)));
  }
  return table;
}

std::string serving_json(const BenchModel& model,
                         const std::vector<ServingMeasurement>& measurements) {
  const auto percentiles = [](const std::vector<double>& values) {
    const Distribution d = distribution(values);
    return Json{{"mean", d.mean}, {"p50", d.median}, {"p90", d.p90},
                {"p95", d.p95},   {"p99", d.p99},    {"max", d.max}};
  };
  Json list = Json::array();
  for (const ServingMeasurement& m : measurements) {
    list.push_back({{"model", model.name},
                    {"streams", m.test.streams},
                    {"requests", m.test.requests},
                    {"prompt_tokens", m.test.prompt},
                    {"shared_tokens", m.test.shared},
                    {"answer_tokens", m.test.answer},
                    {"rate", m.test.rate},
                    {"seconds", m.times.seconds},
                    {"tokens_per_second", per_second(m.times.completion_tokens, m.times.seconds)},
                    {"cached_tokens", m.times.cached_tokens},
                    {"first_token_seconds", percentiles(m.times.first_token)},
                    {"between_tokens_seconds", percentiles(m.times.between)}});
  }
  return list.dump(2) + "\n";
}

}  // namespace mistral::cli
