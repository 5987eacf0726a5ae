#include "benchmarks/random_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "formats/gguf.h"
#include "quant/quantize.h"

namespace mistral::benchmarks {

namespace {

constexpr std::size_t kAlignment = 32;  // of tensors in a GGUF file
constexpr float kDeviation = 0.02F;
constexpr std::int64_t kByteTokens = 256;
constexpr std::int64_t kMostTokens = kByteTokens + kByteTokens * kByteTokens + 1;

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

std::string utf8(int code) {  // below U+0800
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

// How a byte-level BPE writes each byte: printable ones of Latin-1 as they are, the others as the
// characters from U+0100 on.
std::vector<std::string> byte_characters() {
  std::vector<std::string> characters;
  int next = 0x100;
  for (int byte = 0; byte < kByteTokens; ++byte) {
    const bool printable =
        (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    characters.push_back(utf8(printable ? byte : next++));
  }
  return characters;
}

// All bytes, then pairs of them that merge, then the end token.
void add_tokenizer(GgufHeader& header, std::int64_t vocab) {
  const std::vector<std::string> bytes = byte_characters();
  std::vector<std::string> tokens = bytes;
  std::vector<std::string> merges;
  // Pairs of letters first; they occur in texts.
  constexpr std::int64_t kFirst = 'a';
  for (std::int64_t i = 0; static_cast<std::int64_t>(tokens.size()) < vocab - 1; ++i) {
    const std::string& left = bytes[static_cast<std::size_t>((kFirst + i / 256) % 256)];
    const std::string& right = bytes[static_cast<std::size_t>((kFirst + i % 256) % 256)];
    tokens.push_back(left + right);
    merges.push_back(left + " " + right);
  }
  tokens.emplace_back("<|endoftext|>");
  constexpr std::int32_t kNormal = 1;
  constexpr std::int32_t kControl = 3;
  std::vector<std::int32_t> types(tokens.size(), kNormal);
  types.back() = kControl;
  header.text("tokenizer.ggml.model", "gpt2");
  header.text("tokenizer.ggml.pre", "gpt-2");
  header.texts("tokenizer.ggml.tokens", tokens);
  header.numbers("tokenizer.ggml.token_type", types);
  header.texts("tokenizer.ggml.merges", merges);
  header.number("tokenizer.ggml.bos_token_id", vocab - 1);
  header.number("tokenizer.ggml.eos_token_id", vocab - 1);
}

struct Tensor {
  std::string name;
  std::int64_t rows = 0;  // 0: a vector
  std::int64_t cols = 0;
  std::int64_t count = 1;  // matrices stacked in it
  bool exact = false;      // a matrix in f32 whatever the others are
};

std::vector<Tensor> tensors_of(const RandomModelShape& shape) {
  std::vector<Tensor> tensors{{"token_embd.weight", shape.vocab, shape.hidden},
                              {"output_norm.weight", 0, shape.hidden}};
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

void check_shape(const RandomModelShape& shape, DType type) {
  const auto refuse = [](const std::string& what) {
    throw make_error(ErrorKind::kInvalidArgument, "random model: {}", what);
  };
  constexpr std::int64_t kMost = std::int64_t{1} << 20U;
  for (const std::int64_t size : {shape.layers, shape.hidden, shape.feed_forward, shape.heads,
                                  shape.kv_heads, shape.head_dim}) {
    if (size < 1 || size > kMost) refuse(fmt::format("sizes are 1 to {}, not {}", kMost, size));
  }
  if (shape.context < 1 || shape.context > std::int64_t{1} << 30U) {
    refuse(fmt::format("a context of {} tokens", shape.context));
  }
  if (shape.heads % shape.kv_heads != 0) {
    refuse(fmt::format("{} heads do not share {} heads of the cache evenly", shape.heads,
                       shape.kv_heads));
  }
  if (shape.head_dim % 2 != 0) refuse("the size of a head must be even");
  if (shape.vocab <= kByteTokens || shape.vocab > kMostTokens) {
    refuse(fmt::format("a vocabulary of {} tokens; expected {} to {}", shape.vocab, kByteTokens + 1,
                       kMostTokens));
  }
  constexpr std::int64_t kMostExperts = 1024;
  if (shape.experts < 0 || shape.experts > kMostExperts ||
      (shape.experts > 0 && (shape.experts_used < 1 || shape.experts_used > shape.experts))) {
    refuse(fmt::format("{} of {} experts; expected at most {}", shape.experts_used, shape.experts,
                       kMostExperts));
  }
  const std::int64_t block = info(type).block_elements;
  for (const std::int64_t cols : {shape.hidden, shape.feed_forward, shape.heads * shape.head_dim}) {
    if (cols % block != 0) {
      refuse(fmt::format("rows of {} weights are no whole blocks of {} ({})", cols, block,
                         name(type)));
    }
  }
}

// Rows put together from a stock of encoded pieces, drawn at random: to draw and encode every
// weight would take minutes. A piece is a block, or as many plain numbers.
class RandomRows {
 public:
  RandomRows(DType type, std::uint64_t seed) : generator_(seed) {
    const std::int64_t block = info(type).block_elements;
    const std::int64_t piece = block > 1 ? block : kPieceNumbers;
    piece_bytes_ = static_cast<std::size_t>(row_bytes(type, piece));
    std::normal_distribution<float> normal(0.0F, kDeviation);
    std::vector<float> values(kPieces * static_cast<std::size_t>(piece));
    for (float& value : values) value = normal(generator_);
    stock_.resize(kPieces * piece_bytes_);
    quant::quantize_row(type, values.data(), stock_.data(),
                        static_cast<std::int64_t>(values.size()));
  }

  void fill(std::vector<std::byte>& row) {
    for (std::size_t at = 0; at < row.size(); at += piece_bytes_) {
      const std::size_t piece = generator_() % kPieces;
      std::memcpy(row.data() + at, stock_.data() + piece * piece_bytes_,
                  std::min(piece_bytes_, row.size() - at));
    }
  }

 private:
  static constexpr std::size_t kPieces = 1024;
  static constexpr std::int64_t kPieceNumbers = 32;
  std::size_t piece_bytes_ = 0;
  std::mt19937_64 generator_;
  std::vector<std::byte> stock_;
};

void write_tensor(std::ofstream& out, const Tensor& tensor, DType type, RandomRows& rows) {
  std::size_t written = 0;
  const auto write = [&](const void* data, std::size_t size) {
    out.write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
    written += size;
  };
  if (tensor.rows == 0) {
    const std::vector<float> ones(static_cast<std::size_t>(tensor.cols), 1.0F);
    write(ones.data(), ones.size() * sizeof(float));
  } else {
    std::vector<std::byte> row(static_cast<std::size_t>(row_bytes(type, tensor.cols)));
    for (std::int64_t i = 0; i < tensor.rows * tensor.count && out; ++i) {
      rows.fill(row);
      write(row.data(), row.size());
    }
  }
  constexpr char kZeros[kAlignment] = {};
  if (written % kAlignment != 0) write(kZeros, kAlignment - written % kAlignment);
}

}  // namespace

void write_random_model(const std::filesystem::path& file, const RandomModelShape& shape,
                        DType type, std::uint64_t seed) {
  if (!quant::can_quantize(type) || info(type).ggml_id < 0) {
    throw make_error(ErrorKind::kUnsupported, "random model: weights of type {} cannot be written",
                     name(type));
  }
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
    if (tensor.rows == 0) {
      const std::int64_t dims[] = {tensor.cols};
      header.tensor(tensor.name, dims, DType::kF32, row_bytes(DType::kF32, tensor.cols));
    } else {
      std::vector<std::int64_t> dims = {tensor.cols, tensor.rows};
      if (tensor.count > 1) dims.push_back(tensor.count);
      const DType stored = tensor.exact ? DType::kF32 : type;
      header.tensor(tensor.name, dims, stored,
                    tensor.count * tensor.rows * row_bytes(stored, tensor.cols));
    }
  }

  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  const std::string head = header.build();
  out.write(head.data(), static_cast<std::streamsize>(head.size()));
  RandomRows rows(type, seed);
  RandomRows exact_rows(DType::kF32, seed);
  for (const Tensor& tensor : tensors) {
    if (tensor.exact) {
      write_tensor(out, tensor, DType::kF32, exact_rows);
    } else {
      write_tensor(out, tensor, type, rows);
    }
  }
  out.close();
  if (!out) {
    throw make_error(ErrorKind::kResource, "'{}': cannot be written", file.string());
  }
}

}  // namespace mistral::benchmarks
