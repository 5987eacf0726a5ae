#include "hub/settings.h"

#include <map>

#include <gmock/gmock.h>

#include "error_of.h"
#include "temporary_folder.h"

namespace mistral::hub {
namespace {

using test::error_of;
using testing::HasSubstr;
using testing::Not;

Environment environment(std::map<std::string, std::string, std::less<>> values) {
  return [values = std::move(values)](std::string_view name) -> std::optional<std::string> {
    const auto found = values.find(name);
    if (found == values.end()) return std::nullopt;
    return found->second;
  };
}

TEST(Settings, HaveTheDefaultsOfThePythonClient) {
  const Settings settings = settings_from(environment({{"HOME", "/h"}}));
  EXPECT_EQ(settings.cache, "/h/.cache/huggingface/hub");
  EXPECT_EQ(settings.token_file, "/h/.cache/huggingface/token");
  EXPECT_EQ(settings.endpoint, "https://huggingface.co");
  EXPECT_FALSE(settings.offline);
}

TEST(Settings, FollowTheEnvironment) {
  EXPECT_EQ(settings_from(environment({{"HF_HOME", "/x"}})).cache, "/x/hub");
  EXPECT_EQ(settings_from(environment({{"HF_HOME", "/x"}})).token_file, "/x/token");
  EXPECT_EQ(settings_from(environment({{"HF_HUB_CACHE", "/c"}})).cache, "/c");
  EXPECT_EQ(settings_from(environment({{"HUGGINGFACE_HUB_CACHE", "/c"}})).cache, "/c");
  EXPECT_EQ(settings_from(environment({{"HOME", "/h"}, {"HF_HOME", "~/x"}})).cache, "/h/x/hub");
  EXPECT_EQ(settings_from(environment({{"A", "/a"}, {"HF_HUB_CACHE", "$A/${A}$B$"}})).cache,
            "/a//a$B$");
  EXPECT_EQ(settings_from(environment({{"HOME", "/h"}, {"XDG_CACHE_HOME", "/x"}})).cache,
            "/x/huggingface/hub");
  EXPECT_EQ(settings_from(environment({{"HOME", "/h"}, {"HF_ENDPOINT", "http://127.0.0.1:8//"}}))
                .endpoint,
            "http://127.0.0.1:8");
  for (const char* yes : {"1", "ON", "yes", "True"}) {
    EXPECT_TRUE(settings_from(environment({{"HOME", "/"}, {"HF_HUB_OFFLINE", yes}})).offline);
  }
  EXPECT_FALSE(settings_from(environment({{"HOME", "/"}, {"HF_HUB_OFFLINE", "0"}})).offline);
}

TEST(Settings, NeedAFolderAndAUrl) {
  EXPECT_THAT(error_of([] { return settings_from(environment({})); }).what(),
              HasSubstr("no home directory"));
  EXPECT_THAT(error_of([] {
                return settings_from(environment({{"HOME", "/"}, {"HF_ENDPOINT", "huggingface"}}));
              }).what(),
              HasSubstr("HF_ENDPOINT"));
}

TEST(Token, ComesFromItsSource) {
  const test::TemporaryFolder folder;
  Settings settings;
  settings.token_file = folder.write("token", " from-file \n");
  const auto read = [&](std::string_view source,
                        std::map<std::string, std::string, std::less<>> values = {}) {
    return TokenSource(source).read(settings, environment(std::move(values)));
  };
  EXPECT_EQ(read("literal:a:b"), "a:b");
  EXPECT_EQ(read("env:X", {{"X", "x"}}), "x");
  EXPECT_EQ(read("env", {{"HUGGING_FACE_HUB_TOKEN", "old"}}), "old");
  EXPECT_EQ(read("env:X"), std::nullopt);
  EXPECT_EQ(read("path:" + settings.token_file.string()), "from-file");
  EXPECT_EQ(read("path:" + folder.path().string()), std::nullopt);
  EXPECT_EQ(read("path:/no/such"), std::nullopt);
  EXPECT_EQ(read("cache"), "from-file");
  EXPECT_EQ(read("cache", {{"HF_TOKEN", "first"}}), "first");
  EXPECT_EQ(read("cache", {{"HF_TOKEN", ""}}), "from-file");
  EXPECT_EQ(read("none", {{"HF_TOKEN", "first"}}), std::nullopt);
}

TEST(Token, IsNeverPartOfAMessage) {
  for (const char* source : {"hf_secret", "hf_secret:x", "cache:hf_secret", "none:hf_secret"}) {
    const Error error = error_of([&] { return TokenSource(source); });
    EXPECT_THAT(error.what(), HasSubstr("Invalid token source format")) << source;
    EXPECT_THAT(error.what(), Not(HasSubstr("hf_secret"))) << source;
  }
  for (const char* source : {"literal:hf_secret\r\nX: y", "literal:hf_secret x"}) {
    const Error error =
        error_of([&] { return TokenSource(source).read(Settings{}, environment({})); });
    EXPECT_THAT(error.what(), Not(HasSubstr("hf_secret")));
  }
  EXPECT_THAT(TokenSource("literal:hf_secret").describe({}), Not(HasSubstr("hf_secret")));
}

TEST(Token, SourcesWithoutAValueAreRefused) {
  EXPECT_STREQ(error_of([] { return TokenSource("literal"); }).what(),
               "Expected a value for 'literal'");
  EXPECT_STREQ(error_of([] { return TokenSource("path:"); }).what(), "Expected a value for 'path'");
}

}  // namespace
}  // namespace mistral::hub
