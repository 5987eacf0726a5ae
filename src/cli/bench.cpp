// `bench`: speed of prompt processing and of generation, alone and in batches, over lists of sizes.
// Tokens are random and sampling is greedy; end tokens are ignored.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/bench_report.h"
#include "cli/bench_runner.h"
#include "cli/command.h"
#include "cli/constraint_options.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/serving_load.h"
#include "cli/session.h"
#include "core/error.h"
#include "core/progress.h"

namespace mistral::cli {

namespace {

constexpr std::int64_t kMostTokens = std::int64_t{1} << 24U;
constexpr std::int64_t kMostRequests = 1'000'000;
constexpr std::int64_t kMostSequences = 512;  // rows of a step
constexpr int kMostThreads = 1024;

// How the tokens of a case become measurements.
enum class Shown { kParts, kSum };

struct PlannedCase {
  BenchCase test;
  Shown shown = Shown::kParts;
};

std::vector<double> speeds_of(double tokens, const std::vector<double>& seconds) {
  std::vector<double> speeds;
  for (const double duration : seconds) speeds.push_back(tokens / duration);
  return speeds;
}

class BenchCommand final : public Command {
 public:
  void add_options(CLI::App& app) override {
    const auto list = [&app](const char* name, auto& values, const char* help, auto low,
                             auto high) {
      return app.add_option(name, values, help)
          ->delimiter(',')
          ->allow_extra_args(false)
          ->check(CLI::Range(low, high))
          ->type_name("N[,N...]");
    };
    const std::int64_t zero = 0;
    const std::int64_t one = 1;
    list("-p,--n-prompt", prompts_, "prompt tokens; 0 skips the test (default: 512)", zero,
         kMostTokens);
    list("-g,--n-gen", generates_, "generated tokens; 0 skips the test (default: 128)", zero,
         kMostTokens);
    list("--pg", pairs_, "P,G: a prompt of P tokens and G generated tokens, timed together", one,
         kMostTokens);
    list("--depth", depths_, "tokens that the cache already holds (default: 0)", zero, kMostTokens);
    list("--batch,--concurrency", batches_,
         "sequences that run together: a prompt of -p tokens each, then -g tokens by all", one,
         kMostSequences);
    const std::string serving = "Many clients";
    auto* streams = list("--streams", streams_,
                         "requests on their way at once, with prompts of -p and answers of -g "
                         "tokens: throughput, times to the first token and between tokens",
                         one, kMostSequences);
    streams->group(serving)->excludes("--pg")->excludes("--depth")->excludes("--batch");
    app.add_option("--requests", requests_, "requests in all (default: one for each stream)")
        ->check(CLI::Range(std::int64_t{1}, kMostRequests))
        ->needs(streams)
        ->type_name("N")
        ->group(serving);
    app.add_option("--rate", rate_,
                   "requests per second, at random times (default: as soon as a stream is free)")
        ->check(CLI::Range(1e-3, 1e6))
        ->needs(streams)
        ->type_name("R")
        ->group(serving);
    app.add_option("--shared-prefix", shared_, "prompt tokens that all requests have in common")
        ->check(CLI::Range(std::int64_t{0}, kMostTokens))
        ->needs(streams)
        ->type_name("N")
        ->group(serving);
    selector_.add_options(app);
    selector_.add_draft_options(app);
    app.add_option("-r,--repetitions", repetitions_, "repetitions of each test")
        ->check(CLI::Range(1, 1'000'000))
        ->type_name("N")
        ->capture_default_str();
    auto* json = app.add_flag("--json", json_, "print one JSON array");
    app.add_flag("--csv", csv_, "print comma-separated values")->excludes(json);
    constraint_.add_options(app);
    runtime_.add_options(app);
    // Here several numbers of threads may be given.
    const std::string group = app.get_option("--threads")->get_group();
    app.remove_option(app.get_option("--threads"));
    list("--threads", threads_, "threads that compute (default: one per physical core)", 1,
         kMostThreads)
        ->group(group);
    add_context_option(app, context_, "longest sequence (default: the model's)");
  }

  int execute() override {
    const std::optional<Constraint> constraint = constraint_.read();
    if (!streams_.empty()) {
      if (constraint) throw UsageError("--streams does not go with a constraint");
      return serve();
    }
    const std::vector<PlannedCase> cases = plan();
    if (cases.empty()) throw UsageError("nothing to measure: -p and -g are 0");
    if (threads_.empty()) threads_ = {runtime_.threads()};
    std::int64_t together = 1;
    for (const PlannedCase& c : cases) together = std::max(together, c.test.batch);
    engine::EngineOptions engine = runtime_.engine_options(together);
    engine.step_seconds = 3600;  // prompts need not be considerate

    const models::ModelPath path = selector_.locate();
    const models::TextOptions text = selector_.text_options();
    runtime_.take_over(selector_);
    BenchModel model;
    std::vector<Measurement> measurements;
    for (std::size_t i = 0; i < threads_.size(); ++i) {
      runtime_.set_threads(threads_[i]);
      Session session(path, runtime_, context_, engine, text, selector_.draft());
      model = {session.model().name, session.model().architecture, session.model().parameters};
      BenchRunner runner(session, constraint);
      ProgressBar bar("measuring");
      std::uint64_t done = i * cases.size() * static_cast<std::uint64_t>(repetitions_);
      const std::uint64_t total =
          threads_.size() * cases.size() * static_cast<std::uint64_t>(repetitions_);
      runner.warm_up();
      session.wait_for_packing();
      for (const PlannedCase& c : cases) {
        const BenchTimes times =
            runner.run(c.test, repetitions_, [&] { bar.update(++done, total); });
        add_measurements(c, times, threads_[i], measurements);
      }
    }
    print(json_  ? bench_json(model, measurements)
          : csv_ ? bench_csv(model, measurements)
                 : bench_table(model, measurements));
    return 0;
  }

