// What the readers of files take from the heap, for whole files, for cut ones, and for ones whose
// numbers promise more than there is: never one piece above twice the file.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <new>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/error.h"
#include "formats/ggml_parser.h"
#include "formats/gguf_parser.h"
#include "formats/safetensors_header.h"
#include "formats/torch_checkpoint.h"
#include "formats/weight_folder.h"
#include "ggml_bytes.h"
#include "gguf_bytes.h"
#include "safetensors_bytes.h"

namespace {

bool watched = false;
std::size_t largest = 0;

void* allocate(std::size_t size) {
  if (watched) largest = std::max(largest, size);
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) {
  return allocate(size);
}
void* operator new[](std::size_t size) {
  return allocate(size);
}
// Sorting asks so for its buffer. Were it left out, a sanitizer would see memory of its own
// operator freed by the ones below.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  if (watched) largest = std::max(largest, size);
  return std::malloc(size == 0 ? 1 : size);
}
void* operator new[](std::size_t size, const std::nothrow_t& tag) noexcept {
  return operator new(size, tag);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace mistral::formats {
namespace {

// Messages and the first steps of growing containers, which small files need as large ones do.
constexpr std::size_t kOverhead = 4096;

using Parse = std::function<void(std::span<const std::byte>)>;

struct Format {
  std::string name;
  std::string sound;
  Parse parse;
  std::size_t header;  // the bytes that say how many and how large
};

std::string torch_file(const std::string& name) {
  const char* root = std::getenv("MISTRAL_TEST_DATA");
  const auto path = std::filesystem::path(root != nullptr ? root : "tests") / "formats/data/torch";
  std::ostringstream out;
  out << std::ifstream(path / name, std::ios::binary).rdbuf();
  return out.str();
}

std::vector<Format> formats() {
  const Parse gguf = [](auto bytes) { (void)parse_gguf(bytes); };
  const Parse ggml = [](auto bytes) { (void)parse_ggml(bytes); };
  const Parse safetensors = [](auto bytes) { (void)parse_safetensors(bytes); };
  const Parse torch = [](auto bytes) { (void)parse_torch(bytes); };
  const Parse index = [](auto bytes) { (void)parse_weight_index(bytes, safetensors_names()); };

  test::GgufBytes sound_gguf;
  sound_gguf.text("general.architecture", "llama")
      .array("texts", GgufType::kString, 2, sound_gguf.string("a") + sound_gguf.string(""))
      .array("numbers", GgufType::kU32, 4, std::string(16, '\1'))
      .tensor("matrix", {32, 2}, 2, 0)
      .tensor("vector", {3}, 0, 64)
      .data(std::string(64 + 12, 'd'));
  const std::string gguf_bytes = sound_gguf.build();
  const std::string zip = torch_file("zip_2.pt");
  const std::string legacy = torch_file("legacy_4.pt");
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},)"
      R"("b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]}})";
  const std::string sharded =
      R"({"metadata":{"total_size":8},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})";
  return {{"gguf", gguf_bytes, gguf, gguf_bytes.size()},
          {"ggml", test::small_ggml(), ggml, 256},
          {"ggmf", test::small_ggml(test::kGgmf, 1), ggml, 256},
          {"safetensors", test::safetensors_bytes(header, std::string(22, 'd')), safetensors,
           header.size() + 8},
          {"torch zip", zip, torch, zip.size()},
          {"torch legacy", legacy, torch, legacy.size()},
          {"index", sharded, index, sharded.size()}};
}

// Whether the bytes were understood; fails the test if that took too large a piece of memory.
bool parse(const Format& format, const std::string& bytes, const std::string& what) {
  // A copy of its own, so that a sanitizer sees a read past the end.
  const std::vector<char> copy(bytes.begin(), bytes.end());
  bool understood = true;
  largest = 0;
  watched = true;
  try {
    format.parse(std::as_bytes(std::span(copy)));
  } catch (const Error&) {
    understood = false;
  }
  watched = false;
  EXPECT_LE(largest, 2 * bytes.size() + kOverhead) << format.name << ", " << what;
  return understood;
}

TEST(ParserMemory, FilesThatAreCut) {
  for (const Format& format : formats()) {
    ASSERT_FALSE(format.sound.empty()) << format.name;
    EXPECT_TRUE(parse(format, format.sound, "whole"));
    EXPECT_GT(largest, 0U) << "the allocations of " << format.name << " are not seen";
    const std::size_t end = std::min(format.header, format.sound.size());
    for (std::size_t size = 0; size < end; size += 16) {
      const std::string what = "the first " + std::to_string(size) + " bytes";
      EXPECT_FALSE(parse(format, format.sound.substr(0, size), what))
          << format.name << ", " << what;
    }
  }
}

// Any number may be a count or a length.
TEST(ParserMemory, NumbersThatPromiseMore) {
  for (const Format& format : formats()) {
    const std::size_t end = std::min(format.header, format.sound.size());
    int refused = 0;
    for (std::size_t at = 0; at + 4 <= end; ++at) {
      for (const std::uint32_t number : {0x00FFFFFFU, 0x10000000U, 0x7FFFFFFFU, 0xFFFFFFFFU}) {
        std::string bytes = format.sound;
        std::memcpy(bytes.data() + at, &number, sizeof number);
        const std::string what = std::to_string(number) + " at " + std::to_string(at);
        if (!parse(format, bytes, what)) ++refused;
      }
    }
    EXPECT_GT(refused, 100) << format.name;
  }
}

// Text is where the numbers have digits.
TEST(ParserMemory, ShapesThatPromiseMore) {
  for (const char* shape : {"[1000000000,1000000000]", "[18446744073709551615]", "[4294967296]"}) {
    const std::string header =
        std::string(R"({"a":{"dtype":"F32","shape":)") + shape + R"(,"data_offsets":[0,16]}})";
    const Format format{"safetensors", test::safetensors_bytes(header, std::string(16, 'd')),
                        [](auto bytes) { (void)parse_safetensors(bytes); }, 0};
    EXPECT_FALSE(parse(format, format.sound, shape));
  }
}

// Above the part that small files may take in any case.
TEST(ParserMemory, ManyTensors) {
  std::string header;
  for (int i = 0; i < 200'000; ++i) {
    header += (i == 0 ? "{\"" : ",\"") + std::to_string(i) +
              R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  }
  const Format safetensors{"safetensors", test::safetensors_bytes(header + "}", ""),
                           [](auto bytes) { (void)parse_safetensors(bytes); }, 0};
  (void)parse(safetensors, safetensors.sound, "many tensors");
  test::GgufBytes many;
  for (int i = 0; i < 200'000; ++i) many.tensor(std::to_string(i), {0}, 0, 0);
  const Format gguf{"gguf", many.build(), [](auto bytes) { (void)parse_gguf(bytes); }, 0};
  (void)parse(gguf, gguf.sound, "many tensors");
}

}  // namespace
}  // namespace mistral::formats
