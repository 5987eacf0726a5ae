// Builds legacy llama files in memory, sound or broken, field by field.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mistral::test {

inline constexpr std::string_view kGgml = "lmgg";
inline constexpr std::string_view kGgmf = "fmgg";
inline constexpr std::string_view kGgjt = "tjgg";

class GgmlBytes {
 public:
  // A version of 0 is not written.
  explicit GgmlBytes(std::string_view magic = kGgjt, std::uint32_t version = 3)
      : aligned_(magic == kGgjt), scored_(magic != kGgml) {
    bytes_ = magic;
    if (version != 0) u32(version);
  }

  GgmlBytes& u32(std::uint32_t value) {
    char raw[4];
    std::memcpy(raw, &value, sizeof raw);
    bytes_.append(raw, sizeof raw);
    return *this;
  }
  // n_vocab, n_embd, n_mult, n_head, n_layer, n_rot, ftype
  GgmlBytes& hyper_parameters(std::uint32_t vocab, std::uint32_t embedding = 32,
                              std::uint32_t heads = 4, std::uint32_t layers = 1) {
    return u32(vocab).u32(embedding).u32(256).u32(heads).u32(layers).u32(embedding / heads).u32(0);
  }
  GgmlBytes& piece(std::string_view text, float score = 0) {
    u32(static_cast<std::uint32_t>(text.size()));
    bytes_ += text;
    if (!scored_) return *this;
    std::uint32_t bits;
    std::memcpy(&bits, &score, sizeof bits);
    return u32(bits);
  }
  // Dimensions as the file lists them: fastest first.
  GgmlBytes& tensor(std::string_view name, const std::vector<std::uint32_t>& dims,
                    std::uint32_t type, std::span<const std::byte> data) {
    u32(static_cast<std::uint32_t>(dims.size())).u32(static_cast<std::uint32_t>(name.size()));
    u32(type);
    for (const std::uint32_t dim : dims) u32(dim);
    bytes_ += name;
    if (aligned_) bytes_.resize((bytes_.size() + 31) / 32 * 32);
    bytes_.append(reinterpret_cast<const char*>(data.data()), data.size());
    return *this;
  }
  // The data are `size` bytes of 1.
  GgmlBytes& tensor(std::string_view name, const std::vector<std::uint32_t>& dims,
                    std::uint32_t type, std::size_t size) {
    const std::vector<std::byte> data(size, std::byte{1});
    return tensor(name, dims, type, data);
  }

  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  bool aligned_;
  bool scored_;
};

// A model of one layer and a vocabulary of the special tokens, `byte_tokens` bytes and " a".
inline std::string small_ggml(std::string_view magic = kGgjt, std::uint32_t version = 3,
                              std::uint32_t type = 0, std::size_t element_bytes = 4) {
  constexpr std::uint32_t kVocab = 5;
  GgmlBytes file(magic, version);
  file.hyper_parameters(kVocab);
  file.piece(" \xe2\x81\x87 ").piece("").piece("").piece(std::string_view("\0", 1)).piece(" a", -1);
  const auto vector = [&](const char* name) { file.tensor(name, {32}, 0, 128); };
  const auto matrix = [&](const char* name, std::uint32_t in, std::uint32_t out) {
    file.tensor(name, {in, out}, type, std::size_t{in} * out * element_bytes);
  };
  matrix("tok_embeddings.weight", 32, kVocab);
  vector("norm.weight");
  matrix("output.weight", 32, kVocab);
  matrix("layers.0.attention.wq.weight", 32, 32);
  matrix("layers.0.attention.wk.weight", 32, 32);
  matrix("layers.0.attention.wv.weight", 32, 32);
  matrix("layers.0.attention.wo.weight", 32, 32);
  vector("layers.0.attention_norm.weight");
  matrix("layers.0.feed_forward.w1.weight", 32, 64);
  matrix("layers.0.feed_forward.w2.weight", 64, 32);
  matrix("layers.0.feed_forward.w3.weight", 32, 64);
  vector("layers.0.ffn_norm.weight");
  return file.bytes();
}

}  // namespace mistral::test
