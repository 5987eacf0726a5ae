#include "formats/ggml_parser.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "formats/byte_reader.h"
#include "formats/checked.h"
#include "formats/memory_budget.h"
#include "formats/printable.h"

namespace mistral::formats {
namespace {

using Container = ParsedGgml::Container;

constexpr std::uint32_t kMagicGgml = 0x67676d6c;
constexpr std::uint32_t kMagicGgmf = 0x67676d66;
constexpr std::uint32_t kMagicGgjt = 0x67676a74;
constexpr std::uint32_t kGgmfVersion = 1;
constexpr std::uint32_t kNewestGgjt = 3;
constexpr std::uint32_t kMaxDims = 2;           // llama has vectors and matrices
constexpr std::uint32_t kMaxNameBytes = 256;    // the longest in use has 38
constexpr std::uint32_t kMaxPieceBytes = 4096;  // a piece of llama's vocabulary has at most 48
constexpr std::size_t kAlignment = 32;          // of tensor data in ggjt files, within the file

std::string_view name_of(Container container) {
  switch (container) {
    case Container::kGgml:
      return "ggml";
    case Container::kGgmf:
      return "ggmf";
    case Container::kGgjt:
      return "ggjt";
  }
  return "?";
}

std::uint32_t magic_of(std::span<const std::byte> bytes) {
  std::uint32_t magic = 0;
  if (bytes.size() >= sizeof magic) std::memcpy(&magic, bytes.data(), sizeof magic);
  return magic;
}

class Parser {
 public:
  explicit Parser(std::span<const std::byte> bytes)
      : reader_(bytes), budget_(memory_for(bytes), "the file") {}

  ParsedGgml parse() {
    read_container();
    read_hyper_parameters();
    read_vocabulary();
    while (reader_.remaining() > 0) read_tensor();
    if (result_.tensors.empty()) {
      throw make_error(ErrorKind::kInvalidFile,
                       "the file ends behind the vocabulary; expected tensors");
    }
    return std::move(result_);
  }

 private:
  void read_container() {
    const auto magic = reader_.number<std::uint32_t>("the magic number");
    switch (magic) {
      case kMagicGgml:
        result_.container = Container::kGgml;
        return;
      case kMagicGgmf:
        result_.container = Container::kGgmf;
        break;
      case kMagicGgjt:
        result_.container = Container::kGgjt;
        break;
      default:
        throw make_error(ErrorKind::kInvalidFile,
                         "the file begins with {:#010x}; expected the magic number of a ggml, ggmf "
                         "or ggjt file",
                         magic);
    }
    result_.version = reader_.number<std::uint32_t>("the version");
    const std::uint32_t newest = result_.container == Container::kGgmf ? kGgmfVersion : kNewestGgjt;
    if (result_.version < 1 || result_.version > newest) {
      throw make_error(ErrorKind::kUnsupported, "{} version {}; expected 1{}",
                       name_of(result_.container), result_.version,
                       newest == 1 ? "" : fmt::format(" to {}", newest));
    }
  }

  void read_hyper_parameters() {
    const std::pair<std::uint32_t*, std::string_view> fields[] = {
        {&result_.vocab_size, "n_vocab"}, {&result_.embedding, "n_embd"},
        {&result_.multiple, "n_mult"},    {&result_.heads, "n_head"},
        {&result_.layers, "n_layer"},     {&result_.rotary, "n_rot"},
        {&result_.file_type, "ftype"}};
    for (const auto& [value, what] : fields) *value = reader_.number<std::uint32_t>(what);
  }

  void read_vocabulary() {
    const bool scored = result_.container != Container::kGgml;
    const std::uint64_t least = scored ? 8 : 4;  // bytes of an empty piece
    if (result_.vocab_size > reader_.remaining() / least) {
      throw make_error(ErrorKind::kInvalidFile,
                       "n_vocab is {}, but the file ends after {} more bytes", result_.vocab_size,
                       reader_.remaining());
    }
    budget_.charge(result_.vocab_size, sizeof(std::string_view) + (scored ? sizeof(float) : 0));
    result_.pieces.reserve(result_.vocab_size);
    if (scored) result_.scores.reserve(result_.vocab_size);
    for (std::uint32_t i = 0; i < result_.vocab_size; ++i) {
      const auto length = reader_.number<std::uint32_t>("the length of a piece");
      if (length > kMaxPieceBytes) {
        throw make_error(ErrorKind::kInvalidFile,
                         "piece {} of the vocabulary has {} bytes; expected at most {}", i, length,
                         kMaxPieceBytes);
      }
      result_.pieces.push_back(reader_.text(length, "a piece of the vocabulary"));
      if (scored) result_.scores.push_back(reader_.number<float>("a score of the vocabulary"));
    }
  }