 private:
  // Every combination of the lists. Alone, prompts and generation are tests of their own; in a
  // batch the generation follows the prompts.
  [[nodiscard]] std::vector<PlannedCase> plan() const {
    if (pairs_.size() % 2 != 0) throw UsageError("--pg takes two numbers, P,G");
    std::vector<PlannedCase> cases;
    for (const std::int64_t depth : depths_) {
      if (batches_.empty()) {
        for (const std::int64_t p : prompts_) {
          if (p > 0) cases.push_back({{.prompt = p, .depth = depth}});
        }
        for (const std::int64_t g : generates_) {
          if (g > 0) cases.push_back({{.generate = g, .depth = depth}});
        }
      }
      for (const std::int64_t batch : batches_) {
        for (const std::int64_t p : prompts_) {
          for (const std::int64_t g : generates_) {
            if (p + g > 0) cases.push_back({{p, g, depth, batch}});
          }
        }
      }
      for (std::size_t i = 0; i + 1 < pairs_.size(); i += 2) {
        cases.push_back({{pairs_[i], pairs_[i + 1], depth, 1}, Shown::kSum});
      }
    }
    return cases;
  }

  // Every number of streams in turn; the program treats requests as it would in earnest.
  int serve() {
    if (csv_) throw UsageError("--streams prints a table or --json");
    if (threads_.size() > 1) throw UsageError("--streams takes one number of threads");
    if (!threads_.empty()) runtime_.set_threads(threads_.front());
    const models::ModelPath path = selector_.locate();
    runtime_.take_over(selector_);
    const engine::EngineOptions engine =
        runtime_.engine_options(*std::max_element(streams_.begin(), streams_.end()));
    Session session(path, runtime_, context_, engine, selector_.text_options(), selector_.draft());
    const BenchModel model = {session.model().name, session.model().architecture,
                              session.model().parameters};
    (void)run_serving(session, {.prompt = 16, .answer = 4}, 0);  // warms up
    session.wait_for_packing();
    std::vector<ServingMeasurement> measurements;
    for (const std::int64_t streams : streams_) {
      const ServingCase test{.streams = streams,
                             .requests = requests_.value_or(streams),
                             .prompt = std::max<std::int64_t>(1, prompts_.front()),
                             .shared = shared_,
                             .answer = std::max<std::int64_t>(1, generates_.front()),
                             .rate = rate_};
      // Other prompts each time, so that no case finds the ones before in the cache.
      const auto seed = static_cast<std::uint64_t>(measurements.size() + 1);
      measurements.push_back({test, run_serving(session, test, seed)});
    }
    print(json_ ? serving_json(model, measurements) : serving_table(measurements));
    return 0;
  }

  void add_measurements(const PlannedCase& planned, const BenchTimes& times, int threads,
                        std::vector<Measurement>& all) const {
    const BenchCase& test = planned.test;
    const auto add = [&](const std::string& what, std::int64_t depth) -> Measurement& {
      Measurement& m = all.emplace_back();
      m.test = what;
      if (depth > 0) m.test += fmt::format(" @ d{}", depth);
      if (!batches_.empty()) m.test += fmt::format(" x{}", test.batch);
      m.threads = threads;
      m.depth = depth;
      m.batch = test.batch;
      return m;
    };
    const auto prompts = static_cast<double>(test.prompt * test.batch);
    const auto generated = static_cast<double>(test.generate * test.batch);
    if (planned.shown == Shown::kSum) {
      Measurement& m = add(fmt::format("pp{}+tg{}", test.prompt, test.generate), test.depth);
      m.prompt_tokens = test.prompt;
      m.generated_tokens = test.generate;
      std::vector<double> seconds = times.prompt_seconds;
      for (std::size_t i = 0; i < seconds.size(); ++i) seconds[i] += times.generate_seconds[i];
      m.speeds = speeds_of(prompts + generated, seconds);
      m.first_token = times.first_token;
      m.token_intervals = times.token_intervals;
      return;
    }
    if (test.prompt > 0) {
      Measurement& m = add(fmt::format("pp{}", test.prompt), test.depth);
      m.prompt_tokens = test.prompt;
      m.speeds = speeds_of(prompts, times.prompt_seconds);
      m.first_token = times.first_token;
    }
    if (test.generate > 0) {
      Measurement& m = add(fmt::format("tg{}", test.generate), test.depth + test.prompt);
      m.generated_tokens = test.generate;
      m.speeds = speeds_of(generated, times.generate_seconds);
      m.token_intervals = times.token_intervals;
    }
  }

  ModelSelector selector_;
  RuntimeOptions runtime_;
  ConstraintOptions constraint_;
  std::vector<std::int64_t> prompts_{512};
  std::vector<std::int64_t> generates_{128};
  std::vector<std::int64_t> pairs_;
  std::vector<std::int64_t> depths_{0};
  std::vector<std::int64_t> batches_;  // empty: one sequence
  std::vector<int> threads_;           // empty: the default
  std::vector<std::int64_t> streams_;  // empty: no clients
  std::optional<std::int64_t> requests_;
  double rate_ = 0;
  std::int64_t shared_ = 0;
  int repetitions_ = 5;
  bool json_ = false;
  bool csv_ = false;
  std::int64_t context_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_bench() {
  return std::make_unique<BenchCommand>();
}

}  // namespace mistral::cli
