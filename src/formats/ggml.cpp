#include "formats/ggml.h"

#include <array>
#include <cstddef>
#include <deque>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "core/mapped_file.h"
#include "formats/ggml_parser.h"

namespace mistral::formats {
namespace {

// What all llama files of that time have in common.
constexpr std::int64_t kContext = 4096;
constexpr double kEpsilon = 1e-5;
constexpr double kRopeBase = 10000.0;

// Token ids of llama's vocabulary: unknown, begin, end, then the 256 bytes.
constexpr std::size_t kUnknown = 0;
constexpr std::size_t kBegin = 1;
constexpr std::size_t kEnd = 2;
constexpr std::size_t kFirstByte = 3;

enum TokenType : std::int64_t { kNormal = 1, kUnknownType = 2, kControl = 3, kByte = 6 };

// A name of a legacy file and of GGUF; names of layers without their prefix.
struct Renamed {
  std::string_view legacy;
  std::string_view gguf;
};
constexpr std::array<Renamed, 3> kModelNames = {{{"tok_embeddings.weight", "token_embd.weight"},
                                                 {"norm.weight", "output_norm.weight"},
                                                 {"output.weight", "output.weight"}}};
constexpr std::array<Renamed, 9> kLayerNames = {{
    {"attention.wq.weight", "attn_q.weight"},
    {"attention.wk.weight", "attn_k.weight"},
    {"attention.wv.weight", "attn_v.weight"},
    {"attention.wo.weight", "attn_output.weight"},
    {"attention_norm.weight", "attn_norm.weight"},
    {"feed_forward.w1.weight", "ffn_gate.weight"},
    {"feed_forward.w2.weight", "ffn_down.weight"},
    {"feed_forward.w3.weight", "ffn_up.weight"},
    {"ffn_norm.weight", "ffn_norm.weight"},
}};

// Names that are not known stay as they are: nobody asks for them.
std::string gguf_name(const std::string& legacy) {
  for (const Renamed& name : kModelNames) {
    if (legacy == name.legacy) return std::string(name.gguf);
  }
  constexpr std::string_view kPrefix = "layers.";
  const std::size_t dot = legacy.find('.', kPrefix.size());
  if (!legacy.starts_with(kPrefix) || dot == std::string::npos) return legacy;
  const std::string_view number =
      std::string_view(legacy).substr(kPrefix.size(), dot - kPrefix.size());
  const std::string_view rest = std::string_view(legacy).substr(dot + 1);
  for (const Renamed& name : kLayerNames) {
    if (rest == name.legacy) return fmt::format("blk.{}.{}", number, name.gguf);
  }
  return legacy;
}

// Builds metadata; texts that the file does not hold as such are kept in `texts`.
class Metadata {
 public:
  void integer(std::string_view key, std::int64_t value) { add(key, GgufType::kI64, value); }
  void number(std::string_view key, double value) { add(key, GgufType::kF64, value); }
  void text(std::string_view key, std::string_view value) { add(key, GgufType::kString, value); }
  template <typename Elements>
  void array(std::string_view key, GgufType type, Elements elements) {
    add(key, GgufType::kArray, GgufArray{type, std::move(elements)});
  }
  std::string_view keep(std::string text) { return texts.emplace_back(std::move(text)); }

  GgufMetadata metadata;
  std::deque<std::string> texts;

 private:
  template <typename Value>
  void add(std::string_view key, GgufType type, Value value) {
    metadata.add({key, {type, std::move(value)}});
  }
};

void add_hyper_parameters(const ParsedGgml& file, const GgmlOptions& options, Metadata& out) {
  if (options.gqa < 1 || file.heads % options.gqa != 0) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "a gqa factor of {}; expected a divisor of the {} heads", options.gqa,
                     file.heads);
  }
  out.text("general.architecture", "llama");
  out.integer("llama.context_length", kContext);
  out.integer("llama.embedding_length", file.embedding);
  out.integer("llama.block_count", file.layers);
  out.integer("llama.attention.head_count", file.heads);
  out.integer("llama.attention.head_count_kv", file.heads / options.gqa);
  out.integer("llama.rope.dimension_count", file.rotary);
  out.number("llama.rope.freq_base", kRopeBase);
  out.number("llama.attention.layer_norm_rms_epsilon", kEpsilon);
  // n_mult alone does not tell: larger models scale before they round.
  for (const TensorInfo& tensor : file.tensors) {
    if (tensor.name == "layers.0.feed_forward.w1.weight") {
      out.integer("llama.feed_forward_length", tensor.view.shape.dims.front());
      return;
    }
  }
  throw make_error(ErrorKind::kInvalidFile, "tensor 'layers.0.feed_forward.w1.weight' is missing");
}

// The piece as GGUF writes it, and its type.
std::pair<std::string_view, TokenType> gguf_token(std::size_t id, std::string_view piece,
                                                  Metadata& out) {
  if (id == kUnknown) return {"<unk>", kUnknownType};
  if (id == kBegin && piece.empty()) return {"<s>", kControl};
  if (id == kEnd && piece.empty()) return {"</s>", kControl};
  if (piece.empty()) return {piece, kControl};
  if (id >= kFirstByte && id < kFirstByte + 256 && piece.size() == 1 &&
      static_cast<unsigned char>(piece[0]) == id - kFirstByte) {
    return {out.keep(fmt::format("<0x{:02X}>", id - kFirstByte)), kByte};
  }
  if (piece.find(' ') == std::string_view::npos) return {piece, kNormal};
  std::string escaped;
  for (const char c : piece) {
    if (c == ' ') {
      escaped += "\xe2\x96\x81";  // U+2581
    } else {
      escaped += c;
    }
  }
  return {out.keep(std::move(escaped)), kNormal};
}

void add_vocabulary(const ParsedGgml& file, Metadata& out) {
  if (file.scores.empty()) return;
  std::vector<std::string_view> tokens;
  std::vector<std::int64_t> types;
  for (std::size_t id = 0; id < file.pieces.size(); ++id) {
    const auto [token, type] = gguf_token(id, file.pieces[id], out);
    tokens.push_back(token);
    types.push_back(type);
  }
  out.text("tokenizer.ggml.model", "llama");
  out.array("tokenizer.ggml.tokens", GgufType::kString, std::move(tokens));
  out.array("tokenizer.ggml.scores", GgufType::kF32,
            std::vector<double>(file.scores.begin(), file.scores.end()));
  out.array("tokenizer.ggml.token_type", GgufType::kI32, std::move(types));
}

}  // namespace

bool is_ggml_file(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return false;
  std::array<char, 4> magic{};
  std::ifstream file(path, std::ios::binary);
  file.read(magic.data(), magic.size());
  return file && has_ggml_magic(std::as_bytes(std::span(magic)));
}

std::shared_ptr<const GgufFile> open_ggml(const std::filesystem::path& path,
                                          const GgmlOptions& options) {
  MappedFile file(path);
  try {
    ParsedGgml parsed = parse_ggml(file.bytes());
    Metadata metadata;
    add_hyper_parameters(parsed, options, metadata);
    add_vocabulary(parsed, metadata);
    for (TensorInfo& tensor : parsed.tensors) tensor.name = gguf_name(tensor.name);
    return GgufFile::adopt(std::move(file), std::move(metadata.metadata), std::move(parsed.tensors),
                           std::move(metadata.texts));
  } catch (Error& error) {
    error.add_context(fmt::format("reading '{}'", path.string()));
    throw;
  }
}

}  // namespace mistral::formats