  void read_tensor() {
    const auto rank = reader_.number<std::uint32_t>("the number of dimensions");
    const auto name_length = reader_.number<std::uint32_t>("the length of a tensor name");
    const auto type = reader_.number<std::uint32_t>("the tensor type");
    const std::size_t number = result_.tensors.size();
    if (rank < 1 || rank > kMaxDims) {
      throw make_error(ErrorKind::kInvalidFile, "tensor {} has {} dimensions; expected 1 to {}",
                       number, rank, kMaxDims);
    }
    if (name_length > kMaxNameBytes) {
      throw make_error(ErrorKind::kInvalidFile,
                       "tensor {} has a name of {} bytes; expected at most {}", number, name_length,
                       kMaxNameBytes);
    }
    budget_.charge(2 * sizeof(TensorInfo));  // the vector doubles
    TensorInfo tensor;
    tensor.view.shape.dims.resize(rank);
    for (std::uint32_t i = 0; i < rank; ++i) {  // the fastest first
      tensor.view.shape.dims[rank - 1 - i] = reader_.number<std::uint32_t>("a dimension");
    }
    tensor.name = reader_.text(name_length, "a tensor name");
    try {
      tensor.view.dtype = dtype(type, tensor.view.shape);
      place(tensor);
    } catch (Error& error) {
      error.add_context(fmt::format("tensor {}", printable(tensor.name)));
      throw;
    }
    result_.tensors.push_back(std::move(tensor));
  }

  DType dtype(std::uint32_t id, const Shape& shape) const {
    const auto found = dtype_from_ggml_id(id);
    if (!found) {
      throw make_error(ErrorKind::kUnsupported, "unknown or removed tensor type number {}", id);
    }
    const DTypeInfo& type = info(*found);
    if (type.quantized && result_.version < kNewestGgjt) {
      throw make_error(
          ErrorKind::kUnsupported,
          "type {} in a file of {} version {}: blocks of quantised weights had another "
          "layout before ggjt version {}; expected F32 or F16, or a newer file",
          type.name, name_of(result_.container), result_.version, kNewestGgjt);
    }
    for (const std::int64_t extent : shape.dims) {
      if (extent == 0) {
        throw make_error(ErrorKind::kInvalidFile, "shape {} is empty", to_string(shape));
      }
    }
    if (shape.row_length() % type.block_elements != 0) {
      throw make_error(ErrorKind::kInvalidFile,
                       "rows of {} elements; expected a multiple of {}, the block of {}",
                       shape.row_length(), type.block_elements, type.name);
    }
    return *found;
  }

  void place(TensorInfo& tensor) {
    if (result_.container == Container::kGgjt) {
      const std::size_t beyond = reader_.position() % kAlignment;
      if (beyond != 0) (void)reader_.take(kAlignment - beyond, "padding");
    }
    const auto size = checked_tensor_bytes(tensor.view.dtype, tensor.view.shape);
    if (!size) {
      throw make_error(ErrorKind::kInvalidFile, "the shape {} is too large",
                       to_string(tensor.view.shape));
    }
    tensor.view.data = reader_.take(*size, "the data");
  }

  ByteReader reader_;
  MemoryBudget budget_;
  ParsedGgml result_;
};

}  // namespace

bool has_ggml_magic(std::span<const std::byte> bytes) {
  const std::uint32_t magic = magic_of(bytes);
  return magic == kMagicGgml || magic == kMagicGgmf || magic == kMagicGgjt;
}

ParsedGgml parse_ggml(std::span<const std::byte> bytes) {
  return Parser(bytes).parse();
}

}  // namespace mistral::formats
