#include "cli/options.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <limits>

#include "cli/command.h"
#include "core/error.h"
#include "core/log.h"

namespace mistral::cli {

namespace {

constexpr std::string_view kGguf = "gguf";
constexpr std::string_view kPlain = "plain";
constexpr std::string_view kGgml = "ggml";
constexpr std::string_view kSelectors[] = {kGguf, kPlain, kGgml};

constexpr std::int64_t kMaxTokens = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kMaxMebibytes = std::int64_t{1} << 32U;
constexpr int kMaxThreads = 1024;

// What a chat model is sampled with when its authors recommend nothing.
constexpr double kTemperature = 0.1;
constexpr std::int32_t kTopK = 32;
constexpr double kTopP = 0.1;
constexpr double kMinP = 0.05;
constexpr double kRepeatPenalty = 0.1;  // frequency and presence: keeps small models from looping

const std::string kModelGroup = "Model";
const std::string kRuntimeGroup = "Running";
const std::string kSamplingGroup =
    "Sampling (default: what the model recommends, else temperature "
    "0.1, top-k 32, top-p 0.1, min-p 0.05, frequency and presence penalty 0.1)";

// "a.gguf b.gguf" is two files, unless a file of that name exists.
std::vector<std::string> split_files(const std::vector<std::string>& arguments,
                                     const std::filesystem::path& folder) {
  std::vector<std::string> files;
  for (const std::string& argument : arguments) {
    std::error_code ignored;
    if (std::filesystem::exists(folder / argument, ignored)) {
      files.push_back(argument);
      continue;
    }
    std::size_t begin = 0;
    while (begin <= argument.size()) {
      const std::size_t end = std::min(argument.find(' ', begin), argument.size());
      if (end > begin) files.push_back(argument.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  return files;
}

bool is_selector(const std::string& word) {
  return std::ranges::find(kSelectors, word) != std::end(kSelectors);
}

}  // namespace

void ModelSelector::add_options(CLI::App& app, const std::string& rest_name,
                                const std::string& rest_help) {
  takes_rest_ = !rest_name.empty();
  app.add_option(takes_rest_ ? rest_name : "gguf|plain|ggml", words_,
                 takes_rest_ ? rest_help + "; or the word gguf, plain or ggml"
                             : "the kind of model; found by itself when left out")
      ->type_name("");
  app.add_option(
         "-m,--model-id,--quantized-model-id", model_,
         "a .gguf or GGML file, the folder of the model, or its id on the hub (org/name[:QUANT])")
      ->type_name("PATH|ID")
      ->group(kModelGroup);
  app.add_option("-f,--quantized-filename", files_,
                 "a GGUF or GGML file in the folder; shards: separated by a space, or -f again")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->group(kModelGroup);
  app.add_option("-a,--arch", architecture_,
                 "the model's architecture, before what config.json says (with a folder)")
      ->type_name("NAME")
      ->group(kModelGroup);
  app.add_option("-t,--tok-model-id", tokenizer_model_,
                 "a folder, or the id of a model, whose tokenizer and chat template are used")
      ->type_name("PATH|ID")
      ->group(kModelGroup);
  const bool short_name = app.get_option_no_throw("-g") == nullptr;
  app.add_option(short_name ? "-g,--gqa" : "--gqa", gqa_,
                 "query heads for each key-value head of a GGML file, which does not say (default: "
                 "1; 8 for llama 2 70B)")
      ->check(CLI::Range(std::int64_t{1}, kMaxTokens))
      ->type_name("N")
      ->group(kModelGroup);
  access_.add_options(app);
}

std::string ModelSelector::kind() const {
  for (const std::string& word : words_) {
    if (is_selector(word)) return word;
  }
  return "";
}

std::vector<std::string> ModelSelector::rest() const {
  std::vector<std::string> rest;
  bool seen = false;
  for (const std::string& word : words_) {
    if (!seen && is_selector(word)) {
      seen = true;
    } else if (takes_rest_) {
      rest.push_back(word);
    } else {
      throw UsageError(fmt::format("unexpected argument '{}'", word));
    }
  }
  return rest;
}

void ModelSelector::check(const std::string& kind) const {
  if (!files_.empty() && kind == kPlain) {
    throw UsageError("-f names a model file; it does not go with 'plain'");
  }
  if (!architecture_.empty() && (kind == kGguf || kind == kGgml || !files_.empty())) {
    throw UsageError("-a goes with a Hugging Face folder; other files say what they are");
  }
}

models::ModelPath ModelSelector::locate() const {
  (void)rest();
  const std::string kind = this->kind();
  if (!given()) throw UsageError("which model? -m is required");
  check(kind);
  models::ModelPath path = access_.with_access([&](const models::HubAccess& access) {
    if (!files_.empty()) {
      const std::string folder = model_.empty() ? "." : model_;
      const std::vector<std::string> files = split_files(files_, folder);
      if (kind != kGgml) return models::locate_or_fetch_gguf(folder, files, access);
      if (files.size() != 1) {
        throw UsageError(fmt::format("'ggml' takes one file; -f names {}", files.size()));
      }
      return models::locate_or_fetch_ggml(folder, files.front(), access);
    }
    if (kind == kPlain || !architecture_.empty()) {
      return models::locate_or_fetch_plain(model_, access);
    }
    return kind == kGguf ? models::locate_or_fetch_any_gguf(model_, access)
                         : models::locate_or_fetch(model_, access);
  });
  if (kind == kGguf && path.kind != models::ModelPath::Kind::kGguf) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "'{}' is not a GGUF model; name the GGUF file in a folder with -f", model_);
  }
  if (kind == kGgml && path.kind != models::ModelPath::Kind::kGgml) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "'{}' is not a GGML file; name the GGML file in a folder with -f", model_);
  }
  if (gqa_ && path.kind != models::ModelPath::Kind::kGgml) {
    throw UsageError("--gqa is for GGML files only: other models say it themselves");
  }
  path.architecture = architecture_;
  path.gqa = gqa_.value_or(1);
  return path;
}

