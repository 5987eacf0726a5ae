// A loaded language model and the engine that runs it: the entry point for C++ programs.
//
//   mistral::Model model = mistral::Model::load({.path = "model.gguf"});
//   mistral::Response r = model.chat({{"user", "Hello"}}, {}, [](const mistral::Chunk& c) {
//     std::cout << c.content << std::flush;
//     return true;                     // false cancels
//   });
//
// The library writes warnings and errors to standard error, and nothing to standard output.
// All members are thread safe; requests of several threads run together in one batch. Failures
// are thrown as mistral::Exception with one line that says what failed, where, and what to do.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "mistral/types.h"

namespace mistral {

class Exception : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What kind of files a model has.
enum class ModelKind {
  kAuto,   // found from the path
  kPlain,  // a Hugging Face folder or repository
  kGguf,
  kGgml,
};

struct ModelOptions {
  // A .gguf file, a folder with config.json and weights, or the id of a model on the Hugging Face
  // hub ("org/name", "org/name:Q4_K_M"), which is downloaded when the cache does not have it.
  std::string path;
  std::string dtype = "auto";        // auto | f32 | f16 | bf16: storage of unquantised weights
  std::int32_t threads = 0;          // 0: one per physical core
  std::int64_t context_length = 0;   // most tokens of one sequence; 0: what the model was made for
  std::int32_t max_sequences = 32;   // running at once; more wait
  std::int64_t kv_cache_tokens = 0;  // tokens that the KV cache must hold; 0: see kv_cache_mib
  std::int64_t kv_cache_mib = 0;     // size of the KV cache; 0: a quarter of the free memory
  std::int32_t kv_block_size = 32;   // tokens per block: 8, 16 or 32
  // auto | f32 | f16 | bf16 | q8 (8 bit, a scale per token and head). auto: f16 for a model whose
  // weights are quantised, else f32.
  std::string kv_cache_dtype = "auto";
  std::int32_t prefill_chunk = 512;  // most prompt tokens computed in one step
  // Sequences that ended whose tokens stay in the KV cache for prompts that begin alike; 0: none,
  // unset: as many as there is room for.
  std::optional<std::int64_t> prefix_cache_sequences = std::nullopt;
  bool no_kv_cache = false;  // compute the whole sequence for every token: the same answers, slowly
  // A smaller model with the same vocabulary that guesses what follows, as `path`; empty: none.
  std::string draft_model = {};
  bool ngram_drafts = false;      // without a draft model: guess from what was said before
  std::int32_t draft_tokens = 8;  // most tokens guessed at once, 1 to 64
  std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)> on_progress = nullptr;

  ModelKind kind = ModelKind::kAuto;
  // Names of the files in `path`: a GGUF file or all its shards, or one GGML file.
  std::vector<std::string> files = {};
  std::int64_t gqa = 1;           // query heads per key-value head of a GGML file, which is silent
  std::string architecture = {};  // goes before what config.json says; empty: by config.json
  // In place of the model's own; empty: as the model has it.
  std::string tokenizer_model = {};  // folder or id whose tokenizer and chat template are used
  std::string tokenizer_json = {};   // a tokenizer.json or a SentencePiece model
  std::string chat_template = {};    // a known format's name, a file, or the template itself
  // Of models on the hub.
  std::string revision = "main";       // branch, tag or commit
  std::string token_source = "cache";  // literal:TOKEN, env:NAME, path:FILE, cache or none
  // Share of all memory that is to be in use when the KV cache is full, 0 to 1; 0: not given. Goes
  // before kv_cache_tokens, and that before kv_cache_mib.
  double memory_usage = 0;
  std::int64_t max_memory_mib = 0;  // for weights, cache and buffers; 0: what the system has left
  bool truncate_prompts = false;    // cut the beginning of prompts that are too long
  bool log_throughput = false;      // tokens per second, at level info
  std::string log_level = "warn";   // trace, debug, info, warn, error or off; of the process
};

struct ModelInfo {
  std::string name;          // general.name, or the file or folder name
  std::string architecture;  // llama, qwen2, gemma3, …
  std::int64_t context_length = 0;
  std::int64_t vocab_size = 0;
  std::int64_t parameters = 0;
  bool has_chat_template = false;
  std::vector<TokenId> end_tokens;
};

// A piece of an answer: whole characters only.
struct Chunk {
  std::string_view text;  // as it was generated
  TokenId token = -1;
  const TokenLogprobs* logprobs = nullptr;  // when asked for; valid during the call
  // Of chats: what has become certain of Response::reasoning and Response::content, whose marks
  // (<think>, channels) are in neither. A mark may come in several tokens, so both can lag behind
  // `text`; over all pieces they add up to the two texts of the response.
  std::string_view reasoning = {};
  std::string_view content = {};
};
// Called in order on the thread that waits for the answer; returns false to cancel. The last piece,
// text held back in case it became a stop string or a mark, has no token (-1). What it throws
// reaches the caller and cancels the request.
using ChunkCallback = std::function<bool(const Chunk&)>;

