// Random models in the form of Hugging Face folders.
#include <algorithm>
#include <cstddef>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "benchmarks/random_parts.h"
#include "core/error.h"
#include "core/json.h"
#include "quant/quantize.h"

namespace mistral::benchmarks {
namespace {

namespace fs = std::filesystem;

struct Tensor {
  std::string name;
  std::int64_t rows = 0;  // 0: a vector
  std::int64_t cols = 0;

  [[nodiscard]] std::int64_t bytes(DType type) const {
    return std::max<std::int64_t>(1, rows) * row_bytes(type, cols);
  }
};

std::vector<Tensor> tensors_of(const RandomModelShape& shape) {
  std::vector<Tensor> tensors{{"model.embed_tokens.weight", shape.vocab, shape.hidden}};
  for (std::int64_t i = 0; i < shape.layers; ++i) {
    const auto add = [&](const char* name, std::int64_t rows, std::int64_t cols) {
      tensors.push_back({fmt::format("model.layers.{}.{}.weight", i, name), rows, cols});
    };
    add("input_layernorm", 0, shape.hidden);
    add("self_attn.q_proj", shape.heads * shape.head_dim, shape.hidden);
    add("self_attn.k_proj", shape.kv_heads * shape.head_dim, shape.hidden);
    add("self_attn.v_proj", shape.kv_heads * shape.head_dim, shape.hidden);
    add("self_attn.o_proj", shape.hidden, shape.heads * shape.head_dim);
    add("post_attention_layernorm", 0, shape.hidden);
    add("mlp.gate_proj", shape.feed_forward, shape.hidden);
    add("mlp.up_proj", shape.feed_forward, shape.hidden);
    add("mlp.down_proj", shape.hidden, shape.feed_forward);
  }
  tensors.push_back({"model.norm.weight", 0, shape.hidden});
  if (shape.separate_head) tensors.push_back({"lm_head.weight", shape.vocab, shape.hidden});
  return tensors;
}

// Filled in the order of the tensors; within a shard they are sorted by their names, as the usual
// writer of such files does it.
std::vector<std::vector<Tensor>> shards_of(const std::vector<Tensor>& tensors, DType type,
                                           std::int64_t shard_bytes) {
  std::vector<std::vector<Tensor>> shards(1);
  std::int64_t used = 0;
  for (const Tensor& tensor : tensors) {
    if (used > 0 && used + tensor.bytes(type) > shard_bytes) {
      shards.emplace_back();
      used = 0;
    }
    shards.back().push_back(tensor);
    used += tensor.bytes(type);
  }
  for (std::vector<Tensor>& shard : shards) {
    std::sort(shard.begin(), shard.end(),
              [](const Tensor& a, const Tensor& b) { return a.name < b.name; });
  }
  return shards;
}

void check_written(std::ofstream& out, const fs::path& file) {
  out.close();
  if (!out) throw make_error(ErrorKind::kResource, "'{}': cannot be written", file.string());
}

void write_json(const fs::path& file, const Json& json) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << json.dump(1) << '\n';
  check_written(out, file);
}

void write_config(const fs::path& folder, const RandomModelShape& shape, DType type) {
  const char* dtype = type == DType::kF32   ? "float32"
                      : type == DType::kF16 ? "float16"
                                            : "bfloat16";
  write_json(folder / "config.json", {{"architectures", {"LlamaForCausalLM"}},
                                      {"model_type", "llama"},
                                      {"hidden_act", "silu"},
                                      {"hidden_size", shape.hidden},
                                      {"intermediate_size", shape.feed_forward},
                                      {"num_hidden_layers", shape.layers},
                                      {"num_attention_heads", shape.heads},
                                      {"num_key_value_heads", shape.kv_heads},
                                      {"head_dim", shape.head_dim},
                                      {"max_position_embeddings", shape.context},
                                      {"rms_norm_eps", 1e-5},
                                      {"rope_theta", 500'000.0},
                                      {"vocab_size", shape.vocab},
                                      {"bos_token_id", shape.vocab - 1},
                                      {"eos_token_id", shape.vocab - 1},
                                      {"tie_word_embeddings", !shape.separate_head},
                                      {"torch_dtype", dtype}});
}

void write_tokenizer(const fs::path& folder, std::int64_t vocab) {
  const RandomVocabulary vocabulary = random_vocabulary(vocab);
  // Not Json: its objects search linearly.
  std::map<std::string, std::int64_t> ids;
  for (const std::string& token : vocabulary.tokens) {
    ids.emplace(token, static_cast<std::int64_t>(ids.size()));
  }
  const std::string& end = vocabulary.tokens.back();
  const nlohmann::json byte_level = {{"type", "ByteLevel"},
                                     {"add_prefix_space", false},
                                     {"trim_offsets", true},
                                     {"use_regex", true}};
  const nlohmann::json tokenizer = {{"version", "1.0"},
                                    {"added_tokens",
                                     {{{"id", vocab - 1},
                                       {"content", end},
                                       {"single_word", false},
                                       {"lstrip", false},
                                       {"rstrip", false},
                                       {"normalized", false},
                                       {"special", true}}}},
                                    {"normalizer", nullptr},
                                    {"pre_tokenizer", byte_level},
                                    {"post_processor", nullptr},
                                    {"decoder", byte_level},
                                    {"model",
                                     {{"type", "BPE"},
                                      {"dropout", nullptr},
                                      {"unk_token", nullptr},
                                      {"continuing_subword_prefix", nullptr},
                                      {"end_of_word_suffix", nullptr},
                                      {"fuse_unk", false},
                                      {"byte_fallback", false},
                                      {"vocab", ids},
                                      {"merges", vocabulary.merges}}}};
  const fs::path file = folder / "tokenizer.json";
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << tokenizer.dump();
  check_written(out, file);
  write_json(folder / "tokenizer_config.json", {{"bos_token", end}, {"eos_token", end}});
}

void write_shard(const fs::path& file, const std::vector<Tensor>& tensors, DType type,
                 RandomRows& rows) {
  Json header = {{"__metadata__", {{"format", "pt"}}}};
  std::int64_t offset = 0;
  for (const Tensor& tensor : tensors) {
    std::vector<std::int64_t> dims;
    if (tensor.rows > 0) dims.push_back(tensor.rows);
    dims.push_back(tensor.cols);
    const std::int64_t end = offset + tensor.bytes(type);
    header[tensor.name] = {{"dtype", name(type)}, {"shape", dims}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const auto length = static_cast<std::uint64_t>(text.size());
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(&length), sizeof length);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  for (const Tensor& tensor : tensors) {
    if (tensor.rows > 0) {
      rows.write(out, tensor.rows, tensor.cols);
      continue;
    }
    const std::vector<float> ones(static_cast<std::size_t>(tensor.cols), 1.0F);
    std::vector<std::byte> encoded(static_cast<std::size_t>(tensor.bytes(type)));
    quant::quantize_row(type, ones.data(), encoded.data(), tensor.cols);
    out.write(reinterpret_cast<const char*>(encoded.data()),
              static_cast<std::streamsize>(encoded.size()));
  }
  check_written(out, file);
}

}  // namespace

void write_random_folder(const fs::path& folder, const RandomModelShape& shape, DType type,
                         std::uint64_t seed, std::int64_t shard_bytes) {
  if (type != DType::kF32 && type != DType::kF16 && type != DType::kBF16) {
    throw make_error(ErrorKind::kUnsupported,
                     "random model: safetensors of type {}; expected F32, F16 or BF16", name(type));
  }
  check_shape(shape, type);
  if (shape.experts != 0) {
    throw Error(ErrorKind::kInvalidArgument, "random model: experts are written as GGUF only");
  }
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure) {
    throw make_error(ErrorKind::kResource, "'{}': cannot be made: {}", folder.string(),
                     failure.message());
  }
  write_config(folder, shape, type);
  write_tokenizer(folder, shape.vocab);
  const auto shards = shards_of(tensors_of(shape), type, shard_bytes);
  RandomRows rows(type, seed);
  std::map<std::string, std::string> weight_map;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string file = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    write_shard(folder / file, shards[i], type, rows);
    for (const Tensor& tensor : shards[i]) {
      weight_map[tensor.name] = file;
      total += tensor.bytes(type);
    }
  }
  write_json(folder / "model.safetensors.index.json",
             {{"metadata", {{"total_size", total}}}, {"weight_map", weight_map}});
}

}  // namespace mistral::benchmarks
