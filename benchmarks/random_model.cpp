#include "benchmarks/random_model.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "benchmarks/random_parts.h"
#include "core/error.h"
#include "formats/gguf.h"

namespace mistral::benchmarks {
namespace {

constexpr std::size_t kAlignment = 32;  // of tensors in a GGUF file

// The header of a GGUF file, version 3, field by field.
class GgufHeader {
 public:
  void number(std::string_view key, std::int64_t value) {
    pair(key, formats::GgufType::kU32, bytes_of(static_cast<std::uint32_t>(value)));
  }
  void real(std::string_view key, float value) {
    pair(key, formats::GgufType::kF32, bytes_of(value));
  }
  void text(std::string_view key, std::string_view value) {
    pair(key, formats::GgufType::kString, string(value));
  }
  void numbers(std::string_view key, const std::vector<std::int32_t>& values) {
    std::string data = array(formats::GgufType::kI32, values.size());
    for (const std::int32_t value : values) data += bytes_of(value);
    pair(key, formats::GgufType::kArray, data);
  }
  void texts(std::string_view key, const std::vector<std::string>& values) {
    std::string data = array(formats::GgufType::kString, values.size());
    for (const std::string& value : values) data += string(value);
    pair(key, formats::GgufType::kArray, data);
  }
  // Tensors lie in the file in the order of these calls.
  void tensor(std::string_view name, std::span<const std::int64_t> fastest_first, DType type,
              std::int64_t bytes) {
    tensors_ += string(name) + bytes_of(static_cast<std::uint32_t>(fastest_first.size()));
    for (const std::int64_t dim : fastest_first) tensors_ += bytes_of(dim);
    tensors_ += bytes_of(static_cast<std::uint32_t>(info(type).ggml_id)) + bytes_of(data_size_);
    const auto size = static_cast<std::uint64_t>(bytes);
    data_size_ += (size + kAlignment - 1) / kAlignment * kAlignment;
    ++tensor_count_;
  }
  // With the padding that the first tensor wants before it.
  [[nodiscard]] std::string build() const {
    std::string all = "GGUF" + bytes_of(std::uint32_t{3}) + bytes_of(tensor_count_) +
                      bytes_of(pair_count_) + pairs_ + tensors_;
    all.resize((all.size() + kAlignment - 1) / kAlignment * kAlignment);
    return all;
  }

 private:
  template <typename T>
  static std::string bytes_of(T value) {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
  }
  static std::string string(std::string_view text) {
    return bytes_of(std::uint64_t{text.size()}) + std::string(text);
  }
  static std::string array(formats::GgufType element, std::size_t count) {
    return bytes_of(static_cast<std::uint32_t>(element)) + bytes_of(std::uint64_t{count});
  }
  void pair(std::string_view key, formats::GgufType type, std::string_view value) {
    pairs_ += string(key) + bytes_of(static_cast<std::uint32_t>(type));
    pairs_ += value;
    ++pair_count_;
  }

  std::string pairs_;
  std::string tensors_;
  std::uint64_t pair_count_ = 0;
  std::uint64_t tensor_count_ = 0;
  std::uint64_t data_size_ = 0;
};

void add_tokenizer(GgufHeader& header, std::int64_t vocab) {
  const RandomVocabulary vocabulary = random_vocabulary(vocab);
  constexpr std::int32_t kNormal = 1;
  constexpr std::int32_t kControl = 3;
  std::vector<std::int32_t> types(vocabulary.tokens.size(), kNormal);
  types.back() = kControl;
  header.text("tokenizer.ggml.model", "gpt2");
  header.text("tokenizer.ggml.pre", "gpt-2");
  header.texts("tokenizer.ggml.tokens", vocabulary.tokens);
  header.numbers("tokenizer.ggml.token_type", types);
  header.texts("tokenizer.ggml.merges", vocabulary.merges);
  header.number("tokenizer.ggml.bos_token_id", vocab - 1);
  header.number("tokenizer.ggml.eos_token_id", vocab - 1);
}

struct Tensor {
  std::string name;
  std::int64_t rows = 0;  // 0: a vector
  std::int64_t cols = 0;
  std::int64_t count = 1;  // matrices stacked in it
  bool exact = false;      // a matrix in f32 whatever the others are

