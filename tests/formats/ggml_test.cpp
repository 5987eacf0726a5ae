// Legacy llama files: what the parser accepts and refuses, and what they are called in GGUF's
// terms.
#include "formats/ggml.h"

#include <span>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "error_of.h"
#include "formats/ggml_parser.h"
#include "ggml_bytes.h"
#include "temporary_folder.h"

namespace mistral::formats {
namespace {

using test::error_of;
using test::GgmlBytes;
using test::kGgjt;
using test::kGgmf;
using test::small_ggml;
using testing::ElementsAre;
using testing::HasSubstr;

ParsedGgml parse(const std::string& bytes) {
  return parse_ggml(std::as_bytes(std::span(bytes)));
}
std::string parse_error(const std::string& bytes) {
  return error_of([&] { return parse(bytes); }).what();
}

TEST(GgmlParser, ReadsAllContainers) {
  for (const auto& [magic, version] : std::vector<std::pair<std::string_view, std::uint32_t>>{
           {test::kGgml, 0}, {kGgmf, 1}, {kGgjt, 1}, {kGgjt, 2}, {kGgjt, 3}}) {
    for (const std::uint32_t type : {0U, 1U}) {
      SCOPED_TRACE(std::string(magic) + " " + std::to_string(version));
      const std::string bytes = small_ggml(magic, version, type, type == 0 ? 4 : 2);
      const ParsedGgml file = parse(bytes);
      EXPECT_EQ(file.version, version);
      EXPECT_EQ(file.heads, 4U);
      EXPECT_EQ(file.rotary, 8U);
      EXPECT_THAT(file.pieces, ElementsAre(" \xe2\x81\x87 ", "", "", std::string("\0", 1), " a"));
      EXPECT_EQ(file.scores.size(), version == 0 ? 0U : 5U);
      ASSERT_EQ(file.tensors.size(), 12U);
      const TensorInfo& tensor = file.tensors.back();
      EXPECT_EQ(tensor.name, "layers.0.ffn_norm.weight");
      EXPECT_EQ(tensor.view.data.data() + tensor.view.data.size(),
                std::as_bytes(std::span(bytes)).data() + bytes.size());
      EXPECT_EQ(to_string(file.tensors[0].view.shape), "[5, 32]");
      EXPECT_EQ(file.tensors[0].view.dtype, type == 0 ? DType::kF32 : DType::kF16);
    }
  }
}

// 18 bytes for a block of 32 Q4_0 elements in version 3.
TEST(GgmlParser, QuantisedBlocksOnlyInTheirFinalLayout) {
  const auto with = [](std::string_view magic, std::uint32_t version) {
    return GgmlBytes(magic, version).hyper_parameters(0).tensor("t", {32, 2}, 2, 36).bytes();
  };
  EXPECT_EQ(parse(with(kGgjt, 3)).tensors[0].view.dtype, DType::kQ4_0);
  EXPECT_THAT(parse_error(with(kGgjt, 2)),
              AllOf(HasSubstr("Q4_0"), HasSubstr("ggjt version 2"), HasSubstr("'t'")));
  EXPECT_THAT(parse_error(with(kGgjt, 1)), HasSubstr("ggjt version 1"));
  EXPECT_THAT(parse_error(with(kGgmf, 1)), HasSubstr("ggmf version 1"));
}

TEST(GgmlParser, RefusesWhatIsBroken) {
  EXPECT_THAT(parse_error("GGUF0000"), HasSubstr("magic"));
  EXPECT_THAT(parse_error(GgmlBytes(kGgjt, 4).bytes()),
              HasSubstr("ggjt version 4; expected 1 to 3"));
  EXPECT_THAT(parse_error(GgmlBytes(kGgmf, 2).bytes()), HasSubstr("ggmf version 2; expected 1"));
  EXPECT_THAT(parse_error(GgmlBytes().hyper_parameters(0).bytes()), HasSubstr("expected tensors"));
  EXPECT_THAT(parse_error(GgmlBytes().hyper_parameters(0xffffffff).bytes()),
              HasSubstr("n_vocab is 4294967295"));
  EXPECT_THAT(parse_error(GgmlBytes().hyper_parameters(1).u32(0xfffffff0).u32(0).bytes()),
              HasSubstr("4294967280 bytes"));
  const auto tensor = [](const std::vector<std::uint32_t>& dims, std::uint32_t type,
                         std::size_t size) {
    return parse_error(GgmlBytes().hyper_parameters(0).tensor("t", dims, type, size).bytes());
  };
  EXPECT_THAT(tensor({}, 0, 0), HasSubstr("0 dimensions"));
  EXPECT_THAT(tensor({1, 1, 1}, 0, 4), HasSubstr("3 dimensions"));
  EXPECT_THAT(tensor({0, 4}, 0, 0), HasSubstr("empty"));
  EXPECT_THAT(tensor({8}, 0, 31), HasSubstr("the data"));
  EXPECT_THAT(tensor({0xffffffff, 0xffffffff}, 0, 8), HasSubstr("too large"));
  EXPECT_THAT(tensor({0x80000000, 0x20000000}, 0, 8), HasSubstr("the data"));
  EXPECT_THAT(tensor({31, 2}, 2, 36), HasSubstr("multiple of 32"));
  for (const std::uint32_t removed : {4U, 5U, 31U, 36U, 77U}) {
    EXPECT_THAT(tensor({32}, removed, 18), HasSubstr("type number " + std::to_string(removed)));
  }
  const std::string long_name(257, 'x');
  EXPECT_THAT(parse_error(GgmlBytes().hyper_parameters(0).tensor(long_name, {1}, 0, 4).bytes()),
              HasSubstr("257 bytes"));
}

// A cut at a tensor's end leaves a sound container, but never one with the tensor behind it.
TEST(GgmlParser, TruncationIsNoticedEverywhere) {
  for (const auto& [magic, version] :
       {std::pair{test::kGgml, 0U}, {test::kGgmf, 1U}, {test::kGgjt, 1U}, {test::kGgjt, 3U}}) {
    SCOPED_TRACE(std::string(magic) + std::to_string(version));
    const std::string bytes = small_ggml(magic, version);
    const auto whole = parse(bytes);
    ASSERT_EQ(whole.tensors.size(), 12U);
    const auto before_data = static_cast<std::size_t>(whole.tensors[0].view.data.data() -
                                                      std::as_bytes(std::span(bytes)).data());
    int refused = 0;
    int shorter = 0;
    for (std::size_t size = 0; size < bytes.size(); size += 16) {
      // A copy of its own, so that a sanitizer sees a read past the end.
      const auto cut = std::as_bytes(std::span(bytes)).first(size);
      const std::vector<std::byte> part(cut.begin(), cut.end());
      try {
        EXPECT_LT(parse_ggml(part).tensors.size(), 12U) << size;
        EXPECT_GT(size, before_data);
        ++shorter;
      } catch (const Error&) {
        ++refused;
      }
    }
    EXPECT_LE(shorter, 11);  // one for each end of a tensor
    EXPECT_GT(refused, 1000);
  }
}

TEST(GgmlParser, RefusesMorePiecesThanFitInTwiceTheFile) {
  constexpr std::uint32_t kPieces = 1'000'000;
  GgmlBytes file(test::kGgml, 0);
  file.hyper_parameters(kPieces);
  for (std::uint32_t i = 0; i < kPieces; ++i) file.piece("");
  EXPECT_THAT(parse_error(file.bytes()), HasSubstr("the file needs more than"));
}

TEST(Ggml, NamesTheFileThatIsCut) {
  const test::TemporaryFolder folder;
  const auto path = folder.write("cut.bin", small_ggml().substr(0, 400));
  EXPECT_THAT(error_of([&] { return open_ggml(path, {}); }).what(), HasSubstr("cut.bin"));
}

TEST(Ggml, IsReadAsGguf) {
  const test::TemporaryFolder folder;
  const auto path = folder.write("model.bin", small_ggml());
  EXPECT_TRUE(is_ggml_file(path));
  EXPECT_FALSE(is_ggml_file(folder.write("other.bin", "GGUF")));
  EXPECT_FALSE(is_ggml_file(folder.write("short.bin", "tj")));
  EXPECT_FALSE(is_ggml_file(folder.path()));
  EXPECT_FALSE(is_ggml_file(folder.path() / "missing"));

  const auto file = open_ggml(path, {2});
  const GgufMetadata& metadata = file->metadata();
  EXPECT_EQ(file->architecture(), "llama");
  EXPECT_EQ(metadata.integer("llama.attention.head_count"), 4);
  EXPECT_EQ(metadata.integer("llama.attention.head_count_kv"), 2);
  EXPECT_EQ(metadata.integer("llama.feed_forward_length"), 64);
  EXPECT_EQ(metadata.integer("llama.context_length"), 4096);
  EXPECT_EQ(metadata.number("llama.attention.layer_norm_rms_epsilon"), 1e-5);
  EXPECT_THAT(metadata.strings("tokenizer.ggml.tokens"),
              ElementsAre("<unk>", "<s>", "</s>", "<0x00>",
                          "\xe2\x96\x81"
                          "a"));
  EXPECT_THAT(metadata.integers("tokenizer.ggml.token_type"), ElementsAre(2, 3, 3, 6, 1));
  EXPECT_THAT(metadata.numbers("tokenizer.ggml.scores"), ElementsAre(0, 0, 0, 0, -1));
  for (const char* name : {"token_embd", "output_norm", "output", "blk.0.attn_q", "blk.0.attn_k",
                           "blk.0.attn_v", "blk.0.attn_output", "blk.0.attn_norm", "blk.0.ffn_gate",
                           "blk.0.ffn_down", "blk.0.ffn_up", "blk.0.ffn_norm"}) {
    EXPECT_NE(file->find(std::string(name) + ".weight"), nullptr) << name;
  }
  EXPECT_EQ(to_string(file->require("blk.0.ffn_gate.weight").view.shape), "[64, 32]");
}

TEST(Ggml, RefusesWhatTheFileDoesNotFit) {
  const test::TemporaryFolder folder;
  const auto path = folder.write("model.bin", small_ggml());
  for (const std::int64_t gqa : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{3}}) {
    const Error error = error_of([&] { return open_ggml(path, {gqa}); });
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("model.bin"), HasSubstr("divisor of the 4 heads")));
  }
  // Without scores pieces cannot be merged: no vocabulary is offered.
  const auto old = open_ggml(folder.write("old.bin", small_ggml(test::kGgml, 0)), {});
  EXPECT_FALSE(old->metadata().contains("tokenizer.ggml.tokens"));
  const auto twice = GgmlBytes()
                         .hyper_parameters(0)
                         .tensor("layers.0.feed_forward.w1.weight", {1}, 0, 4)
                         .tensor("layers.0.feed_forward.w1.weight", {1}, 0, 4)
                         .bytes();
  EXPECT_THAT(error_of([&] { return open_ggml(folder.write("twice.bin", twice), {}); }).what(),
              HasSubstr("occurs twice"));
}

}  // namespace
}  // namespace mistral::formats
