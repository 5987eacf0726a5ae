// Constrained answers through the engine, with a model that would rather say anything else.
#include "text/grammar/constraint.h"

#include "engine/answer_constraint.h"
#include "engine/client.h"
#include "error_of.h"

namespace mistral::engine {
namespace {

using Kind = Constraint::Kind;

constexpr TokenId kEnd = 256;

// Random-looking logits for every id, a little more for the end.
void noise(const nn::BatchSequence& sequence, std::int64_t position, std::span<float> row) {
  std::uint64_t state = static_cast<std::uint64_t>(position) * 7919 + 13 +
                        static_cast<std::uint64_t>(sequence.rope_length) * 104729;
  for (float& logit : row) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    logit = static_cast<float>(state >> 40U) / static_cast<float>(1 << 24) * 4;
  }
  row[kEnd] += 2;
}

class ConstraintTest : public testing::Test {
 protected:
  ConstraintTest() {
    tokenizer.words = {"<end>", "ab", "\":", "{\"", "true", "12", "name", "abc"};
    tokenizer.special = {kEnd};
    model.on_logits = noise;
    vocabulary = std::make_shared<const grammar::ConstraintVocabulary>(
        tokenizer, std::vector<TokenId>{kEnd}, static_cast<std::size_t>(model.vocab));
  }

  void start(EngineOptions options = {}) {
    engine.emplace(model, &tokenizer, std::vector<TokenId>{kEnd}, options);
  }
  [[nodiscard]] std::shared_ptr<const grammar::CompiledConstraint> compile(
      Kind kind, const std::string& text) const {
    return grammar::compile_constraint({.kind = kind, .text = text}, vocabulary);
  }
  [[nodiscard]] static Request constrained(
      std::shared_ptr<const grammar::CompiledConstraint> constraint, std::uint64_t seed,
      std::int64_t max_tokens = 60) {
    Request request = request_of({1, 2, 3}, max_tokens);
    request.sampling.temperature = 1.0;
    request.sampling.seed = seed;
    request.constraint = std::move(constraint);
    return request;
  }
  // The text is in the language, or where it was cut begins one that is.
  static void check(const grammar::CompiledConstraint& constraint, const Outcome& outcome) {
    const auto machine = constraint.start();
    for (const char c : outcome.text) {
      ASSERT_TRUE(machine->push(static_cast<std::uint8_t>(c))) << outcome.text;
    }
    ASSERT_NE(outcome.end.reason, FinishReason::kError) << outcome.end.error;
    if (outcome.end.reason == FinishReason::kStop) {
      EXPECT_TRUE(machine->accepts()) << outcome.text;
    }
  }

  FakeTokenizer tokenizer;
  FakeModel model;
  std::shared_ptr<const grammar::ConstraintVocabulary> vocabulary;
  std::optional<Engine> engine;
};

TEST_F(ConstraintTest, AnswersBelongToTheLanguage) {
  start();
  const std::vector<std::shared_ptr<const grammar::CompiledConstraint>> constraints = {
      compile(Kind::kRegex, "[a-c]{2,9}(x|yz)"),
      compile(Kind::kJsonSchema, R"({"type":"object","properties":{"name":{"enum":["a","b"]},
        "n":{"type":"integer"}},"required":["name","n"],"additionalProperties":false})"),
      compile(Kind::kYacc, "%%\nSKIP: \"/[ \\n]+/\" ;\ns: \"a\" | \"(\" s \")\" | s \"+\" s ;"),
      compile(Kind::kGbnf, "root ::= \"x\" root | [0-9]{1,3}")};
  std::vector<RequestHandle> handles;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    for (const auto& constraint : constraints) {
      handles.push_back(engine->submit(constrained(constraint, seed)));
    }
  }
  int stopped = 0;
  for (std::size_t i = 0; i < handles.size(); ++i) {
    const Outcome outcome = drain(handles[i]);
    check(*constraints[i % constraints.size()], outcome);
    stopped += outcome.end.reason == FinishReason::kStop ? 1 : 0;
  }
  EXPECT_GT(stopped, 20);
}

