// Requests that cannot be served, given to the engine over a real model: each is refused with the
// name of its field, and the engine goes on as if it had never been there.
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "engine/client.h"
#include "engine/engine.h"
#include "models/golden_case.h"
#include "models/loader.h"

namespace mistral::engine {
namespace {

constexpr std::int64_t kContext = 128;

class RequestCheck : public testing::Test {
 protected:
  RequestCheck() {
    const auto folder = test::golden_dir() / "text" / "llama-plain";
    models::LoadOptions options;
    options.context_length = kContext;
    options.kv_cache_tokens = 256;
    options.kv_block_size = 8;
    loaded_ =
        std::make_unique<models::LoadedModel>(models::load(models::locate(folder), options, pool_));
    engine_ = std::make_unique<Engine>(*loaded_->model, loaded_->tokenizer.get(),
                                       loaded_->end_tokens, EngineOptions{});
    const test::Expected expected(folder / "expected.safetensors");
    prompt_ = expected.ids("input_ids");
    greedy_ = expected.ids("greedy_ids");
  }

  void expect_golden_answer() {
    Request request = request_of(prompt_, static_cast<std::int64_t>(greedy_.size()));
    request.sampling.ignore_eos = true;
    EXPECT_EQ(answer(*engine_, request).tokens, greedy_);
    EXPECT_EQ(engine_->stats().blocks_in_use, 0);
  }

  // Refused with a message that begins with `field` and has all `parts`; no step is made for it.
  void expect_refused(const std::string& field, std::initializer_list<std::string> parts,
                      const std::function<void(Request&)>& change) {
    Request request = request_of(prompt_, 3);
    change(request);
    const EngineStats before = engine_->stats();
    try {
      (void)engine_->submit(request);
      ADD_FAILURE() << field << " was not refused";
      return;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
      const std::string message = error.what();
      EXPECT_EQ(message.rfind(field + ":", 0), 0U) << message;
      for (const std::string& part : parts) {
        EXPECT_NE(message.find(part), std::string::npos) << message << " lacks " << part;
      }
    }
    const EngineStats after = engine_->stats();
    EXPECT_EQ(after.running, 0);
    EXPECT_EQ(after.waiting, 0);
    EXPECT_EQ(after.blocks_in_use, 0);
    EXPECT_EQ(after.steps, before.steps);
  }
  void expect_refused_sampling(const std::string& field,
                               const std::function<void(SamplingParams&)>& change) {
    expect_refused(field, {}, [&change](Request& request) { change(request.sampling); });
  }

