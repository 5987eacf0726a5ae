#include "cli/options.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <limits>

#include "cli/command.h"
#include "cli/input.h"
#include "cli/memory_size.h"
#include "core/error.h"
#include "core/log.h"
#include "models/selector/toml_document.h"
#include "models/selector/toml_selector.h"

namespace mistral::cli {

namespace {

constexpr std::string_view kGguf = "gguf";
constexpr std::string_view kPlain = "plain";
constexpr std::string_view kGgml = "ggml";
constexpr std::string_view kToml = "toml";
constexpr std::string_view kSelectors[] = {kGguf, kPlain, kGgml, kToml};

constexpr std::int64_t kMaxTokens = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kMaxMebibytes = std::int64_t{1} << 32U;
constexpr int kMaxThreads = 1024;
constexpr int kMaxDrafts = 64;
constexpr int kMaxSequences = 4096;
constexpr double kLeastUsage = 0.001;

const std::string kModelGroup = "Model";
const std::string kRuntimeGroup = "Running";

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
  app.add_option(takes_rest_ ? rest_name : "gguf|plain|ggml|toml", words_,
                 takes_rest_ ? rest_help + "; or the word gguf, plain, ggml or toml"
                             : "the kind of model; found by itself when left out")
      ->type_name("");
  app.add_option(
         "-m,--model-id,--quantized-model-id", model_,
         "a .gguf or GGML file, the folder of the model, or its id on the hub (org/name[:QUANT])")
      ->type_name("PATH|ID")
      ->group(kModelGroup);
  app.add_option(
         "-f,--quantized-filename,--file", files_,
         "a GGUF or GGML file in the folder; shards: separated by a space, or -f again; with "
         "toml the file that says which model")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->group(kModelGroup);
  app.add_option("-a,--arch", architecture_,
                 "the model's architecture, before what config.json says (with a folder)")
      ->type_name("NAME")
      ->group(kModelGroup);
  app.add_option("-t,--tok-model-id", tokenizer_model_,
                 "a folder, or the id of a model, whose tokenizer and chat template are used; or a "
                 "tokenizer file")
      ->type_name("PATH|ID")
      ->group(kModelGroup);
  const bool short_name = app.get_option_no_throw("-g") == nullptr;
  app.add_option(short_name ? "-g,--gqa" : "--gqa", gqa_,
                 "query heads for each key-value head of a GGML file, which does not say (default: "
                 "1; 8 for llama 2 70B)")
      ->check(CLI::Range(std::int64_t{1}, kMaxTokens))
      ->type_name("N")
      ->group(kModelGroup);
  refused_.add_options(app, kModelGroup);
  access_.add_options(app);
}

void ModelSelector::add_draft_options(CLI::App& app) {
  app.add_option("--draft-model", draft_model_,
                 "a smaller model with the same vocabulary that guesses what follows: the same "
                 "answers, faster where it guesses right")
      ->type_name("PATH|ID")
      ->group(kModelGroup);
  app.add_option("--draft-tokens", draft_tokens_, "most tokens guessed at once (default: 8)")
      ->check(CLI::Range(1, kMaxDrafts))
      ->type_name("N")
      ->group(kModelGroup);
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
      throw UsageError(fmt::format("unexpected argument '{}'; models are selected by {}", word,
                                   fmt::join(kSelectors, ", ")));
    }
  }
  return rest;
}

std::string ModelSelector::id() const {
  if (!tokenizer_model_.empty()) return tokenizer_model_;
  if (!model_.empty()) return model_;
  return files_.empty() ? "model" : files_.front();
}

void ModelSelector::check(const std::string& kind) const {
  if (!files_.empty() && kind == kPlain) {
    throw UsageError(
        "-f names a GGUF or GGML file; it does not go with 'plain', and UQFF files (--from-uqff) "
        "are not supported");
  }
  if (!architecture_.empty() && (kind == kGguf || kind == kGgml || !files_.empty())) {
    throw UsageError("-a goes with a Hugging Face folder; other files say what they are");
  }
}