TEST_F(ConstraintTest, DoNotDependOnWhoElseRuns) {
  start();
  const auto constraint = compile(Kind::kRegex, "([a-z]{3} ){1,6}[0-9]+");
  std::vector<std::string> alone;
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    alone.push_back(answer(*engine, constrained(constraint, seed)).text);
  }
  std::vector<RequestHandle> handles;
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    handles.push_back(engine->submit(constrained(constraint, seed)));
    Request free = request_of({9, 9}, 40);
    free.sampling.ignore_eos = true;
    handles.push_back(engine->submit(std::move(free)));
  }
  for (std::size_t i = 0; i < handles.size(); ++i) {
    const Outcome outcome = drain(handles[i]);
    if (i % 2 == 0) {
      EXPECT_EQ(outcome.text, alone[i / 2]);
    } else {
      EXPECT_EQ(outcome.tokens.size(), 40U);
    }
  }
}

TEST_F(ConstraintTest, EndWhereNothingCanFollow) {
  start();
  const Outcome outcome = answer(*engine, constrained(compile(Kind::kRegex, "(yes|no)"), 1));
  EXPECT_TRUE(outcome.text == "yes" || outcome.text == "no") << outcome.text;
  EXPECT_EQ(outcome.end.reason, FinishReason::kStop);
  // No end token was needed.
  EXPECT_EQ(std::count(outcome.tokens.begin(), outcome.tokens.end(), kEnd), 0);
}

TEST_F(ConstraintTest, TheEndTokenComesOnlyWhereTheTextMayEnd) {
  model.on_logits = [](const nn::BatchSequence&, std::int64_t, std::span<float> row) {
    std::fill(row.begin(), row.end(), 0.0F);
    row[kEnd] = 50;
    row['b'] = 10;
  };
  start();
  Request request = constrained(compile(Kind::kRegex, "[ab]{4,}"), 1);
  request.sampling.temperature = 0.0;
  const Outcome outcome = answer(*engine, std::move(request));
  EXPECT_EQ(outcome.text, "bbbb");
  EXPECT_EQ(outcome.tokens.back(), kEnd);
}

TEST_F(ConstraintTest, ForcedTextNeedsNoSteps) {
  // A tokenizer with single bytes only writes what must come in this way, too.
  tokenizer.words.resize(1);
  model.vocab = 257;
  vocabulary = std::make_shared<const grammar::ConstraintVocabulary>(
      tokenizer, std::vector<TokenId>{kEnd}, static_cast<std::size_t>(model.vocab));
  start();
  const std::string text = "a text that is longer than a few tokens and has no choice in it";
  const int before = model.steps;
  Request request = constrained(compile(Kind::kRegex, "[xy]" + text + "[xy]"), 1, 200);
  request.sampling.logprobs = true;
  const Outcome outcome = answer(*engine, std::move(request));
  EXPECT_EQ(outcome.text.substr(1, text.size()), text);
  EXPECT_EQ(outcome.end.usage.completion_tokens, static_cast<std::int64_t>(text.size()) + 2);
  // The prompt and the first token; all that is forced; the last token.
  EXPECT_LE(model.steps - before, 4);
}

TEST_F(ConstraintTest, MaxTokensCutsForcedTextToo) {
  tokenizer.words.resize(1);
  model.vocab = 257;
  vocabulary = std::make_shared<const grammar::ConstraintVocabulary>(
      tokenizer, std::vector<TokenId>{kEnd}, static_cast<std::size_t>(model.vocab));
  start();
  const Outcome outcome =
      answer(*engine, constrained(compile(Kind::kRegex, "[xy]aaaaaaaaaaaaaaaaaaaaaaa"), 1, 7));
  EXPECT_EQ(outcome.tokens.size(), 7U);
  EXPECT_EQ(outcome.end.reason, FinishReason::kLength);
}

// Guesses what may not come.
class WrongDrafter : public Drafter {
 public:
  void propose(std::span<DraftRequest> requests) override {
    for (DraftRequest& request : requests) {
      request.draft->clear();
      for (std::int32_t i = 0; i < request.wanted; ++i) {
        request.draft->tokens.push_back(static_cast<TokenId>('a' + (count_++ % 5)));
      }
    }
  }
  void forget(std::uint64_t) noexcept override {}

 private:
  int count_ = 0;
};