models::ModelPath ModelSelector::locate(const std::string& model) const {
  return access_.with_access(
      [&](const models::HubAccess& access) { return models::locate_or_fetch(model, access); });
}

std::string ModelSelector::tokenizer_folder() const {
  if (tokenizer_model_.empty()) return "";
  return access_
      .with_access([&](const models::HubAccess& access) {
        return models::tokenizer_or_fetch(tokenizer_model_, access);
      })
      .string();
}

void RuntimeOptions::add_options(CLI::App& app) {
  app.add_option("--threads", threads_, "threads that compute (default: one per physical core)")
      ->check(CLI::Range(1, kMaxThreads))
      ->type_name("N")
      ->group(kRuntimeGroup);
  app.add_option("-d,--dtype", dtype_,
                 "storage of weights that are not quantised; auto: as in the file")
      ->transform(CLI::IsMember({"auto", "f32", "f16", "bf16"}, CLI::ignore_case))
      ->type_name("auto|f32|f16|bf16")
      ->group(kRuntimeGroup);
  app.add_option("--prompt-batchsize", prompt_batchsize_,
                 "most prompt tokens computed in one step (default: 512)")
      ->check(CLI::Range(std::int64_t{1}, kMaxTokens))
      ->type_name("N")
      ->group(kRuntimeGroup);
  app.add_option("--pa-ctxt-len", cache_tokens_,
                 "tokens that the KV cache must hold (default: a quarter of the free memory)")
      ->check(CLI::Range(std::int64_t{1}, kMaxTokens))
      ->type_name("TOKENS")
      ->group(kRuntimeGroup);
  app.add_option("--pa-gpu-mem", cache_mebibytes_,
                 "size of the KV cache; --pa-ctxt-len goes before it")
      ->check(CLI::Range(std::int64_t{1}, kMaxMebibytes))
      ->type_name("MB")
      ->group(kRuntimeGroup);
  app.add_option("--pa-blk-size", block_size_, "tokens per block of the KV cache (default: 32)")
      ->check(CLI::IsMember({8, 16, 32}))
      ->type_name("8|16|32")
      ->group(kRuntimeGroup);
  app.add_option("--kv-cache-dtype", cache_dtype_,
                 "storage of the KV cache; auto: f16 with quantised weights, else f32")
      ->transform(CLI::IsMember({"auto", "f32", "f16", "bf16", "q8"}, CLI::ignore_case))
      ->type_name("auto|f32|f16|bf16|q8")
      ->group(kRuntimeGroup);
}