void ModelSelector::read_toml() {
  if (files_.size() != 1) {
    throw UsageError(fmt::format("'toml' takes one file, -f FILE; -f names {}", files_.size()));
  }
  if (!model_.empty() || !tokenizer_model_.empty() || !architecture_.empty() || gqa_) {
    throw UsageError("-m, -t, -a and --gqa do not go with 'toml': the file says this");
  }
  const std::string file = std::move(files_.front());
  const models::TomlSelector selector = models::parse_toml_selector(
      read_bytes(file, models::kMaxTomlBytes), file == "-" ? display_name(file) : file);
  if (!selector.obstacle.empty()) throw Error(ErrorKind::kUnsupported, selector.obstacle);
  const models::SelectedModel& model = selector.model;
  *std::ranges::find_if(words_, is_selector) = name(model.kind);
  model_ = model.model_id + model.quantized_model_id;  // a model has one of them
  files_.clear();
  if (!model.quantized_filename.empty()) files_.push_back(model.quantized_filename);
  tokenizer_model_ = model.tok_model_id;
  architecture_ = model.arch;
  gqa_ = model.gqa;
  tokenizer_json_ = selector.tokenizer_json;
  dtype_ = model.dtype;
  no_kv_cache_ = selector.no_kv_cache;
  if (!selector.speculative) return;
  if (!draft_model_.empty()) {
    throw UsageError("--draft-model does not go with a file that has [speculative]");
  }
  selected_draft_ = selector.speculative->draft_model;
  draft_tokens_ =
      static_cast<std::int32_t>(std::min<std::int64_t>(selector.speculative->gamma, kMaxDrafts));
}

std::optional<DraftModel> ModelSelector::draft() const {
  if (!selected_draft_) {
    if (draft_model_.empty()) return std::nullopt;
    return DraftModel{.path = locate(draft_model_), .tokens = draft_tokens_};
  }
  const models::SelectedModel& selected = *selected_draft_;
  models::ModelPath path = access_.with_access([&](const models::HubAccess& access) {
    if (selected.kind == models::SelectorKind::kPlain) {
      return models::locate_or_fetch_plain(selected.model_id, access);
    }
    const std::string& folder = selected.quantized_model_id;
    if (selected.kind == models::SelectorKind::kGgml) {
      return models::locate_or_fetch_ggml(folder, selected.quantized_filename, access);
    }
    return models::locate_or_fetch_gguf(folder, split_files({selected.quantized_filename}, folder),
                                        access);
  });
  path.architecture = selected.arch;
  path.gqa = selected.gqa.value_or(1);
  return DraftModel{.path = std::move(path), .tokens = draft_tokens_};
}

