#include "formats/gguf_parser.h"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <optional>
#include <unordered_set>
#include <utility>

#include "core/error.h"
#include "formats/byte_reader.h"
#include "formats/checked.h"
#include "formats/memory_budget.h"
#include "formats/printable.h"

namespace mistral::formats {
namespace {

constexpr std::string_view kMagic = "GGUF";
// The formats before GGUF, as their magic number reads on disk and as it is usually spelled.
constexpr std::array<std::string_view, 8> kLegacyMagics = {"lmgg", "fmgg", "tjgg", "algg",
                                                           "ggml", "ggmf", "ggjt", "ggla"};
constexpr std::uint32_t kNewestVersion = 3;
constexpr std::uint64_t kMaxKeyBytes = 65535;      // gguf specification
constexpr std::uint64_t kMaxTensorNameBytes = 64;  // gguf specification
constexpr std::uint32_t kMaxDims = 4;              // gguf specification
constexpr int kMaxArrayDepth = 8;                  // no known file nests at all
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint64_t kSetNodeBytes = 64;  // of std::unordered_set, roughly
constexpr std::string_view kAlignmentKey = "general.alignment";

std::optional<std::string_view> removed_type_name(std::uint32_t id) {
  switch (id) {
    case 4:
      return "Q4_2";
    case 5:
      return "Q4_3";
    case 31:
      return "Q4_0_4_4";
    case 32:
      return "Q4_0_4_8";
    case 33:
      return "Q4_0_8_8";
    case 36:
      return "IQ4_NL_4_4";
    case 37:
      return "IQ4_NL_4_8";
    case 38:
      return "IQ4_NL_8_8";
    default:
      return std::nullopt;
  }
}

class Parser {
 public:
  explicit Parser(std::span<const std::byte> bytes)
      : bytes_(bytes), reader_(bytes), budget_(memory_for(bytes), "the header") {}

  ParsedGguf parse() {
    read_magic_and_version();
    const std::uint64_t tensor_count = length("the number of tensors");
    const std::uint64_t kv_count = length("the number of key-value pairs");
    // Key length, value type and at least one byte of value.
    check_count(kv_count, length_bytes() + 4 + 1, "key-value pairs");
    check_count(tensor_count, kMinTensorRecord, "tensors");
    read_metadata(kv_count);
    check_count(tensor_count, kMinTensorRecord, "tensors");
    read_tensor_records(static_cast<std::size_t>(tensor_count));
    place_tensors();
    return std::move(result_);
  }

 private:
  // Name length, number of dimensions, type, offset; version 1 is the shortest.
  static constexpr std::uint64_t kMinTensorRecord = 4 + 4 + 4 + 8;

  [[nodiscard]] std::uint64_t length_bytes() const { return result_.version == 1 ? 4 : 8; }

  // Counts and lengths are 32 bits wide in version 1.
  std::uint64_t length(std::string_view what) {
    return result_.version == 1 ? reader_.number<std::uint32_t>(what)
                                : reader_.number<std::uint64_t>(what);
  }

  std::string_view string(std::string_view what) { return reader_.text(length(what), what); }

  // Nothing is allocated for a count unless the file is long enough to hold that many items.
  void check_count(std::uint64_t count, std::uint64_t bytes_each, std::string_view what) const {
    if (count <= reader_.remaining() / bytes_each) return;
    throw make_error(ErrorKind::kInvalidFile,
                     "the file claims {} {}, but only {} bytes follow at byte {}", count, what,
                     reader_.remaining(), reader_.position());
  }

  void read_magic_and_version() {
    const std::string_view magic = reader_.text(kMagic.size(), "the magic 'GGUF'");
    if (std::find(kLegacyMagics.begin(), kLegacyMagics.end(), magic) != kLegacyMagics.end()) {
      throw make_error(
          ErrorKind::kInvalidFile,
          "this is a legacy GGML file (magic {}), from before GGUF, which the selector "
          "ggml loads; expected the magic 'GGUF'",
          printable(magic));
    }
    if (magic != kMagic) {
      throw make_error(ErrorKind::kInvalidFile,
                       "not a GGUF file: expected the magic 'GGUF', found {}", printable(magic));
    }
    const auto version = reader_.number<std::uint32_t>("the version");
    const std::uint32_t swapped = __builtin_bswap32(version);
    if (swapped >= 1 && swapped <= kNewestVersion) {
      throw make_error(ErrorKind::kUnsupported,
                       "this is a big-endian GGUF file (version {}); only little-endian files can "
                       "be read",
                       swapped);
    }
    if (version < 1 || version > kNewestVersion) {
      throw make_error(ErrorKind::kUnsupported, "GGUF version {}; expected 1 to {}", version,
                       kNewestVersion);
    }
    result_.version = version;
  }