TEST_F(ConstraintTest, GuessesChangeNothing) {
  const auto constraint = compile(Kind::kRegex, "([abc]{2}[xyz]){3,8}");
  std::vector<std::string> plain;
  start();
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    Request request = constrained(constraint, seed);
    request.sampling.temperature = 0.0;
    const Outcome outcome = answer(*engine, std::move(request));
    check(*constraint, outcome);
    plain.push_back(outcome.text);
  }
  engine.reset();
  start({.drafter = std::make_shared<WrongDrafter>(), .max_drafts = 4, .adapt_drafts = false});
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    Request request = constrained(constraint, seed);
    request.sampling.temperature = 0.0;
    EXPECT_EQ(answer(*engine, std::move(request)).text, plain[seed]);
  }
  EXPECT_GT(engine->stats().drafted_tokens, 0);
}

// Never wants to end, and likes what opens something.
void endless(const nn::BatchSequence& sequence, std::int64_t position, std::span<float> row) {
  noise(sequence, position, row);
  for (const char c : {'(', '[', '{', '"', ','}) row[static_cast<unsigned char>(c)] += 3;
  row[kEnd] = row['!'] = -40;
}

TEST_F(ConstraintTest, AnswersEndBeforeTheirTokensRunOut) {
  model.on_logits = endless;
  start();
  struct Case {
    std::shared_ptr<const grammar::CompiledConstraint> constraint;
    std::int64_t least;  // tokens that always suffice
  };
  const std::vector<Case> cases = {
      {compile(Kind::kRegex, "[a-z]+"), 2},
      {compile(Kind::kRegex, "[0-9]+(\\.[0-9]+)?(abc|q{5})"), 3},
      {compile(Kind::kJsonObject, ""), 3},
      {compile(Kind::kJsonSchema, R"({"type":"array","items":{"type":"array"}})"), 3},
      {compile(Kind::kJsonSchema, R"({"type":"object","properties":{"name":{"type":"string"}},
        "required":["name"],"additionalProperties":false})"),
       6},
      {compile(Kind::kGbnf, "root ::= \"(\" root \")\" | [0-9]+"), 2},
      {compile(Kind::kLark, "start: \"[\" [start (\",\" start)*] \"]\"\n%ignore \" \""), 3},
      {compile(Kind::kYacc, "%%\nSKIP: \"/[ \\n]+/\" ;\ns: \"/a+/\" | \"(\" s \")\" | s \"+\" s ;"),
       2}};
  std::vector<std::pair<std::size_t, RequestHandle>> handles;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    for (std::int64_t most = cases[i].least; most < 70; most += most < 12 ? 1 : 7) {
      for (std::uint64_t seed = 0; seed < 3; ++seed) {
        handles.emplace_back(i, engine->submit(constrained(cases[i].constraint, seed,
                                                           static_cast<std::int64_t>(most))));
      }
    }
  }
  for (auto& [i, handle] : handles) {
    const Outcome outcome = drain(handle);
    check(*cases[i].constraint, outcome);
    EXPECT_EQ(outcome.end.reason, FinishReason::kStop) << i << ": " << outcome.text;
  }
}

TEST_F(ConstraintTest, AnEndUsesTheLastTokenOnly) {
  model.on_logits = endless;
  start();
  const Outcome letters = answer(*engine, constrained(compile(Kind::kRegex, "[a-z]+"), 1, 40));
  EXPECT_EQ(letters.tokens.size(), 40U);
  EXPECT_EQ(letters.tokens.back(), kEnd);
  // Where nothing can follow, no end token is needed.
  const Outcome closed = answer(*engine, constrained(compile(Kind::kRegex, "[a-z]+!"), 1, 40));
  EXPECT_EQ(closed.tokens.size(), 40U);
  EXPECT_EQ(closed.text.back(), '!');
  EXPECT_EQ(closed.end.reason, FinishReason::kStop);
}

TEST_F(ConstraintTest, AFullContextOrCacheIsAnEndToo) {
  model.on_logits = endless;
  const auto constraint = compile(Kind::kRegex, "\\{[a-z]+\\}{3}");
  for (const bool small_cache : {false, true}) {
    if (small_cache) {
      model.context = 4096;
      model.bytes = 64 * 6;
    } else {
      model.context = 50;
    }
    start();
    Request request = constrained(constraint, 3);
    request.sampling.max_tokens.reset();
    const Outcome outcome = answer(*engine, std::move(request));
    check(*constraint, outcome);
    EXPECT_EQ(outcome.end.reason, FinishReason::kStop) << outcome.text;
    EXPECT_GT(outcome.tokens.size(), 10U);
    engine.reset();
  }
}

