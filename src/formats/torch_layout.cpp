#include "formats/torch_layout.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "core/error.h"
#include "formats/checked.h"

namespace mistral::formats {
namespace {

// The highest element that is used; none when that exceeds 64 bits.
std::optional<std::uint64_t> last_element(const StridedLayout& layout) {
  std::optional<std::uint64_t> last = static_cast<std::uint64_t>(layout.offset);
  for (std::size_t i = 0; i < layout.shape.rank(); ++i) {
    const auto reach = checked_multiply(static_cast<std::uint64_t>(layout.shape[i] - 1),
                                        static_cast<std::uint64_t>(layout.strides[i]));
    if (!reach) return std::nullopt;
    last = checked_add(*last, *reach);
    if (!last) return std::nullopt;
  }
  return last;
}

// One loop of the copy; the strides are in bytes.
struct Axis {
  std::int64_t extent = 1;
  std::int64_t stride = 0;
};

// Both axes in tiles, so that a transposed matrix is not read a page for each element.
template <std::size_t Width>
void copy_plane(const std::byte* in, Axis rows, Axis columns, std::byte* out) {
  constexpr std::int64_t kTile = 32;
  for (std::int64_t r0 = 0; r0 < rows.extent; r0 += kTile) {
    const std::int64_t r1 = std::min(r0 + kTile, rows.extent);
    for (std::int64_t c0 = 0; c0 < columns.extent; c0 += kTile) {
      const std::int64_t c1 = std::min(c0 + kTile, columns.extent);
      for (std::int64_t r = r0; r < r1; ++r) {
        for (std::int64_t c = c0; c < c1; ++c) {
          std::memcpy(out + (r * columns.extent + c) * static_cast<std::int64_t>(Width),
                      in + r * rows.stride + c * columns.stride, Width);
        }
      }
    }
  }
}

template <std::size_t Width>
void copy_all(const StridedLayout& layout, const std::byte* in, std::byte* out) {
  // Axes of one element are left out; the last two make the plane that is copied at once.
  std::vector<Axis> axes;
  for (std::size_t i = 0; i < layout.shape.rank(); ++i) {
    if (layout.shape[i] != 1) {
      axes.push_back({layout.shape[i], layout.strides[i] * static_cast<std::int64_t>(Width)});
    }
  }
  while (axes.size() < 2) axes.insert(axes.begin(), Axis{});
  const Axis columns = axes.back();
  axes.pop_back();
  const Axis rows = axes.back();
  axes.pop_back();
  std::vector<std::int64_t> position(axes.size(), 0);
  for (;;) {
    copy_plane<Width>(in, rows, columns, out);
    out += rows.extent * columns.extent * static_cast<std::int64_t>(Width);
    std::size_t axis = axes.size();
    for (; axis > 0; --axis) {
      const Axis& a = axes[axis - 1];
      in += a.stride;
      if (++position[axis - 1] < a.extent) break;
      in -= a.stride * a.extent;
      position[axis - 1] = 0;
    }
    if (axis == 0) return;
  }
}

}  // namespace

std::uint64_t check_layout(const StridedLayout& layout, std::uint64_t storage_bytes) {
  const auto negative = [](const std::vector<std::int64_t>& numbers) {
    return std::any_of(numbers.begin(), numbers.end(), [](std::int64_t n) { return n < 0; });
  };
  if (layout.strides.size() != layout.shape.rank() || negative(layout.shape.dims) ||
      negative(layout.strides) || layout.offset < 0) {
    throw make_error(ErrorKind::kInvalidFile,
                     "shape {}, strides {}, from element {}: expected as many strides as "
                     "dimensions and no negative number",
                     to_string(layout.shape), to_string(Shape{layout.strides}), layout.offset);
  }
  const auto bytes = checked_tensor_bytes(layout.dtype, layout.shape);
  if (!bytes) {
    throw make_error(ErrorKind::kInvalidFile, "shape {} has more elements than can be counted",
                     to_string(layout.shape));
  }
  if (*bytes == 0) return 0;
  const auto width = static_cast<std::uint64_t>(info(layout.dtype).block_bytes);
  const std::uint64_t available = storage_bytes / width;
  const auto last = last_element(layout);
  if (!last || *last >= available) {
    throw make_error(ErrorKind::kInvalidFile,
                     "shape {} with strides {} from element {} leaves its storage of {} elements",
                     to_string(layout.shape), to_string(Shape{layout.strides}), layout.offset,
                     available);
  }
  return *bytes;
}

bool is_contiguous(const StridedLayout& layout) {
  std::int64_t expected = 1;
  for (std::size_t i = layout.shape.rank(); i > 0; --i) {
    const std::int64_t extent = layout.shape[i - 1];
    if (extent == 0) return true;
    if (extent != 1 && layout.strides[i - 1] != expected) return false;
    expected *= extent;
  }
  return true;
}

void gather(const StridedLayout& layout, std::span<const std::byte> storage,
            std::span<std::byte> out) {
  if (out.empty()) return;
  const std::int64_t width = info(layout.dtype).block_bytes;
  const std::byte* in = storage.data() + layout.offset * width;
  switch (width) {
    case 1:
      return copy_all<1>(layout, in, out.data());
    case 2:
      return copy_all<2>(layout, in, out.data());
    case 4:
      return copy_all<4>(layout, in, out.data());
    default:
      return copy_all<8>(layout, in, out.data());
  }
}

}  // namespace mistral::formats