int RuntimeOptions::threads() const {
  return threads_ > 0 ? threads_ : ThreadPool::default_size();
}

models::LoadOptions RuntimeOptions::load_options() const {
  models::LoadOptions options;
  if (dtype_ == "f32") options.dtype = models::ComputeDType::kF32;
  if (dtype_ == "f16") options.dtype = models::ComputeDType::kF16;
  if (dtype_ == "bf16") options.dtype = models::ComputeDType::kBF16;
  options.kv_block_size = block_size_;
  options.kv_cache_dtype = ops::cache_dtype(cache_dtype_);  // none for auto
  if (cache_tokens_ > 0) {
    if (cache_mebibytes_ > 0) log::info("--pa-ctxt-len is given: --pa-gpu-mem is not used");
    options.kv_cache_tokens = cache_tokens_;
  } else if (cache_mebibytes_ > 0) {
    options.kv_cache_bytes = cache_mebibytes_ << 20U;
  }
  if (prompt_batchsize_) {
    options.max_batch_rows = std::max(options.max_batch_rows, *prompt_batchsize_);
  }
  return options;
}

engine::EngineOptions RuntimeOptions::engine_options() const {
  engine::EngineOptions options;
  if (prompt_batchsize_) options.prefill_chunk = *prompt_batchsize_;
  return options;
}

void add_context_option(CLI::App& app, std::int64_t& context, const std::string& help) {
  app.add_option("-c,--ctx", context, help)
      ->check(CLI::Range(std::int64_t{1}, kMaxTokens))
      ->type_name("TOKENS")
      ->group(kRuntimeGroup);
}

void SamplingOptions::add_options(CLI::App& app) {
  const auto add = [&app](const char* name, auto& value, const char* help, const char* type) {
    return app.add_option(name, value, help)->type_name(type)->group(kSamplingGroup);
  };
  add("--temperature", given_.temperature, "randomness; 0: always the likeliest token", "X");
  add("--top-k", given_.top_k, "keep the K likeliest tokens; 0: off", "K");
  add("--top-p", given_.top_p, "keep the likeliest tokens that together reach P; 1: off", "P");
  add("--min-p", given_.min_p, "drop tokens below P times the likeliest; 0: off", "P");
  add("--seed", given_.seed, "makes answers repeatable", "N");
  add("--max-tokens", given_.max_tokens, "longest answer (default: until the context is full)", "N")
      ->check(CLI::Range(std::int64_t{1}, kMaxTokens));
  add("--stop", given_.stop, "text that ends the answer; may be given again", "TEXT")
      ->allow_extra_args(false);
  app.add_flag("--greedy", greedy_, "as --temperature 0")->group(kSamplingGroup);
}

SamplingParams SamplingOptions::resolve(const SamplingParams& model_defaults) const {
  SamplingParams params = model_defaults;
  const bool model_recommends = params.temperature || params.top_k || params.top_p || params.min_p;
  if (!model_recommends) {
    params.temperature = kTemperature;
    params.top_k = kTopK;
    params.top_p = kTopP;
    params.min_p = kMinP;
    params.frequency_penalty = kRepeatPenalty;
    params.presence_penalty = kRepeatPenalty;
  } else if (!params.temperature) {
    params.temperature = 1.0;  // what generation_config.json means when it does not say
  }
  if (given_.temperature) params.temperature = given_.temperature;
  if (given_.top_k) params.top_k = given_.top_k;
  if (given_.top_p) params.top_p = given_.top_p;
  if (given_.min_p) params.min_p = given_.min_p;
  if (given_.seed) params.seed = given_.seed;
  if (given_.max_tokens) params.max_tokens = given_.max_tokens;
  if (!given_.stop.empty()) params.stop = given_.stop;
  if (greedy_) params.temperature = 0.0;
  if (params.temperature == 0.0 && !model_recommends) {
    // Who asks for the likeliest token wants exactly that.
    params.frequency_penalty.reset();
    params.presence_penalty.reset();
  }
  return params;
}

}  // namespace mistral::cli