TEST_F(ConstraintTest, TheEndIsTheSameWithGuessesAndInABatch) {
  model.on_logits = endless;
  const auto constraint = compile(Kind::kJsonObject, "");
  std::vector<std::string> plain;
  start();
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    plain.push_back(answer(*engine, constrained(constraint, seed, 33)).text);
  }
  engine.reset();
  start({.drafter = std::make_shared<WrongDrafter>(), .max_drafts = 4, .adapt_drafts = false});
  std::vector<RequestHandle> handles;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    handles.push_back(engine->submit(constrained(constraint, seed, 33)));
  }
  for (std::size_t seed = 0; seed < 8; ++seed) {
    const Outcome outcome = drain(handles[seed]);
    EXPECT_EQ(outcome.text, plain[seed]);
    EXPECT_EQ(outcome.end.reason, FinishReason::kStop);
  }
  EXPECT_GT(engine->stats().drafted_tokens, 0);
}

TEST_F(ConstraintTest, MinTokensGoesBeforeTheEnd) {
  model.on_logits = endless;
  start();
  Request request = constrained(compile(Kind::kRegex, "[a-z]+"), 1, 20);
  request.sampling.min_tokens = 20;
  const Outcome outcome = answer(*engine, std::move(request));
  EXPECT_EQ(outcome.tokens.size(), 20U);
  EXPECT_EQ(outcome.end.reason, FinishReason::kLength);
  EXPECT_EQ(std::count(outcome.tokens.begin(), outcome.tokens.end(), kEnd), 0);
}

TEST_F(ConstraintTest, SeveralAnswersToOnePrompt) {
  start();
  const auto constraint = compile(Kind::kRegex, "[a-z]{5}[0-9]{5}");
  auto handles = engine->submit(constrained(constraint, 5), 4);
  std::set<std::string> texts;
  for (RequestHandle& handle : handles) {
    const Outcome outcome = drain(handle);
    check(*constraint, outcome);
    EXPECT_EQ(outcome.text.size(), 10U);
    texts.insert(outcome.text);
  }
  EXPECT_EQ(texts.size(), 4U);
}

TEST_F(ConstraintTest, FailureEndsOneRequestOnly) {
  start();
  // The vocabulary has no token for a part of what must come: no id above 255 is the byte 0xFF.
  std::vector<std::string> texts(static_cast<std::size_t>(model.vocab));
  texts['a'] = "a";
  const auto poor =
      std::make_shared<const grammar::ConstraintVocabulary>(texts, std::vector<TokenId>{kEnd});
  const auto impossible =
      grammar::compile_constraint({.kind = Kind::kRegex, .text = "[ab]b"}, poor);
  RequestHandle bad = engine->submit(constrained(impossible, 1));
  RequestHandle good = engine->submit(constrained(compile(Kind::kRegex, "[a-z]{9}"), 1));
  const Outcome failed = drain(bad);
  EXPECT_EQ(failed.end.reason, FinishReason::kError);
  EXPECT_NE(failed.end.error.find("constraint"), std::string::npos) << failed.end.error;
  EXPECT_EQ(drain(good).text.size(), 9U);
}

TEST_F(ConstraintTest, AnotherModelsConstraintIsRefused) {
  start();
  const auto other = std::make_shared<const grammar::ConstraintVocabulary>(
      std::vector<std::string>(10, "a"), std::vector<TokenId>{});
  const auto constraint = grammar::compile_constraint({.kind = Kind::kRegex, .text = "a"}, other);
  const std::string error =
      test::error_of([&] { return engine->submit(constrained(constraint, 1)); }).what();
  EXPECT_NE(error.find("constraint"), std::string::npos) << error;
}

TEST_F(ConstraintTest, PreemptedAnswersGoOn) {
  model.bytes = 64 * 12;
  start();
  const auto constraint = compile(Kind::kRegex, "[a-z]{40}");
  std::vector<RequestHandle> handles;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    handles.push_back(engine->submit(constrained(constraint, seed)));
  }
  for (RequestHandle& handle : handles) {
    const Outcome outcome = drain(handle);
    check(*constraint, outcome);
    EXPECT_EQ(outcome.text.size(), 40U);
  }
}

}  // namespace
}  // namespace mistral::engine
