// Constraints over the vocabulary of a real model ($MISTRAL_MODEL, a GGUF file): what it costs to
// compile one, and per token to make the mask, apply it and follow the token, along a text that the
// constraint allows. `first` counts what a constraint costs when nothing is remembered yet.
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "core/error.h"
#include "engine/sampler.h"
#include "formats/gguf.h"
#include "text/grammar/constraint.h"
#include "text/tokenizer/tokenizer.h"

namespace mistral::grammar {
namespace {

using Kind = Constraint::Kind;

struct Example {
  const char* name;
  Constraint constraint;
  std::string text;
};

const std::vector<Example>& examples() {
  static const std::vector<Example> list = {
      {"regex",
       {Kind::kRegex, R"((\d{4})-(0[1-9]|1[0-2])-([0-2]\d) [^\n]*\n(- [^\n]+\n)+)"},
       "2024-05-17 a list of what is to do\n- call the bank\n- write to the office, too\n"},
      {"schema",
       {Kind::kJsonSchema,
        R"({"type":"object","properties":{"title":{"type":"string"},
            "year":{"type":"integer","minimum":1900,"maximum":2100},
            "genres":{"type":"array","items":{"enum":["drama","comedy","sf"]},"minItems":1},
            "rating":{"type":"number","minimum":0,"maximum":10},
            "actors":{"type":"array","items":{"type":"object","properties":{
              "name":{"type":"string"},"born":{"type":"string","format":"date"}},
              "required":["name"],"additionalProperties":false}}},
            "required":["title","year","genres","rating","actors"],
            "additionalProperties":false})"},
       R"({"title": "A long way home", "year": 1997, "genres": ["drama", "comedy"], "rating": 7.5, )"
       R"("actors": [{"name": "Ada Example", "born": "1960-02-29"}, {"name": "Bob"}]})"},
      {"length",
       {Kind::kJsonSchema, R"({"type":"object","properties":{"text":{"type":"string","maxLength":
          500}},"required":["text"],"additionalProperties":false})"},
       R"({"text": "Some sentences that a model might write, one after the other."})"},
      {"object",
       {Kind::kJsonObject, ""},
       R"({"name": "x", "values": [1, 2.5, true, null], "more": {"a": "b"}})"},
      {"yacc",
       {Kind::kYacc,
        "%start decls\n%%\nSKIP: \"/[ \\t\\n]+/\" ;\nID: \"/[a-zA-Z_][0-9a-zA-Z_]*/\" ;\n"
        "decls: decl | decls decl ;\ndecl: type names \";\" ;\ntype: \"int\" | \"const\" type |\n"
        "\"struct\" ID \"{\" decls \"}\" ;\nnames: name | names \",\" name ;\nname: ID | \"*\" "
        "name |\n"
        "ID \"[\" \"/[0-9]+/\" \"]\" ;\n"},
       "const int first, *second;\nstruct point { int x; int y[12]; } origin;\n"},
  };
  return list;
}

const text::Tokenizer& tokenizer() {
  static const std::unique_ptr<text::Tokenizer> loaded = [] {
    const char* path = std::getenv("MISTRAL_MODEL");
    if (path == nullptr) throw Error(ErrorKind::kInvalidArgument, "set MISTRAL_MODEL");
    return text::load_gguf_tokenizer(formats::GgufFile::open({path})->metadata());
  }();
  return *loaded;
}

std::shared_ptr<const ConstraintVocabulary> new_vocabulary() {
  const std::vector<TokenId> ends = {tokenizer().eos().value_or(0)};
  return std::make_shared<const ConstraintVocabulary>(tokenizer(), ends, tokenizer().vocab_size());
}

void vocabulary(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(new_vocabulary());
}

void compile(benchmark::State& state, const Example& example) {
  for (auto _ : state) {
    state.PauseTiming();
    const auto fresh = new_vocabulary();
    state.ResumeTiming();
    benchmark::DoNotOptimize(compile_constraint(example.constraint, fresh));
  }
}