  void read_metadata(std::uint64_t count) {
    std::unordered_set<std::string_view> seen;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t key_length = length("the length of a key");
      if (key_length > kMaxKeyBytes) {
        throw make_error(ErrorKind::kInvalidFile,
                         "key-value pair {} has a key of {} bytes; expected at most {}", i,
                         key_length, kMaxKeyBytes);
      }
      const std::string_view key = reader_.text(key_length, "a key");
      if (!seen.insert(key).second) {
        throw make_error(ErrorKind::kInvalidFile, "key {} occurs twice", printable(key));
      }
      try {
        const GgufType type = value_type();
        budget_.charge(2 * sizeof(GgufMetadata::Entry) + kSetNodeBytes);  // the vector doubles
        result_.metadata.add({key, value(type, 0)});
      } catch (Error& error) {
        error.add_context(fmt::format("key {}", printable(key)));
        throw;
      }
    }
  }

  GgufType value_type() {
    const auto type = reader_.number<std::uint32_t>("a value type");
    if (type > static_cast<std::uint32_t>(GgufType::kF64)) {
      throw make_error(ErrorKind::kInvalidFile, "unknown value type {}; expected 0 to {}", type,
                       static_cast<std::uint32_t>(GgufType::kF64));
    }
    return static_cast<GgufType>(type);
  }

  bool boolean() {
    const auto byte = reader_.number<std::uint8_t>("a bool");
    if (byte > 1) {
      throw make_error(ErrorKind::kInvalidFile, "a bool has the value {}; expected 0 or 1", byte);
    }
    return byte == 1;
  }

  template <typename Stored>
  Stored number(std::string_view what) {
    return reader_.number<Stored>(what);
  }

  GgufValue value(GgufType type, int depth) {
    constexpr std::string_view kWhat = "a value";
    switch (type) {
      case GgufType::kU8:
        return {type, std::uint64_t{number<std::uint8_t>(kWhat)}};
      case GgufType::kU16:
        return {type, std::uint64_t{number<std::uint16_t>(kWhat)}};
      case GgufType::kU32:
        return {type, std::uint64_t{number<std::uint32_t>(kWhat)}};
      case GgufType::kU64:
        return {type, number<std::uint64_t>(kWhat)};
      case GgufType::kI8:
        return {type, std::int64_t{number<std::int8_t>(kWhat)}};
      case GgufType::kI16:
        return {type, std::int64_t{number<std::int16_t>(kWhat)}};
      case GgufType::kI32:
        return {type, std::int64_t{number<std::int32_t>(kWhat)}};
      case GgufType::kI64:
        return {type, number<std::int64_t>(kWhat)};
      case GgufType::kF32:
        return {type, double{number<float>(kWhat)}};
      case GgufType::kF64:
        return {type, number<double>(kWhat)};
      case GgufType::kBool:
        return {type, boolean()};
      case GgufType::kString:
        return {type, string("a string")};
      case GgufType::kArray:
        return {type, array(depth)};
    }
    throw make_error(ErrorKind::kInternal, "value type {} was not checked",
                     static_cast<std::uint32_t>(type));
  }

  template <typename Stored, typename Kept>
  std::vector<Kept> numbers(std::uint64_t count) {
    check_count(count, sizeof(Stored), "array elements");
    const auto data = reader_.take(count * sizeof(Stored), "an array");
    budget_.charge(count, sizeof(Kept));
    std::vector<Kept> out(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < out.size(); ++i) {
      Stored stored;
      std::memcpy(&stored, data.data() + i * sizeof(Stored), sizeof(Stored));
      out[i] = stored;
    }
    return out;
  }

