// `bench`: speed of prompt processing and of generation, through the engine as users meet it.
// Tokens are random and sampling is greedy; end tokens are ignored.
#include <cmath>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/session.h"
#include "core/error.h"
#include "core/json.h"
#include "core/progress.h"

namespace mistral::cli {

namespace {

struct Measurement {
  std::string test;                // "pp512", "tg128", "pp512 @ d1024"
  std::int64_t prompt_tokens = 0;  // processed per repetition
  std::int64_t generated_tokens = 0;
  std::vector<double> speeds;  // tokens per second, one per repetition
};

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Of the sample; 0 for a single value.
double standard_deviation(const std::vector<double>& values) {
  if (values.size() < 2) return 0;
  const double middle = mean(values);
  double sum = 0;
  for (const double value : values) sum += (value - middle) * (value - middle);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

class BenchCommand final : public Command {
 public:
  void add_options(CLI::App& app) override {
    selector_.add_options(app);
    const auto count = [&app](const char* name, std::int64_t& value, const char* help) {
      app.add_option(name, value, help)
          ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 24U))
          ->type_name("N")
          ->capture_default_str();
    };
    count("-p,--n-prompt", prompt_, "prompt tokens; 0 skips the test");
    count("-g,--n-gen", generate_, "generated tokens; 0 skips the test");
    count("--depth", depth_, "tokens that the cache already holds");
    app.add_option("-r,--repetitions", repetitions_, "repetitions of each test")
        ->check(CLI::Range(1, 1'000'000))
        ->type_name("N")
        ->capture_default_str();
    app.add_flag("--json", json_, "print one JSON array");
    runtime_.add_options(app);
    add_context_option(app, context_, "longest sequence (default: the model's)");
  }

  int execute() override {
    if (prompt_ == 0 && generate_ == 0) throw UsageError("nothing to measure: -p and -g are 0");
    Session session(selector_.locate(), runtime_, context_, runtime_.engine_options());
    std::vector<Measurement> measurements;
    {
      ProgressBar bar("measuring");
      const auto total = static_cast<std::uint64_t>(
          repetitions_ * (static_cast<int>(prompt_ > 0) + static_cast<int>(generate_ > 0)));
      std::uint64_t done = 0;
      const auto step = [&] { bar.update(++done, total); };
      const std::vector<TokenId> past = random_tokens(session, depth_);
      warm_up(session, past);
      if (prompt_ > 0) measurements.push_back(measure_prompt(session, past, step));
      if (generate_ > 0) measurements.push_back(measure_generation(session, past, step));
    }
    print(json_ ? as_json(session, measurements) : as_table(session, measurements));
    return 0;
  }

 private:
  std::vector<TokenId> random_tokens(const Session& session, std::int64_t count) {
    std::uniform_int_distribution<TokenId> any(0, static_cast<TokenId>(session.vocab_size() - 1));
    std::vector<TokenId> tokens(static_cast<std::size_t>(count));
    for (TokenId& token : tokens) token = any(random_);
    return tokens;
  }

  static Usage run(Session& session, std::vector<TokenId> prompt, std::int64_t max_tokens) {
    engine::Request request;
    request.prompt = std::move(prompt);
    request.sampling.temperature = 0.0;
    request.sampling.ignore_eos = true;
    request.sampling.max_tokens = max_tokens;
    engine::RequestHandle handle = session.engine().submit(std::move(request));
    while (true) {
      engine::Event event = handle.next();
      auto* finish = std::get_if<engine::FinishEvent>(&event);
      if (finish == nullptr) continue;
      if (finish->reason == FinishReason::kError) {
        throw make_error(ErrorKind::kInternal, "the model failed: {}", finish->error);
      }
      if (finish->usage.completion_tokens < max_tokens) {
        throw make_error(ErrorKind::kInvalidArgument,
                         "{} prompt tokens and {} generated tokens do not fit the context of {} "
                         "tokens",
                         finish->usage.prompt_tokens, max_tokens, session.context_length());
      }
      return finish->usage;
    }
  }

  // Touches the weights; a prefix cache then holds `past`.
  void warm_up(Session& session, const std::vector<TokenId>& past) {
    std::vector<TokenId> prompt = past;
    for (const TokenId token : random_tokens(session, 16)) prompt.push_back(token);
    (void)run(session, std::move(prompt), 2);
  }

  // `past` followed by `count` tokens that were not seen before.
  std::vector<TokenId> prompt_after(const Session& session, const std::vector<TokenId>& past,
                                    std::int64_t count) {
    std::vector<TokenId> prompt = past;
    for (const TokenId token : random_tokens(session, count)) prompt.push_back(token);
    return prompt;
  }

