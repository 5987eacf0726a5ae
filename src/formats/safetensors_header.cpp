#include "formats/safetensors_header.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/json.h"
#include "formats/byte_reader.h"
#include "formats/checked.h"
#include "formats/memory_budget.h"
#include "formats/printable.h"
#include "formats/safetensors_dtype.h"

namespace mistral::formats {
namespace {

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // as the reference implementation
constexpr std::size_t kMaxRank = 16;
constexpr std::string_view kMetadataName = "__metadata__";

struct Entry {
  TensorInfo tensor;
  std::uint64_t begin = 0;  // relative to the data section
  std::uint64_t end = 0;
};

// Follows the one layout that a header has, event by event, so that neither nesting nor unknown
// content costs memory: {"name": {"dtype": s, "shape": [n...], "data_offsets": [n, n]}, ...,
// "__metadata__": {"key": "value", ...}}. A handler returns false to stop the parser.
class HeaderHandler final : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderHandler(std::uint64_t memory) : budget_(memory, "the header") {}

  [[nodiscard]] std::vector<Entry> take_entries() { return std::move(entries_); }
  [[nodiscard]] const std::string& failure() const { return failure_; }
  [[nodiscard]] ErrorKind failure_kind() const { return failure_kind_; }

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a bool"); }
  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    return unexpected("a number that is not an integer of 64 bits");
  }
  bool binary(binary_t&) override { return unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (state_ == State::kShape) return add_extent(value);
    if (state_ == State::kOffsets) return add_offset(value);
    return unexpected("a number");
  }

  bool string(string_t& value) override {
    if (state_ == State::kMetadata) return true;
    if (state_ != State::kTensor || field_ != Field::kDtype) return unexpected("a string");
    const auto dtype = dtype_from_safetensors_name(value);
    if (!dtype) {
      failure_kind_ = ErrorKind::kUnsupported;
      return fail(fmt::format("tensor {}: unknown dtype {}; expected one of {}", printable(name()),
                              printable(value), safetensors_dtype_names()));
    }
    entries_.back().tensor.view.dtype = *dtype;
    return true;
  }

  bool start_object(std::size_t) override {
    if (state_ == State::kStart) return enter(State::kTop);
    if (state_ != State::kTop) return unexpected("an object");
    if (in_metadata_) return enter(State::kMetadata);
    seen_ = {};
    offset_count_ = 0;
    return enter(State::kTensor);
  }

  bool key(string_t& key) override {
    if (state_ == State::kTop) {
      in_metadata_ = key == kMetadataName;
      if (in_metadata_) {
        if (std::exchange(metadata_seen_, true)) return fail("'__metadata__' occurs twice");
      } else {
        budget_.charge(2 * sizeof(Entry));  // the vector doubles
        entries_.emplace_back().tensor.name = std::move(key);
      }
      return true;
    }
    if (state_ == State::kMetadata) return true;
    constexpr std::array<std::string_view, 3> kFields = {"dtype", "shape", "data_offsets"};
    const auto found = std::find(kFields.begin(), kFields.end(), key);
    if (found == kFields.end()) {
      return fail(fmt::format("tensor {}: unknown field {}; expected dtype, shape, data_offsets",
                              printable(name()), printable(key)));
    }
    const auto index = static_cast<std::size_t>(found - kFields.begin());
    if (std::exchange(seen_[index], true)) {
      return fail(fmt::format("tensor {}: field {} occurs twice", printable(name()), *found));
    }
    field_ = static_cast<Field>(index);
    return true;
  }

  bool end_object() override {
    if (state_ == State::kTop) return enter(State::kEnd);
    if (state_ == State::kTensor && !(seen_[0] && seen_[1] && seen_[2])) {
      return fail(fmt::format("tensor {}: expected the fields dtype, shape and data_offsets",
                              printable(name())));
    }
    return enter(State::kTop);
  }

  bool start_array(std::size_t) override {
    if (state_ == State::kTensor && field_ == Field::kShape) return enter(State::kShape);
    if (state_ == State::kTensor && field_ == Field::kOffsets) return enter(State::kOffsets);
    return unexpected("an array");
  }

  bool end_array() override {
    if (state_ == State::kOffsets && offset_count_ != 2) {
      return fail(fmt::format("tensor {}: data_offsets has {} numbers; expected 2",
                              printable(name()), offset_count_));
    }
    return enter(State::kTensor);
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return fail(fmt::format("the header is not valid JSON at its byte {}", position));
  }

 private:
  enum class State { kStart, kTop, kMetadata, kTensor, kShape, kOffsets, kEnd };
  enum class Field { kDtype, kShape, kOffsets };

  [[nodiscard]] const std::string& name() const { return entries_.back().tensor.name; }

  bool enter(State state) {
    state_ = state;
    return true;
  }

  bool fail(std::string message) {
    failure_ = std::move(message);
    return false;
  }