  // Elements that are read one by one, each at least `min_bytes` long in the file.
  template <typename Kept, typename Read>
  std::vector<Kept> items(std::uint64_t count, std::uint64_t min_bytes, Read read) {
    check_count(count, min_bytes, "array elements");
    budget_.charge(count, sizeof(Kept));
    std::vector<Kept> out;
    out.reserve(static_cast<std::size_t>(count));
    for (std::uint64_t i = 0; i < count; ++i) out.push_back(read());
    return out;
  }

  GgufArray array(int depth) {
    if (depth >= kMaxArrayDepth) {
      throw make_error(ErrorKind::kInvalidFile, "arrays are nested more than {} deep",
                       kMaxArrayDepth);
    }
    GgufArray out;
    out.element_type = value_type();
    const std::uint64_t count = length("the length of an array");
    switch (out.element_type) {
      case GgufType::kU8:
        out.elements = numbers<std::uint8_t, std::uint64_t>(count);
        break;
      case GgufType::kU16:
        out.elements = numbers<std::uint16_t, std::uint64_t>(count);
        break;
      case GgufType::kU32:
        out.elements = numbers<std::uint32_t, std::uint64_t>(count);
        break;
      case GgufType::kU64:
        out.elements = numbers<std::uint64_t, std::uint64_t>(count);
        break;
      case GgufType::kI8:
        out.elements = numbers<std::int8_t, std::int64_t>(count);
        break;
      case GgufType::kI16:
        out.elements = numbers<std::int16_t, std::int64_t>(count);
        break;
      case GgufType::kI32:
        out.elements = numbers<std::int32_t, std::int64_t>(count);
        break;
      case GgufType::kI64:
        out.elements = numbers<std::int64_t, std::int64_t>(count);
        break;
      case GgufType::kF32:
        out.elements = numbers<float, double>(count);
        break;
      case GgufType::kF64:
        out.elements = numbers<double, double>(count);
        break;
      case GgufType::kBool:
        out.elements = items<std::int64_t>(count, 1, [&] { return std::int64_t{boolean()}; });
        break;
      case GgufType::kString:
        out.elements = items<std::string_view>(count, length_bytes(),
                                               [&] { return string("a string of an array"); });
        break;
      case GgufType::kArray:
        out.elements = items<GgufValue>(count, 4 + length_bytes(), [&] {
          return GgufValue{GgufType::kArray, array(depth + 1)};
        });
        break;
    }
    return out;
  }

  void read_tensor_records(std::size_t count) {
    budget_.charge(count, sizeof(TensorInfo) + sizeof(std::uint64_t));
    result_.tensors.reserve(count);
    offsets_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t name_length = length("the length of a tensor name");
      if (name_length > kMaxTensorNameBytes) {
        throw make_error(ErrorKind::kInvalidFile,
                         "tensor {} has a name of {} bytes; expected at most {}", i, name_length,
                         kMaxTensorNameBytes);
      }
      TensorInfo tensor;
      tensor.name = reader_.text(name_length, "a tensor name");
      try {
        tensor.view.shape = shape();
        tensor.view.dtype = dtype(tensor.view.shape);
        offsets_.push_back(reader_.number<std::uint64_t>("the offset"));
      } catch (Error& error) {
        error.add_context(fmt::format("tensor {}", printable(tensor.name)));
        throw;
      }
      result_.tensors.push_back(std::move(tensor));
    }
  }

  // Files list the fastest dimension first, Shape the slowest.
  Shape shape() {
    const auto rank = reader_.number<std::uint32_t>("the number of dimensions");
    if (rank > kMaxDims) {
      throw make_error(ErrorKind::kInvalidFile, "{} dimensions; expected at most {}", rank,
                       kMaxDims);
    }
    Shape out;
    out.dims.resize(rank);
    for (std::uint32_t i = 0; i < rank; ++i) {
      const std::uint64_t extent = length("a dimension");
      if (extent == 0 || !std::in_range<std::int64_t>(extent)) {
        throw make_error(ErrorKind::kInvalidFile, "dimension {} is {}; expected 1 to 2^63-1", i,
                         extent);
      }
      out.dims[rank - 1 - i] = static_cast<std::int64_t>(extent);
    }
    return out;
  }