  template <typename Step>
  Measurement measure_prompt(Session& session, const std::vector<TokenId>& past, Step&& step) {
    Measurement result;
    result.test = fmt::format("pp{}", prompt_) + depth_suffix();
    result.prompt_tokens = prompt_;
    for (int i = 0; i < repetitions_; ++i) {
      result.speeds.push_back(prompt_speed(session, past));
      step();
    }
    return result;
  }

  double prompt_speed(Session& session, const std::vector<TokenId>& past) {
    const Usage usage = run(session, prompt_after(session, past, prompt_), 1);
    const std::int64_t computed = usage.prompt_tokens - usage.cached_tokens;
    // What a prefix cache does not hold of the past (it holds whole blocks) is computed and timed.
    if (computed <= prompt_ + kLargestBlock) {
      return static_cast<double>(computed) / usage.prompt_seconds;
    }
    // The past was computed as well: what it takes alone is subtracted.
    const double seconds = usage.prompt_seconds - run(session, past, 1).prompt_seconds;
    if (seconds <= 0) {
      throw make_error(ErrorKind::kInvalidArgument,
                       "{} prompt tokens after {} are too few to measure; use more with -p",
                       prompt_, depth_);
    }
    return static_cast<double>(prompt_) / seconds;
  }

  template <typename Step>
  Measurement measure_generation(Session& session, const std::vector<TokenId>& past, Step&& step) {
    Measurement result;
    result.test = fmt::format("tg{}", generate_) + depth_suffix();
    result.generated_tokens = generate_;
    for (int i = 0; i < repetitions_; ++i) {
      // The first token belongs to the prompt; the time runs from it to the last.
      const Usage usage = run(session, prompt_after(session, past, 1), generate_ + 1);
      result.speeds.push_back(static_cast<double>(generate_) / usage.completion_seconds);
      step();
    }
    return result;
  }

  [[nodiscard]] std::string depth_suffix() const {
    return depth_ > 0 ? fmt::format(" @ d{}", depth_) : "";
  }

  [[nodiscard]] std::string as_table(const Session& session,
                                     const std::vector<Measurement>& measurements) const {
    std::vector<std::vector<std::string>> rows{{"model", "threads", "test", "t/s"}};
    for (const Measurement& m : measurements) {
      rows.push_back(
          {one_line(session.model().name), std::to_string(runtime_.threads()), m.test,
           fmt::format("{:.2f} ± {:.2f}", mean(m.speeds), standard_deviation(m.speeds))});
    }
    std::vector<std::size_t> widths(rows.front().size());
    for (const auto& row : rows) {
      for (std::size_t i = 0; i < row.size(); ++i) {
        widths[i] = std::max(widths[i], fmt::formatted_size("{}", row[i]));
      }
    }
    std::string text;
    for (std::size_t r = 0; r < rows.size(); ++r) {
      text += fmt::format("| {:<{}} | {:>{}} | {:>{}} | {:>{}} |\n", rows[r][0], widths[0],
                          rows[r][1], widths[1], rows[r][2], widths[2], rows[r][3], widths[3]);
      if (r == 0) {
        text += fmt::format("|{:-<{}}|{:->{}}:|{:->{}}:|{:->{}}:|\n", "", widths[0] + 2, "",
                            widths[1] + 1, "", widths[2] + 1, "", widths[3] + 1);
      }
    }
    return text;
  }

  [[nodiscard]] std::string as_json(const Session& session,
                                    const std::vector<Measurement>& measurements) const {
    Json all = Json::array();
    for (const Measurement& m : measurements) {
      Json entry;
      entry["model"] = session.model().name;
      entry["architecture"] = session.model().architecture;
      entry["parameters"] = session.model().parameters;
      entry["threads"] = runtime_.threads();
      entry["test"] = m.test;
      entry["n_prompt"] = m.prompt_tokens;
      entry["n_gen"] = m.generated_tokens;
      entry["n_depth"] = depth_;
      entry["repetitions"] = repetitions_;
      entry["tokens_per_second"] = mean(m.speeds);
      entry["stddev"] = standard_deviation(m.speeds);
      entry["samples"] = m.speeds;
      all.push_back(std::move(entry));
    }
    return all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  }

  static constexpr std::int64_t kLargestBlock = 32;

  ModelSelector selector_;
  RuntimeOptions runtime_;
  std::int64_t prompt_ = 512;
  std::int64_t generate_ = 128;
  std::int64_t depth_ = 0;
  int repetitions_ = 5;
  bool json_ = false;
  std::int64_t context_ = 0;
  std::mt19937_64 random_{1};  // the same tokens in every run of the program
};

}  // namespace

std::unique_ptr<Command> make_bench() {
  return std::make_unique<BenchCommand>();
}

}  // namespace mistral::cli