  [[nodiscard]] DType stored(DType type) const { return rows == 0 || exact ? DType::kF32 : type; }
  [[nodiscard]] std::int64_t bytes(DType type) const {
    return count * std::max<std::int64_t>(1, rows) * row_bytes(stored(type), cols);
  }
};

std::vector<Tensor> tensors_of(const RandomModelShape& shape) {
  std::vector<Tensor> tensors{{"token_embd.weight", shape.vocab, shape.hidden},
                              {"output_norm.weight", 0, shape.hidden}};
  if (shape.separate_head) tensors.push_back({"output.weight", shape.vocab, shape.hidden});
  for (std::int64_t i = 0; i < shape.layers; ++i) {
    const std::string block = fmt::format("blk.{}.", i);
    const auto add = [&](const char* name, std::int64_t rows, std::int64_t cols) {
      tensors.push_back({block + name + ".weight", rows, cols});
    };
    add("attn_norm", 0, shape.hidden);
    add("attn_q", shape.heads * shape.head_dim, shape.hidden);
    add("attn_k", shape.kv_heads * shape.head_dim, shape.hidden);
    add("attn_v", shape.kv_heads * shape.head_dim, shape.hidden);
    add("attn_output", shape.hidden, shape.heads * shape.head_dim);
    add("ffn_norm", 0, shape.hidden);
    if (shape.experts == 0) {
      add("ffn_gate", shape.feed_forward, shape.hidden);
      add("ffn_up", shape.feed_forward, shape.hidden);
      add("ffn_down", shape.hidden, shape.feed_forward);
      continue;
    }
    add("ffn_gate_inp", shape.experts, shape.hidden);
    tensors.back().exact = true;
    const auto stack = [&](const char* name, std::int64_t rows, std::int64_t cols) {
      add(name, rows, cols);
      tensors.back().count = shape.experts;
    };
    stack("ffn_gate_exps", shape.feed_forward, shape.hidden);
    stack("ffn_up_exps", shape.feed_forward, shape.hidden);
    stack("ffn_down_exps", shape.hidden, shape.feed_forward);
  }
  return tensors;
}

void write_tensor(std::ofstream& out, const Tensor& tensor, RandomRows& rows) {
  if (tensor.rows == 0) {
    const std::vector<float> ones(static_cast<std::size_t>(tensor.cols), 1.0F);
    out.write(reinterpret_cast<const char*>(ones.data()),
              static_cast<std::streamsize>(ones.size() * sizeof(float)));
  } else {
    rows.write(out, tensor.rows * tensor.count, tensor.cols);
  }
}

}  // namespace

void write_random_model(const std::filesystem::path& file, const RandomModelShape& shape,
                        DType type, std::uint64_t seed) {
  check_shape(shape, type);

  GgufHeader header;
  header.text("general.architecture", "llama");
  header.text("general.name", fmt::format("random {}", name(type)));
  header.number("llama.block_count", shape.layers);
  header.number("llama.context_length", shape.context);
  header.number("llama.embedding_length", shape.hidden);
  header.number("llama.feed_forward_length", shape.feed_forward);
  header.number("llama.attention.head_count", shape.heads);
  header.number("llama.attention.head_count_kv", shape.kv_heads);
  header.number("llama.attention.key_length", shape.head_dim);
  header.number("llama.attention.value_length", shape.head_dim);
  header.real("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  header.number("llama.rope.dimension_count", shape.head_dim);
  header.real("llama.rope.freq_base", 500'000.0F);
  header.number("llama.vocab_size", shape.vocab);
  if (shape.experts > 0) {
    header.number("llama.expert_count", shape.experts);
    header.number("llama.expert_used_count", shape.experts_used);
  }
  add_tokenizer(header, shape.vocab);
  const std::vector<Tensor> tensors = tensors_of(shape);
  for (const Tensor& tensor : tensors) {
    std::vector<std::int64_t> dims = {tensor.cols};
    if (tensor.rows > 0) dims.push_back(tensor.rows);
    if (tensor.count > 1) dims.push_back(tensor.count);
    header.tensor(tensor.name, dims, tensor.stored(type), tensor.bytes(type));
  }

  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  const std::string head = header.build();
  out.write(head.data(), static_cast<std::streamsize>(head.size()));
  RandomRows rows(type, seed);
  RandomRows exact_rows(DType::kF32, seed);
  constexpr char kZeros[kAlignment] = {};
  std::int64_t written = 0;
  for (const Tensor& tensor : tensors) {
    write_tensor(out, tensor, tensor.exact ? exact_rows : rows);
    written += tensor.bytes(type);
    const auto beyond = static_cast<std::size_t>(written) % kAlignment;
    if (beyond != 0) {
      out.write(kZeros, static_cast<std::streamsize>(kAlignment - beyond));
      written += static_cast<std::int64_t>(kAlignment - beyond);
    }
  }
  out.close();
  if (!out) {
    throw make_error(ErrorKind::kResource, "'{}': cannot be written", file.string());
  }
}

}  // namespace mistral::benchmarks