  DType dtype(const Shape& shape) {
    const auto id = reader_.number<std::uint32_t>("the tensor type");
    if (const auto removed = removed_type_name(id)) {
      throw make_error(ErrorKind::kUnsupported,
                       "type {} ({}) has been removed from the GGUF format; convert the model "
                       "again with a type in use",
                       id, *removed);
    }
    const auto found = dtype_from_ggml_id(id);
    if (!found) {
      throw make_error(ErrorKind::kUnsupported, "unknown tensor type number {}", id);
    }
    const std::int32_t block = info(*found).block_elements;
    if (shape.row_length() % block != 0) {
      throw make_error(ErrorKind::kInvalidFile,
                       "rows of {} elements; expected a multiple of {}, the block of {}",
                       shape.row_length(), block, name(*found));
    }
    return *found;
  }

  std::uint64_t alignment() const {
    if (!result_.metadata.contains(kAlignmentKey)) return kDefaultAlignment;
    const std::int64_t value = result_.metadata.require_integer(kAlignmentKey);
    // The specification asks for a multiple of 8, the programs in use for a power of two.
    if (value < 8 || !std::has_single_bit(static_cast<std::uint64_t>(value))) {
      throw make_error(ErrorKind::kInvalidFile,
                       "key '{}' is {}; expected a power of two of at least 8", kAlignmentKey,
                       value);
    }
    return static_cast<std::uint64_t>(value);
  }

  // Turns offsets into views once the start of the data section is known.
  void place_tensors() {
    const std::uint64_t align = alignment();
    // No overflow: a position in memory is below 2^63, an alignment at most 2^62.
    const std::uint64_t data_start = (reader_.position() + align - 1) & ~(align - 1);
    for (std::size_t i = 0; i < result_.tensors.size(); ++i) {
      TensorInfo& tensor = result_.tensors[i];
      const auto size = checked_tensor_bytes(tensor.view.dtype, tensor.view.shape);
      if (!size) {
        throw make_error(ErrorKind::kInvalidFile, "tensor {}: the shape {} is too large",
                         printable(tensor.name), to_string(tensor.view.shape));
      }
      if (offsets_[i] % align != 0) {
        throw make_error(ErrorKind::kInvalidFile,
                         "tensor {}: offset {} is not a multiple of the alignment {}",
                         printable(tensor.name), offsets_[i], align);
      }
      const auto begin = checked_add(data_start, offsets_[i]);
      const auto end = begin ? checked_add(*begin, *size) : std::nullopt;
      if (!end || *end > bytes_.size()) {
        throw make_error(ErrorKind::kInvalidFile,
                         "tensor {} needs {} bytes at offset {} of the data section, which starts "
                         "at byte {}, but the file has {} bytes",
                         printable(tensor.name), *size, offsets_[i], data_start, bytes_.size());
      }
      tensor.view.data =
          bytes_.subspan(static_cast<std::size_t>(*begin), static_cast<std::size_t>(*size));
    }
    check_overlaps();
  }

  void check_overlaps() const {
    const auto& tensors = result_.tensors;
    std::vector<std::size_t> order(tensors.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return offsets_[a] < offsets_[b]; });
    for (std::size_t i = 1; i < order.size(); ++i) {
      const TensorInfo& before = tensors[order[i - 1]];
      const TensorInfo& after = tensors[order[i]];
      // A name that occurs twice is reported as such by TensorTable.
      if (before.name != after.name &&
          before.view.data.data() + before.view.data.size() > after.view.data.data()) {
        throw make_error(ErrorKind::kInvalidFile, "tensors {} and {} overlap",
                         printable(before.name), printable(after.name));
      }
    }
  }

  std::span<const std::byte> bytes_;
  ByteReader reader_;
  MemoryBudget budget_;
  ParsedGguf result_;
  std::vector<std::uint64_t> offsets_;  // of each tensor, relative to the data section
};

}  // namespace

ParsedGguf parse_gguf(std::span<const std::byte> bytes) {
  return Parser(bytes).parse();
}

}  // namespace mistral::formats
