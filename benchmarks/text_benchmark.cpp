// Tokenizers and chat templates: encoding of long texts, of hostile ones, loading, rendering.
//
// The tokenizers are the folders of golden/tokenizer (MISTRAL_GOLDEN_DIR) that hold a
// tokenizer.json, and the GGUF vocabularies there. MISTRAL_BENCHMARK_TEXTS names a folder with
// english.txt and code.txt; without it a text is made of the reference data. Compare with
// tokenizers_speed.py, which runs the Hugging Face library over the same files.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "core/json.h"
#include "core/log.h"
#include "text/chat_template/chat_template.h"
#include "text/tokenizer/hf_tokenizer.h"
#include "text/tokenizer/tokenizer.h"

namespace mistral {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kTextBytes = 1'000'000;

fs::path golden() {
  const char* folder = std::getenv("MISTRAL_GOLDEN_DIR");
  return folder == nullptr ? fs::path("tests/golden") : fs::path(folder);
}

std::string read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::string repeated(const std::string& text, std::size_t bytes) {
  std::string result;
  result.reserve(bytes + text.size());
  while (result.size() < bytes) result += text;
  return result;
}

std::string long_text(const std::string& name) {
  if (const char* folder = std::getenv("MISTRAL_BENCHMARK_TEXTS")) {
    return read(fs::path(folder) / (name + ".txt"));
  }
  std::string text = name == "english" ? read(golden() / "real/perplexity.txt") : "";
  for (const auto& entry : fs::directory_iterator(golden() / "chat_template/templates")) {
    if (name == "code" || text.empty()) text += read(entry.path());
  }
  return repeated(text, kTextBytes);
}

std::unique_ptr<text::Tokenizer> load(const fs::path& path) {
  if (path.extension() != ".gguf") return text::HfTokenizer::parse(read(path));
  return text::load_gguf_tokenizer(formats::GgufFile::open({path})->metadata());
}

void encode(benchmark::State& state, const fs::path& path, const std::string& input) {
  const auto tokenizer = load(path);
  std::size_t tokens = 0;
  for (auto _ : state) tokens = tokenizer->encode(input).size();
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(input.size()));
  state.counters["tokens"] = static_cast<double>(tokens);
}

void decode(benchmark::State& state, const fs::path& path, const std::string& input) {
  const auto tokenizer = load(path);
  const std::vector<TokenId> ids = tokenizer->encode(input);
  for (auto _ : state) {
    text::Detokenizer detokenizer(*tokenizer, true);
    std::size_t bytes = 0;
    for (const TokenId id : ids) bytes += detokenizer.push(id).size();
    benchmark::DoNotOptimize(bytes);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(ids.size()));
}

void load_vocabulary(benchmark::State& state, const fs::path& path) {
  for (auto _ : state) benchmark::DoNotOptimize(load(path)->vocab_size());
}

Json ten_turns() {
  Json messages = Json::array();
  for (int turn = 0; turn < 10; ++turn) {
    messages.push_back({{"role", turn % 2 == 0 ? "user" : "assistant"},
                        {"content", "What is the capital of France, and why?"}});
  }
  return {{"messages", std::move(messages)},
          {"add_generation_prompt", true},
          {"tools", nullptr},
          {"documents", nullptr},
          {"bos_token", "<s>"},
          {"eos_token", "</s>"}};
}

void render(benchmark::State& state, const fs::path& path) {
  const auto compiled = text::ChatTemplate::compile(read(path));
  const Json context = ten_turns();
  try {
    for (auto _ : state) benchmark::DoNotOptimize(compiled.render(context).size());
  } catch (const text::TemplateError& error) {
    state.SkipWithError(error.what());
  }
}

std::vector<fs::path> sorted(const fs::path& folder) {
  std::vector<fs::path> paths;
  if (!fs::is_directory(folder)) return paths;
  for (const auto& entry : fs::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

void add_tokenizer(const std::string& name, const fs::path& path) {
  const auto add = [&](const std::string& what, auto&& run) {
    benchmark::RegisterBenchmark((what + "/" + name).c_str(), run)->Unit(benchmark::kMillisecond);
  };
  for (const char* input : {"english", "code"}) {
    add(std::string("encode_") + input,
        [path, input](benchmark::State& state) { encode(state, path, long_text(input)); });
  }
  const std::vector<std::pair<std::string, std::string>> hostile{
      {"letter", "a"},       {"spaces", " "},
      {"marks", "\xCC\x81"}, {"emoji", "\xF0\x9F\x98\x80"},
      {"lines", "\n"},       {"cjk", "\xE4\xBD\xA0"},
      {"digits", "7"},       {"families", "\xF0\x9F\x91\xA9\xE2\x80\x8D"}};
  for (const auto& [what, unit] : hostile) {
    add("encode_1mb_of_" + what, [path, unit = unit](benchmark::State& state) {
      encode(state, path, repeated(unit, kTextBytes));
    });
  }
  add("detokenize", [path](benchmark::State& state) { decode(state, path, long_text("english")); });
  add("load", [path](benchmark::State& state) { load_vocabulary(state, path); });
}

void add_all() {
  log::set_level("error");
  for (const fs::path& folder : sorted(golden() / "tokenizer")) {
    if (fs::exists(folder / "tokenizer.json")) {
      add_tokenizer(folder.filename().string(), folder / "tokenizer.json");
    }
  }
  for (const fs::path& file : sorted(golden() / "tokenizer/gguf")) {
    if (file.extension() == ".gguf") add_tokenizer(file.stem().string(), file);
  }
  for (const fs::path& file : sorted(golden() / "chat_template/templates")) {
    benchmark::RegisterBenchmark(("render/" + file.stem().string()).c_str(),
                                 [file](benchmark::State& state) { render(state, file); })
        ->Unit(benchmark::kMicrosecond);
  }
}

const bool kAdded = (add_all(), true);

}  // namespace
}  // namespace mistral