  ThreadPool pool_{2};
  std::unique_ptr<models::LoadedModel> loaded_;
  std::unique_ptr<Engine> engine_;
  std::vector<TokenId> prompt_;
  std::vector<TokenId> greedy_;
};

TEST_F(RequestCheck, APromptAsLongAsTheContextHasRoomForOneToken) {
  Request request = request_of(std::vector<TokenId>(kContext, 5), 10);
  request.sampling.ignore_eos = true;
  const Outcome full = answer(*engine_, request);
  EXPECT_EQ(full.tokens.size(), 1U);
  EXPECT_EQ(full.end.reason, FinishReason::kLength);
  EXPECT_EQ(engine_->stats().blocks_in_use, 0);
  expect_refused("prompt", {std::to_string(kContext + 1), std::to_string(kContext)},
                 [](Request& r) { r.prompt.assign(kContext + 1, 5); });
  expect_golden_answer();
}

TEST_F(RequestCheck, Prompts) {
  const TokenId vocab = loaded_->model->vocab_size();
  expect_refused("prompt", {"empty"}, [](Request& r) { r.prompt.clear(); });
  expect_refused("prompt", {std::to_string(vocab), std::to_string(vocab - 1)},
                 [&](Request& r) { r.prompt.push_back(vocab); });
  expect_refused("prompt", {"-1"}, [](Request& r) { r.prompt[0] = -1; });
  expect_golden_answer();
}

TEST_F(RequestCheck, Lengths) {
  for (const std::int64_t wrong :
       {std::int64_t{0}, std::int64_t{-1}, std::numeric_limits<std::int64_t>::min(),
        std::int64_t{1} << 31, std::numeric_limits<std::int64_t>::max()}) {
    expect_refused("max_tokens", {std::to_string(wrong)},
                   [wrong](Request& r) { r.sampling.max_tokens = wrong; });
  }
  expect_refused("min_tokens", {"-1"}, [](Request& r) { r.sampling.min_tokens = -1; });
  expect_refused("min_tokens", {"4", "3"}, [](Request& r) { r.sampling.min_tokens = 4; });
  for (const std::int32_t wrong : {-1, 257}) {
    expect_refused("top_logprobs", {std::to_string(wrong), "256"},
                   [wrong](Request& r) { r.sampling.top_logprobs = wrong; });
  }
  expect_golden_answer();
}

TEST_F(RequestCheck, NumbersOutsideOfTheirRanges) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  using Field = std::function<void(SamplingParams&, double)>;
  struct Range {
    std::string name;
    Field set;
    std::vector<double> wrong;  // besides NaN, infinities, and a huge number of either sign
  };
  const std::vector<Range> ranges = {
      {"temperature", [](auto& s, double x) { s.temperature = x; }, {-0.1}},
      {"top_p", [](auto& s, double x) { s.top_p = x; }, {-0.1, 1.1}},
      {"min_p", [](auto& s, double x) { s.min_p = x; }, {-0.1, 1.1}},
      {"top_n_sigma", [](auto& s, double x) { s.top_n_sigma = x; }, {-1}},
      {"typical_p", [](auto& s, double x) { s.typical_p = x; }, {-0.1, 1.1}},
      {"xtc_probability", [](auto& s, double x) { s.xtc_probability = x; }, {-0.1, 1.1}},
      {"xtc_threshold", [](auto& s, double x) { s.xtc_threshold = x; }, {-0.1, 1.1}},
      {"mirostat_tau", [](auto& s, double x) { s.mirostat_tau = x; }, {-1, 0}},
      {"mirostat_eta", [](auto& s, double x) { s.mirostat_eta = x; }, {-1, 0}},
      {"repetition_penalty", [](auto& s, double x) { s.repetition_penalty = x; }, {-1, 0, 1e-9}},
      {"frequency_penalty", [](auto& s, double x) { s.frequency_penalty = x; }, {}},
      {"presence_penalty", [](auto& s, double x) { s.presence_penalty = x; }, {}},
      {"dry_multiplier", [](auto& s, double x) { s.dry_multiplier = x; }, {-1}},
      {"dry_base", [](auto& s, double x) { s.dry_base = x; }, {-1}},
      {"logit_bias",
       [](auto& s, double x) {
         s.logit_bias = {{1, x}};
       },
       {}},
  };
  for (const Range& range : ranges) {
    SCOPED_TRACE(range.name);
    std::vector<double> wrong = {nan, inf, -inf, 1e7, -1e7, 1e300};
    wrong.insert(wrong.end(), range.wrong.begin(), range.wrong.end());
    for (const double value : wrong) {
      SCOPED_TRACE(value);
      expect_refused_sampling(range.name, [&](SamplingParams& s) { range.set(s, value); });
    }
  }
  expect_refused_sampling("top_k", [](SamplingParams& s) { s.top_k = -2; });
  expect_refused_sampling("dry_allowed_length",
                          [](SamplingParams& s) { s.dry_allowed_length = -1; });
  expect_golden_answer();
}

// The ends of the ranges are inside, and are survived.
TEST_F(RequestCheck, ExtremeNumbersAreServed) {
  const std::vector<std::function<void(SamplingParams&)>> changes = {
      [](SamplingParams& s) { s.temperature = 1e6; },
      [](SamplingParams& s) { s.temperature = 0; },
      [](SamplingParams& s) { s.top_k = std::numeric_limits<std::int32_t>::max(); },
      [](SamplingParams& s) { s.top_k = -1; },
      [](SamplingParams& s) { s.top_p = 0; },
      [](SamplingParams& s) { s.top_p = 1; },
      [](SamplingParams& s) { s.min_p = 1; },
      [](SamplingParams& s) { s.typical_p = 1; },
      [](SamplingParams& s) { s.top_n_sigma = 1e6; },
      [](SamplingParams& s) { s.xtc_probability = 1, s.xtc_threshold = 0; },
      [](SamplingParams& s) { s.mirostat_tau = 1e6, s.mirostat_eta = 1e6; },
      [](SamplingParams& s) { s.mirostat_tau = 1e-9; },
      [](SamplingParams& s) { s.repetition_penalty = 1e6, s.frequency_penalty = 1e6; },
      [](SamplingParams& s) { s.repetition_penalty = 1e-6, s.presence_penalty = -1e6; },
      [](SamplingParams& s) { s.dry_multiplier = 1e6, s.dry_base = 1e6, s.dry_allowed_length = 0; },
      [](SamplingParams& s) { s.dry_multiplier = 1, s.dry_base = 0; },
      [](SamplingParams& s) {
        s.logit_bias = {{0, -1e6}, {1, 1e6}};
      },
      [](SamplingParams& s) { s.top_logprobs = 256; },
      [](SamplingParams& s) { s.max_tokens = std::numeric_limits<std::int32_t>::max(); },
      [](SamplingParams& s) { s.seed = std::numeric_limits<std::uint64_t>::max(); },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    SCOPED_TRACE(i);
    Request request = request_of(prompt_, 4);
    request.sampling.temperature = 1;
    request.sampling.ignore_eos = true;
    changes[i](request.sampling);
    const Outcome outcome = answer(*engine_, request);
    EXPECT_EQ(outcome.end.reason, FinishReason::kLength) << outcome.end.error;
    EXPECT_GE(outcome.tokens.size(), 4U);
  }
  expect_golden_answer();
}

TEST_F(RequestCheck, Texts) {
  expect_refused("stop[1]", {"empty"}, [](Request& r) { r.sampling.stop = {"a", ""}; });
  expect_refused("stop[0]", {"UTF-8"}, [](Request& r) { r.sampling.stop = {"\x80"}; });
  expect_refused("stop[0]", {"70000"},
                 [](Request& r) { r.sampling.stop = {std::string(70000, 'x')}; });
  expect_refused("stop", {"1025"}, [](Request& r) { r.sampling.stop.assign(1025, "x"); });
  expect_refused("dry_sequence_breakers[0]", {"empty"},
                 [](Request& r) { r.sampling.dry_sequence_breakers = {""}; });
  expect_golden_answer();
}

TEST_F(RequestCheck, UnknownIdsAndEmptyFunctions) {
  const TokenId vocab = loaded_->model->vocab_size();
  for (const TokenId id : {-1, vocab, std::numeric_limits<TokenId>::max()}) {
    expect_refused("logit_bias", {std::to_string(id), std::to_string(vocab - 1)}, [id](Request& r) {
      r.sampling.logit_bias = {{0, 1.0}, {id, 1.0}};
    });
  }
  expect_refused("logits_processors[0]", {},
                 [](Request& r) { r.sampling.logits_processors.resize(1); });
  expect_golden_answer();
}

// Refusals while others run do not touch them.
TEST_F(RequestCheck, RunningAnswersDoNotNotice) {
  Request request = request_of(prompt_, static_cast<std::int64_t>(greedy_.size()));
  request.sampling.ignore_eos = true;
  RequestHandle running = engine_->submit(request);
  for (int i = 0; i < 50; ++i) {
    Request bad = request_of(prompt_, 0);
    EXPECT_THROW((void)engine_->submit(bad), Error);
  }
  EXPECT_EQ(drain(running).tokens, greedy_);
  expect_golden_answer();
}

}  // namespace
}  // namespace mistral::engine
