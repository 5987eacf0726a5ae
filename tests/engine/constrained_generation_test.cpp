// Real models write under 40 constraints at temperature 1: what is finished belongs to the
// language, what is cut begins a text that does, and most is finished.
//
// MISTRAL_GENERATIONS: answers for each constraint (default: 1; the full run has 5).
// MISTRAL_CONSTRAINT_OUT: a file that gets a JSON line for each answer, for other validators.
#include <cstdlib>

#include "core/json.h"
#include "engine/chat.h"
#include "engine/client.h"
#include "engine/constraints.h"
#include "golden_dir.h"

namespace mistral::engine {
namespace {

using Kind = Constraint::Kind;

struct Task {
  Constraint constraint;
  std::string prompt;
};

std::string variable(const char* name, const char* otherwise = "") {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : value;
}

std::filesystem::path cached_model(const std::string& name) {
  std::filesystem::path cache = variable("MISTRAL_CACHE_DIR");
  if (cache.empty()) {
    const std::filesystem::path base = variable("XDG_CACHE_HOME");
    cache =
        (base.empty() ? std::filesystem::path(variable("HOME")) / ".cache" : base) / "mistral.cpp";
  }
  return cache / "models" / (name + ".gguf");
}

std::string yacc_file(const std::string& name) {
  std::ifstream file(test::golden_dir() / "grammar" / "yacc" / (name + ".y"));
  return {std::istreambuf_iterator<char>(file), {}};
}

// Twelve regular expressions, sixteen schemas, six Yacc grammars, three each of the others.
std::vector<Task> tasks() {
  std::vector<Task> out;
  for (const char* regex :
       {R"((\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01]))", "(yes|no|maybe)", R"(\d+(\.\d+)?)",
        R"([A-Za-z_][A-Za-z0-9_]{0,30})", R"("([^"\\]|\\.){0,60}")", R"((\d{1,3}\.){3}\d{1,3})",
        R"(v\d+\.\d+\.\d+(-(alpha|beta)(\.\d+)?)?)", R"((- [^\n]{1,60}\n){2,4})",
        R"(#[0-9a-fA-F]{6})", R"(([A-Z][a-z]+ ){1,3}[A-Z][a-z]+)",
        R"(thought: [^\n]{1,80}\nanswer: (A|B|C|D))", R"([01]{8}( [01]{8}){0,3})"}) {
    out.push_back({{Kind::kRegex, regex}, "Write something that fits."});
  }
  for (
      const char* schema :
      {R"({"type":"object","properties":{"name":{"type":"string","maxLength":40},"age":{"type":"integer","minimum":0,"maximum":150}},"required":["name","age"],"additionalProperties":false})",
       R"({"type":"array","items":{"type":"integer","minimum":-99,"maximum":99},"minItems":1,"maxItems":8})",
       R"({"enum":["red","green","blue",null,7]})",
       R"({"type":"object","properties":{"sentiment":{"enum":["positive","neutral","negative"]},"score":{"type":"number","minimum":-1,"maximum":1}},"required":["sentiment","score"],"additionalProperties":false})",
       R"({"type":"string","format":"date"})", R"({"type":"string","format":"uuid"})",
       R"({"type":"string","pattern":"^[A-Z]{2}\\d{3}$"})",
       R"({"type":"integer","multipleOf":3,"minimum":0,"maximum":3000})",
       R"({"type":"object","properties":{"email":{"type":"string","format":"email","maxLength":40},"born":{"type":"string","format":"date"}},"required":["email"],"additionalProperties":false})",
       R"({"$ref":"#/$defs/t","$defs":{"t":{"type":"object","properties":{"v":{"type":"integer","minimum":0,"maximum":99},"next":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/t"}]}},"required":["v","next"],"additionalProperties":false}}})",
       R"({"type":"array","items":{"enum":["a","b","c","d"]},"uniqueItems":true})",
       R"({"anyOf":[{"type":"boolean"},{"type":"null"},{"type":"string","maxLength":12}]})",
       R"({"oneOf":[{"type":"integer","multipleOf":3,"minimum":0,"maximum":99},{"type":"integer","multipleOf":5,"minimum":0,"maximum":99}]})",
       R"({"type":"object","properties":{"tool":{"const":"get_weather"},"args":{"type":"object","properties":{"city":{"type":"string","maxLength":30},"unit":{"enum":["c","f"]}},"required":["city"],"additionalProperties":false}},"required":["tool","args"],"additionalProperties":false})",
       R"({"type":"array","prefixItems":[{"type":"string","maxLength":20},{"type":"integer","minimum":0,"maximum":1000}],"items":false,"minItems":2})",
       R"({"type":"object","minProperties":1,"maxProperties":2,"additionalProperties":{"type":"boolean"},"propertyNames":{"maxLength":10}})"}) {
    out.push_back({{Kind::kJsonSchema, schema}, "Write an example as JSON."});
  }
  for (const char* name : {"answer", "arith", "bool", "dyck", "roman", "types"}) {
    out.push_back({{Kind::kYacc, yacc_file(name)}, "Write a short example."});
  }
  for (const char* grammar :
       {"root ::= item (\", \" item){0,4}\nitem ::= [a-z]{2,10}",
        "root ::= \"(\" root \")\" | [0-9]{1,3}", "root ::= (\"A\" | \"B\")+ \"!\""}) {
    out.push_back({{Kind::kGbnf, grammar}, "Write a short example."});
  }
  for (const char* grammar :
       {"start: NAME \"=\" INT\nNAME: /[a-z]{1,8}/\nINT: /[0-9]{1,4}/\n%ignore \" \"",
        "start: pair (\",\" pair) ~ 0..3\npair: /[a-z]{1,8}/ \":\" (\"yes\" | \"no\")",
        "start: \"select \" col (\", \" col)* \" from t;\"\ncol: \"a\" | \"b\" | \"c\""}) {
    out.push_back({{Kind::kLark, grammar}, "Write a short example."});
  }
  return out;
}

class ConstrainedGeneration : public testing::TestWithParam<std::string> {};

TEST_P(ConstrainedGeneration, StaysInTheLanguage) {
  const std::filesystem::path file = cached_model(GetParam());
  if (!std::filesystem::exists(file)) {
    ASSERT_EQ(std::getenv("CI"), nullptr)
        << file << " is missing; run scripts/fetch-model " << GetParam();
    GTEST_SKIP() << file << " is not there; scripts/fetch-model fetches it";
  }
  const int count = std::stoi(variable("MISTRAL_GENERATIONS", "1"));
  constexpr std::int64_t kMostTokens = 512;
  ThreadPool pool(ThreadPool::default_size());
  models::LoadOptions options;
  options.context_length = 1024;
  options.logit_rows = 16;
  models::LoadedModel model = models::load(models::locate(file), options, pool);
  ModelConstraints constraints(model);
  Engine engine(*model.model, model.tokenizer.get(), model.end_tokens, {.max_sequences = 16});
  std::ofstream report;
  const std::string report_path = variable("MISTRAL_CONSTRAINT_OUT");
  if (!report_path.empty()) report.open(report_path, std::ios::app);

  struct Running {
    const Task* task;
    std::shared_ptr<const grammar::CompiledConstraint> constraint;
    RequestHandle handle;
  };
  const std::vector<Task> all = tasks();
  ASSERT_EQ(all.size(), 40U);
  std::vector<Running> running;
  for (const Task& task : all) {
    const auto constraint = constraints.compile(task.constraint);
    const Json messages = Json::array({{{"role", "user"}, {"content", task.prompt}}});
    for (int i = 0; i < count; ++i) {
      Request request;
      request.prompt = prepare_chat(model, messages).ids;
      request.sampling.temperature = 1.0;
      request.sampling.seed = static_cast<std::uint64_t>(i + 1);
      request.sampling.max_tokens = kMostTokens;
      request.constraint = constraint;
      running.push_back({&task, constraint, engine.submit(std::move(request))});
    }
  }
  std::size_t finished = 0;
  for (Running& one : running) {
    const Outcome outcome = drain(one.handle);
    SCOPED_TRACE(one.task->constraint.text);
    const auto machine = one.constraint->start();
    bool viable = true;
    for (const char c : outcome.text) {
      viable = viable && machine->push(static_cast<std::uint8_t>(c));
    }
    EXPECT_TRUE(viable) << outcome.text;
    EXPECT_NE(outcome.end.reason, FinishReason::kError) << outcome.end.error;
    const bool stopped = outcome.end.reason == FinishReason::kStop;
    EXPECT_TRUE(!stopped || machine->accepts()) << outcome.text;
    finished += stopped ? 1 : 0;
    if (report.is_open()) {
      const Json line = {{"model", GetParam()},
                         {"kind", static_cast<int>(one.task->constraint.kind)},
                         {"constraint", one.task->constraint.text},
                         {"text", outcome.text},
                         {"finished", stopped}};
      report << line.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
    }
  }
  EXPECT_GE(finished * 10, running.size() * 9) << finished << " of " << running.size();
}

INSTANTIATE_TEST_SUITE_P(Models, ConstrainedGeneration,
                         testing::Values("smollm2-135m", "qwen2.5-coder-0.5b"),
                         [](const auto& model_info) {
                           std::string name = model_info.param;
                           std::replace_if(
                               name.begin(), name.end(),
                               [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
                           return name;
                         });

}  // namespace
}  // namespace mistral::engine