void follow(const std::shared_ptr<const CompiledConstraint>& constraint,
            const std::vector<TokenId>& tokens) {
  ConstraintState state(constraint);
  TokenMask mask;
  for (const TokenId token : tokens) {
    state.allow(mask);
    if (!mask.allows(token) || !state.advance(token)) {
      throw Error(ErrorKind::kInternal, "the example's text is not allowed");
    }
  }
}

void per_token(benchmark::State& state, const Example& example) {
  const std::vector<TokenId> tokens = tokenizer().encode(example.text, {.add_special = false});
  const auto constraint = compile_constraint(example.constraint, new_vocabulary());
  for (auto _ : state) follow(constraint, tokens);
  state.counters["per_token"] = benchmark::Counter(
      static_cast<double>(tokens.size()),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void first(benchmark::State& state, const Example& example) {
  const std::vector<TokenId> tokens = tokenizer().encode(example.text, {.add_special = false});
  for (auto _ : state) {
    state.PauseTiming();
    const auto constraint = compile_constraint(example.constraint, new_vocabulary());
    state.ResumeTiming();
    follow(constraint, tokens);
  }
  state.counters["per_token"] = benchmark::Counter(
      static_cast<double>(tokens.size()),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

// What it costs to look for the end at a token: see ConstraintState::ending_tokens().
void ending(benchmark::State& state, const Example& example) {
  const std::vector<TokenId> tokens = tokenizer().encode(example.text, {.add_special = false});
  const auto constraint = compile_constraint(example.constraint, new_vocabulary());
  ConstraintState place(constraint);
  for (std::size_t i = 0; i < tokens.size() / 2; ++i) {
    if (!place.advance(tokens[i])) {
      throw Error(ErrorKind::kInternal, "the example's text is not allowed");
    }
  }
  constexpr std::size_t kMost = 512;
  for (auto _ : state) benchmark::DoNotOptimize(place.ending_tokens(kMost));
}

// What a mask adds to choosing the likeliest token.
void apply(benchmark::State& state, bool masked) {
  std::vector<float> row(tokenizer().vocab_size());
  for (std::size_t i = 0; i < row.size(); ++i) row[i] = static_cast<float>(i * 7919 % 1000) * 0.01F;
  TokenMask mask;
  mask.reset(row.size());
  for (std::size_t i = 0; i < row.size(); i += 3) mask.allow(static_cast<TokenId>(i));
  engine::Sampler sampler({}, {.seed = 1});
  engine::SamplerScratch scratch;
  const std::vector<TokenId> context = {1, 2, 3};
  for (auto _ : state) {
    benchmark::DoNotOptimize(sampler.sample(row, context, scratch, masked ? &mask : nullptr));
  }
}

const int registered = [] {
  benchmark::RegisterBenchmark("vocabulary", vocabulary)->Unit(benchmark::kMillisecond);
  for (const Example& example : examples()) {
    const std::string name = example.name;
    benchmark::RegisterBenchmark(("compile/" + name).c_str(), compile, example)
        ->Unit(benchmark::kMillisecond)
        ->Iterations(5);
    benchmark::RegisterBenchmark(("first/" + name).c_str(), first, example)
        ->Unit(benchmark::kMillisecond)
        ->Iterations(3);
    benchmark::RegisterBenchmark(("per_token/" + name).c_str(), per_token, example)
        ->Unit(benchmark::kMicrosecond);
    benchmark::RegisterBenchmark(("ending/" + name).c_str(), ending, example)
        ->Unit(benchmark::kMicrosecond);
  }
  benchmark::RegisterBenchmark("apply/without", apply, false)->Unit(benchmark::kMicrosecond);
  benchmark::RegisterBenchmark("apply/with", apply, true)->Unit(benchmark::kMicrosecond);
  return 0;
}();

}  // namespace
}  // namespace mistral::grammar