models::ModelPath ModelSelector::locate() {
  (void)rest();
  refused_.check();
  if (kind() == kToml) read_toml();
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

models::TextOptions ModelSelector::text_options() const {
  models::TextOptions options;
  options.tokenizer_json = tokenizer_json_;
  std::error_code ignored;
  if (!tokenizer_json_.empty() && !std::filesystem::exists(tokenizer_json_, ignored)) {
    throw make_error(ErrorKind::kNotFound, "tokenizer_json: '{}': no such file", tokenizer_json_);
  }
  if (tokenizer_model_.empty()) return options;
  if (std::filesystem::is_regular_file(tokenizer_model_, ignored)) {
    if (options.tokenizer_json.empty()) options.tokenizer_json = tokenizer_model_;
    return options;
  }
  options.tokenizer_folder = access_.with_access([&](const models::HubAccess& access) {
    return models::tokenizer_or_fetch(tokenizer_model_, access);
  });
  return options;
}

void StorageOptions::add_options(CLI::App& app) {
  app.add_option("-d,--dtype", dtype_,
                 "storage of weights that are not quantised; auto: as in the file")
      ->transform(CLI::IsMember({"auto", "f32", "f16", "bf16"}, CLI::ignore_case))
      ->type_name("auto|f32|f16|bf16")
      ->group(kRuntimeGroup);
  app.add_option("--kv-cache-dtype", cache_dtype_,
                 "storage of the KV cache; auto: f16 with quantised weights, else f32")
      ->transform(CLI::IsMember({"auto", "f32", "f16", "bf16", "q8"}, CLI::ignore_case))
      ->type_name("auto|f32|f16|bf16|q8")
      ->group(kRuntimeGroup);
}

void StorageOptions::set(models::LoadOptions& options) const {
  const std::string& dtype = dtype_ ? *dtype_ : preferred_dtype_;
  if (dtype == "f32") options.dtype = models::ComputeDType::kF32;
  if (dtype == "f16") options.dtype = models::ComputeDType::kF16;
  if (dtype == "bf16") options.dtype = models::ComputeDType::kBF16;
  options.kv_cache_dtype = ops::cache_dtype(cache_dtype_);  // none for auto
}

void RuntimeOptions::add_options(CLI::App& app) {
  app.add_option("--threads", threads_, "threads that compute (default: one per physical core)")
      ->check(CLI::Range(1, kMaxThreads))
      ->type_name("N")
      ->group(kRuntimeGroup);
  storage_.add_options(app);
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
  app.add_option("--pa-gpu-mem-usage", memory_usage_,
                 "sizes the KV cache so that this share of the memory (or of --max-memory) is in "
                 "use when it is full; goes before --pa-ctxt-len and --pa-gpu-mem")
      ->check(CLI::Range(kLeastUsage, 1.0))
      ->type_name("SHARE")
      ->group(kRuntimeGroup);
  app.add_option("--max-seqs", max_sequences_, "most sequences that run at once (default: 32)")
      ->check(CLI::Range(1, kMaxSequences))
      ->type_name("N")
      ->group(kRuntimeGroup);
  app.add_flag("--truncate-sequence", truncate_,
               "cut the beginning of a prompt that is too long, instead of refusing it")
      ->group(kRuntimeGroup);
  app.add_flag("--throughput", throughput_, "log how many tokens per second are computed")
      ->group(kRuntimeGroup);
  app.add_option("--max-memory", max_memory_,
                 "most memory for weights, KV cache and buffers: bytes, or 800MiB, 12GiB (default: "
                 "what the system has left)")
      ->transform(CLI::Validator(
          [](std::string& text) {
            const auto bytes = parse_memory_size(text);
            if (!bytes) {
              return fmt::format("expected an amount of memory as 800MiB or 12GiB, found '{}'",
                                 text);
            }
            text = std::to_string(*bytes);
            return std::string();
          },
          ""))
      ->type_name("SIZE")
      ->group(kRuntimeGroup);
  app.add_option("--prefix-cache-n", prefix_cache_,
                 "sequences that ended whose tokens stay in the KV cache for others that begin "
                 "alike; 0: none (default: as many as there is room for)")
      ->check(CLI::Range(std::int64_t{0}, kMaxTokens))
      ->type_name("N")
      ->group(kRuntimeGroup);
  app.add_flag("--no-kv-cache", no_kv_cache_,
               "compute the whole sequence for every token: the same answers, slowly")
      ->group(kRuntimeGroup);
  app.add_option("--ngram-drafts", ngram_drafts_,
                 "guess up to N tokens from what was said before and check them in one step: the "
                 "same answers, faster where they repeat something (default: 0)")
      ->check(CLI::Range(0, kMaxDrafts))
      ->type_name("N")
      ->group(kRuntimeGroup);
  app.add_option("--pa-blk-size", block_size_, "tokens per block of the KV cache (default: 32)")
      ->check(CLI::IsMember({8, 16, 32}))
      ->type_name("8|16|32")
      ->group(kRuntimeGroup);
}

int RuntimeOptions::threads() const {
  return threads_ > 0 ? threads_ : ThreadPool::default_size();
}

models::LoadOptions RuntimeOptions::load_options() const {
  models::LoadOptions options;
  storage_.set(options);
  options.max_memory = max_memory_;
  options.kv_block_size = block_size_;
  if (memory_usage_ > 0) {
    if (cache_tokens_ > 0) log::info("--pa-gpu-mem-usage is given: --pa-ctxt-len is not used");
    if (cache_mebibytes_ > 0) log::info("--pa-gpu-mem-usage is given: --pa-gpu-mem is not used");
    options.memory_usage = memory_usage_;
  } else if (cache_tokens_ > 0) {
    if (cache_mebibytes_ > 0) log::info("--pa-ctxt-len is given: --pa-gpu-mem is not used");
    options.kv_cache_tokens = cache_tokens_;
  } else if (cache_mebibytes_ > 0) {
    options.kv_cache_bytes = cache_mebibytes_ << 20U;
  }
  if (prompt_batchsize_) {
    options.max_batch_rows = std::max(options.max_batch_rows, *prompt_batchsize_);
  }
  if (max_sequences_) options.max_batch_rows = std::max(options.max_batch_rows, *max_sequences_);
  if (all_logits_) options.logit_rows = options.max_batch_rows;
  return options;
}

engine::EngineOptions RuntimeOptions::engine_options(std::int64_t together) const {
  engine::EngineOptions options;
  options.max_sequences = max_sequences_.value_or(static_cast<std::int32_t>(
      std::clamp<std::int64_t>(together, options.max_sequences, kMaxSequences)));
  options.truncate_prompts = truncate_;
  if (throughput_) log::show_info();
  options.log_throughput = throughput_;
  if (prompt_batchsize_) options.prefill_chunk = *prompt_batchsize_;
  if (prefix_cache_) options.prefix_cache_sequences = *prefix_cache_;
  options.keep_cache = !no_kv_cache_;
  if (ngram_drafts_ > 0) {
    options.drafter = std::make_shared<engine::NgramDrafter>();
    options.max_drafts = ngram_drafts_;
  }
  return options;
}

void add_context_option(CLI::App& app, std::int64_t& context, const std::string& help) {
  app.add_option("-c,--ctx", context, help)
      ->check(CLI::Range(std::int64_t{1}, kMaxTokens))
      ->type_name("TOKENS")
      ->group(kRuntimeGroup);
}

}  // namespace mistral::cli
