// A vocabulary and the embedding that it is for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "error_of.h"
#include "models/description.h"
#include "temporary_folder.h"

namespace mistral::models {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Four tokens of the vocabulary and one that was added.
std::string small_tokenizer() {
  return R"({"added_tokens":[{"id":4,"content":"<extra>","special":true}],
             "model":{"type":"WordLevel","vocab":{"a":0,"b":1,"c":2,"d":3},"unk_token":"a"}})";
}

class TextSideTest : public testing::Test {
 protected:
  // What a folder with that tokenizer gives to a model whose embedding has so many rows.
  LoadedModel with_rows(std::int64_t rows, const TextOptions& options = {}) const {
    ModelPath path;
    path.kind = ModelPath::Kind::kFolder;
    path.folder = folder_.path();
    Description description;
    description.name = "test";
    description.kind = "folder";
    description.spec.vocab_size = rows;
    LoadedModel model;
    load_text_side(path, description, model, options);
    return model;
  }

  const test::TemporaryFolder folder_;
  const std::filesystem::path file_ = folder_.write("tokenizer.json", small_tokenizer());
};

TEST_F(TextSideTest, RowsWithoutTokensArePadding) {
  for (const std::int64_t rows : {5, 8, 64}) EXPECT_NE(with_rows(rows).tokenizer, nullptr) << rows;
}

// Only that token cannot be used.
TEST_F(TextSideTest, AnAddedTokenWithoutARowIsHarmless) {
  EXPECT_NE(with_rows(4).tokenizer, nullptr);
}

TEST_F(TextSideTest, ATokenOfTheVocabularyWithoutARowIsNot) {
  const LoadedModel model = with_rows(3);
  EXPECT_EQ(model.tokenizer, nullptr);
  EXPECT_THAT(model.tokenizer_problem, AllOf(HasSubstr(file_.string()), HasSubstr("4 tokens"),
                                             HasSubstr("only 3 rows"), HasSubstr("token 3 \"d\"")));
  // Nor is it passed over when the user names the file.
  TextOptions chosen;
  chosen.tokenizer_json = file_;
  EXPECT_THAT(test::error_of([&] { return with_rows(3, chosen); }).what(),
              HasSubstr("token 3 \"d\""));
}

}  // namespace
}  // namespace mistral::models