// What a chat template is told besides the messages, as JSON.
struct ChatOptions {
  std::string tools;      // a list of tools as in the OpenAI API; empty: none
  std::string variables;  // an object, for example {"enable_thinking": false}; empty: none
};

// A chat with everything that is asked of its answers. RequestBuilder puts one together.
struct ChatRequest {
  std::vector<Message> messages;
  SamplingParams sampling = {};
  ChatOptions options = {};
  std::int32_t choices = 1;  // answers
};

struct Response {
  std::string text;  // all that was generated
  // Of chats: `text` split into what the model thought and what it answers.
  std::string reasoning;
  std::string content;
  std::vector<TokenId> tokens;
  std::vector<TokenLogprobs> logprobs;  // of each token, when asked for
  FinishReason finish_reason = FinishReason::kStop;
  std::string error;  // when finish_reason is kError
  Usage usage;
};

// Counted since the model was loaded, besides the state of now.
struct ModelStats {
  std::int64_t running = 0;
  std::int64_t waiting = 0;
  std::int64_t kv_cache_bytes = 0;
  std::int64_t kv_cache_bytes_in_use = 0;
  std::int64_t requests = 0;
  std::int64_t steps = 0;
  std::int64_t preemptions = 0;  // answers that gave way for lack of memory and went on later
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;  // of those, found in the KV cache
  std::int64_t completion_tokens = 0;
  std::int64_t drafted_tokens = 0;
  std::int64_t accepted_tokens = 0;  // guesses that were right
};

// An answer on its way. It is made whether somebody reads or not; destroying this cancels it. Used
// by one thread at a time, but for cancel(). Must not outlive its model.
class Generation {
 public:
  Generation(Generation&&) noexcept;
  Generation& operator=(Generation&&) noexcept;
  ~Generation();

  // Waits for the next piece, which is valid until the next call. Nothing: the answer is over.
  [[nodiscard]] std::optional<Chunk> next();
  // Reads what is left and returns the whole answer, once.
  [[nodiscard]] Response wait();
  // Ends the answer soon. Any thread may call it.
  void cancel();

 private:
  friend class Model;
  struct Impl;
  explicit Generation(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class Model {
 public:
  [[nodiscard]] static Model load(const ModelOptions& options);
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();  // cancels what still runs and joins the engine

  [[nodiscard]] const ModelInfo& info() const;
  // The sampling settings that the model's authors recommend (generation_config.json), if any.
  [[nodiscard]] const SamplingParams& default_sampling() const;

  // Renders the messages with the model's chat template and answers. A model without a template
  // refuses; use complete().
  Response chat(const std::vector<Message>& messages, const SamplingParams& sampling = {},
                const ChunkCallback& on_chunk = nullptr, const ChatOptions& options = {});
  // Continues a text.
  Response complete(std::string_view prompt, const SamplingParams& sampling = {},
                    const ChunkCallback& on_chunk = nullptr);
  // Continues token ids.
  Response complete(const std::vector<TokenId>& prompt, const SamplingParams& sampling = {},
                    const ChunkCallback& on_chunk = nullptr);

  // The same without waiting for the end.
  [[nodiscard]] Generation start_chat(const std::vector<Message>& messages,
                                      const SamplingParams& sampling = {},
                                      const ChatOptions& options = {});
  [[nodiscard]] Generation start(std::string_view prompt, const SamplingParams& sampling = {});
  [[nodiscard]] Generation start(const std::vector<TokenId>& prompt,
                                 const SamplingParams& sampling = {});
  // `count` answers to one prompt, which is computed once. With a seed, each answer after the first
  // has the next one.
  [[nodiscard]] std::vector<Generation> start(const std::vector<TokenId>& prompt,
                                              const SamplingParams& sampling, std::int32_t count);
  // The `count` most likely ones, by the mean logarithm of their tokens' probabilities, of
  // `best_of` answers; most likely first.
  [[nodiscard]] std::vector<Response> best(const std::vector<TokenId>& prompt,
                                           const SamplingParams& sampling, std::int32_t count,
                                           std::int32_t best_of);

  // The answers to a chat request, as many as it asks for, which share the work for the prompt.
  [[nodiscard]] std::vector<Response> send(const ChatRequest& request);
  [[nodiscard]] std::vector<Generation> start(const ChatRequest& request);

  [[nodiscard]] ModelStats stats() const;

  [[nodiscard]] std::vector<TokenId> tokenize(std::string_view text, bool add_special = true) const;
  [[nodiscard]] std::string detokenize(const std::vector<TokenId>& tokens) const;

 private:
  struct Impl;
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mistral