  bool unexpected(std::string_view found) {
    switch (state_) {
      case State::kTop:
        if (!in_metadata_) {
          return fail(
              fmt::format("tensor {}: expected an object, found {}", printable(name()), found));
        }
        [[fallthrough]];
      case State::kMetadata:
        return fail(fmt::format("'__metadata__': expected an object of strings, found {}", found));
      case State::kTensor:
        return fail(fmt::format("tensor {}: expected {}, found {}", printable(name()),
                                field_ == Field::kDtype   ? "a string for dtype"
                                : field_ == Field::kShape ? "an array for shape"
                                                          : "an array for data_offsets",
                                found));
      default:
        return fail(fmt::format("tensor {}: expected numbers that are not negative in {}, found {}",
                                printable(name()),
                                state_ == State::kShape ? "shape" : "data_offsets", found));
    }
  }

  bool add_extent(std::uint64_t value) {
    auto& dims = entries_.back().tensor.view.shape.dims;
    if (dims.size() == kMaxRank) {
      return fail(fmt::format("tensor {}: more than {} dimensions", printable(name()), kMaxRank));
    }
    if (!std::in_range<std::int64_t>(value)) {
      return fail(fmt::format("tensor {}: dimension {} is too large", printable(name()), value));
    }
    dims.push_back(static_cast<std::int64_t>(value));
    return true;
  }

  bool add_offset(std::uint64_t value) {
    if (offset_count_ == 0) entries_.back().begin = value;
    if (offset_count_ == 1) entries_.back().end = value;
    ++offset_count_;
    return true;
  }

  State state_ = State::kStart;
  Field field_ = Field::kDtype;
  bool in_metadata_ = false;
  bool metadata_seen_ = false;
  std::array<bool, 3> seen_{};
  std::size_t offset_count_ = 0;
  MemoryBudget budget_;
  std::vector<Entry> entries_;
  std::string failure_;
  ErrorKind failure_kind_ = ErrorKind::kInvalidFile;
};

std::vector<Entry> parse_header(std::string_view header, std::uint64_t memory) {
  // The parser takes a zero byte for the end of its input and skips a byte order mark.
  if (!header.starts_with('{') || header.find('\0') != std::string_view::npos) {
    throw Error(ErrorKind::kInvalidFile,
                "the header is not valid JSON: expected an object that begins with '{'");
  }
  HeaderHandler handler(memory);
  if (!Json::sax_parse(header.begin(), header.end(), &handler)) {
    throw Error(handler.failure_kind(), handler.failure());
  }
  return handler.take_entries();
}

// The data must be covered from end to end, each byte by one tensor.
void place(std::vector<Entry>& entries, std::span<const std::byte> data) {
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t position = 0;
  for (Entry& entry : entries) {
    TensorView& view = entry.tensor.view;
    const std::string tensor = printable(entry.tensor.name);
    if (entry.begin > entry.end || entry.end > data.size()) {
      throw make_error(ErrorKind::kInvalidFile,
                       "tensor {}: data_offsets [{}, {}] do not lie in the {} bytes of data",
                       tensor, entry.begin, entry.end, data.size());
    }
    if (entry.begin != position) {
      throw make_error(ErrorKind::kInvalidFile,
                       "tensor {}: data begins at {}, but the tensor before it ends at {}", tensor,
                       entry.begin, position);
    }
    const auto size = checked_tensor_bytes(view.dtype, view.shape);
    if (!size || *size != entry.end - entry.begin) {
      throw make_error(ErrorKind::kInvalidFile,
                       "tensor {}: {} {} does not have the {} bytes that data_offsets give it",
                       tensor, name(view.dtype), to_string(view.shape), entry.end - entry.begin);
    }
    view.data =
        data.subspan(static_cast<std::size_t>(entry.begin), static_cast<std::size_t>(*size));
    position = entry.end;
  }
  if (position != data.size()) {
    throw make_error(ErrorKind::kInvalidFile,
                     "the tensors end at byte {} of the data, but there are {} bytes", position,
                     data.size());
  }
}

}  // namespace

std::vector<TensorInfo> parse_safetensors(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  const auto header_bytes = reader.number<std::uint64_t>("the length of the header");
  if (header_bytes > kMaxHeaderBytes) {
    throw make_error(ErrorKind::kInvalidFile,
                     "not a safetensors file: a header of {} bytes; expected at most {}",
                     header_bytes, kMaxHeaderBytes);
  }
  std::vector<Entry> entries =
      parse_header(reader.text(header_bytes, "the header"), memory_for(bytes));
  place(entries, bytes.subspan(reader.position()));
  std::vector<TensorInfo> tensors;
  tensors.reserve(entries.size());
  for (Entry& entry : entries) tensors.push_back(std::move(entry.tensor));
  return tensors;
}

}  // namespace mistral::formats
