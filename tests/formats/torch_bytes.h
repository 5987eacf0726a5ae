// Builds pickles, zip archives and PyTorch checkpoints in memory, sound or broken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mistral::test {

[[nodiscard]] inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

template <typename T>
[[nodiscard]] std::string little(T value) {
  std::string out(sizeof(T), '\0');
  std::memcpy(out.data(), &value, sizeof(T));
  return out;
}

// Parts of pickles: each gives the opcodes that leave one value on the stack.
namespace py {

[[nodiscard]] inline std::string text(std::string_view s) {
  return "X" + little(static_cast<std::uint32_t>(s.size())) + std::string(s);
}
[[nodiscard]] inline std::string integer(std::int64_t n) {
  return "\x8a\x08" + little(n);
}
[[nodiscard]] inline std::string global(std::string_view module, std::string_view name) {
  return "c" + std::string(module) + "\n" + std::string(name) + "\n";
}
[[nodiscard]] inline std::string joined(const std::vector<std::string>& values) {
  std::string out;
  for (const std::string& value : values) out += value;
  return out;
}
[[nodiscard]] inline std::string tuple(const std::vector<std::string>& values) {
  return "(" + joined(values) + "t";
}
[[nodiscard]] inline std::string integers(const std::vector<std::int64_t>& numbers) {
  std::vector<std::string> values;
  for (const std::int64_t n : numbers) values.push_back(integer(n));
  return tuple(values);
}
// Keys and values in turn.
[[nodiscard]] inline std::string dict(const std::vector<std::string>& items) {
  return "}(" + joined(items) + "u";
}
[[nodiscard]] inline std::string storage(std::string_view key, std::int64_t elements,
                                         std::string_view type = "FloatStorage") {
  return tuple(
             {text("storage"), global("torch", type), text(key), text("cpu"), integer(elements)}) +
         "Q";
}
[[nodiscard]] inline std::string tensor(std::string_view storage, std::int64_t offset,
                                        const std::vector<std::int64_t>& sizes,
                                        const std::vector<std::int64_t>& strides) {
  return global("torch._utils", "_rebuild_tensor_v2") +
         tuple({std::string(storage), integer(offset), integers(sizes), integers(strides), "\x89",
                dict({})}) +
         "R";
}
[[nodiscard]] inline std::string pickle(std::string_view value) {
  return "\x80\x02" + std::string(value) + ".";
}

}  // namespace py

struct ZipRecord {
  std::string name;
  std::string data;
  std::uint16_t method = 0;
  std::uint16_t flags = 0;
};

// `zip64` writes all numbers of the directory in the wide form.
[[nodiscard]] inline std::string zip_bytes(const std::vector<ZipRecord>& records,
                                           bool zip64 = false) {
  constexpr std::uint32_t kWide = 0xFFFFFFFF;
  std::string out;
  std::string directory;
  for (const ZipRecord& record : records) {
    const std::uint64_t offset = out.size();
    const std::uint64_t size = record.data.size();
    const auto narrow = [&](std::uint64_t n) {
      return little(zip64 ? kWide : static_cast<std::uint32_t>(n));
    };
    const std::string extra = zip64 ? little(std::uint16_t{1}) + little(std::uint16_t{24}) +
                                          little(size) + little(size) + little(offset)
                                    : "";
    const std::string common = little(std::uint16_t{45}) + little(record.flags) +
                               little(record.method) + std::string(8, '\0') + narrow(size) +
                               narrow(size) +
                               little(static_cast<std::uint16_t>(record.name.size()));
    out += "PK\x03\x04" + common + little(std::uint16_t{0}) + record.name + record.data;
    directory += "PK\x01\x02" + little(std::uint16_t{45}) + common +
                 little(static_cast<std::uint16_t>(extra.size())) + std::string(10, '\0') +
                 narrow(offset) + record.name + extra;
  }
  const std::uint64_t begin = out.size();
  const std::uint64_t count = records.size();
  out += directory;
  if (zip64) {
    const std::uint64_t end = out.size();
    out += "PK\x06\x06" + little(std::uint64_t{44}) + std::string(12, '\0') + little(count) +
           little(count) + little(std::uint64_t{directory.size()}) + little(begin);
    out += "PK\x06\x07" + std::string(4, '\0') + little(end) + little(std::uint32_t{1});
  }
  const auto short_count = little(static_cast<std::uint16_t>(zip64 ? 0xFFFF : count));
  const auto number = [&](std::uint64_t n) {
    return little(zip64 ? kWide : static_cast<std::uint32_t>(n));
  };
  return out + "PK\x05\x06" + std::string(4, '\0') + short_count + short_count +
         number(directory.size()) + number(begin) + std::string(2, '\0');
}

// The zip form with one storage "0" of these bytes; `value` is the root of its pickle.
[[nodiscard]] inline std::string checkpoint(std::string_view value, std::string_view storage) {
  return zip_bytes({{"archive/data.pkl", py::pickle(value)},
                    {"archive/byteorder", "little"},
                    {"archive/data/0", std::string(storage)},
                    {"archive/version", "3\n"}});
}

// The form before PyTorch 1.6 with one storage "0" of `elements`.
[[nodiscard]] inline std::string legacy_checkpoint(std::string_view value, std::uint64_t elements,
                                                   std::string_view storage) {
  using namespace std::string_literals;
  return py::pickle("\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"s) +
         py::pickle(py::integer(1001)) + py::pickle(py::dict({py::text("little_endian"), "\x88"})) +
         py::pickle(value) + py::pickle("](" + py::text("0") + "e") + little(elements) +
         std::string(storage);
}

}  // namespace mistral::test
