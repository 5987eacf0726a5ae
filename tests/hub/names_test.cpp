#include "hub/names.h"

#include <gtest/gtest.h>

#include "hub/url.h"

namespace mistral::hub {
namespace {

using namespace std::string_literals;

TEST(ModelId, TakesOrganisationNameAndQuantisation) {
  const auto id = parse_model_id("Qwen/Qwen2.5-0.5B_x");
  ASSERT_TRUE(id);
  EXPECT_EQ(id->repository, "Qwen/Qwen2.5-0.5B_x");
  EXPECT_EQ(id->folder_name(), "models--Qwen--Qwen2.5-0.5B_x");
  EXPECT_EQ(id->quant, "");
  EXPECT_EQ(parse_model_id("a/b:Q4_K_M")->quant, "Q4_K_M");
  EXPECT_EQ(parse_model_id("a/b:sub/file.gguf")->quant, "sub/file.gguf");
}

TEST(ModelId, RefusesWhatIsNone) {
  for (const std::string& text : {""s,           "gpt2"s,
                                  "/a/b"s,       "a/b/c"s,
                                  "a/"s,         "/b"s,
                                  "./b"s,        "../b"s,
                                  "a/.."s,       "a/-b"s,
                                  "a/b."s,       "a/b--c"s,
                                  "a/b..c"s,     "a/b.git"s,
                                  "a/b.gguf"s,   "a b/c"s,
                                  "a/b\\c"s,     "a/b\0"s,
                                  "a/b:"s,       "a/b:../x"s,
                                  "a/\xc3\xbc"s, "a/" + std::string(200, 'b')}) {
    EXPECT_FALSE(parse_model_id(text)) << text;
  }
}

TEST(FileNames, StayBelowTheirFolder) {
  for (const std::string& name : {"a"s, "a/b.c"s, "..a"s, "a../b"s, ".gitattributes"s, "a b"s}) {
    EXPECT_TRUE(is_safe_file_name(name)) << name;
  }
  for (const std::string& name :
       {""s, "/a"s, "a/"s, "a//b"s, "."s, ".."s, "../a"s, "a/.."s, "a/../b"s, "a/./b"s, "a\\b"s,
        "..\\a"s, "a\0b"s, "a\nb"s, "\x7f"s, "a/ "s, std::string(300, 'a')}) {
    EXPECT_FALSE(is_safe_file_name(name)) << name;
  }
}

TEST(Revisions, AreNamesOrCommits) {
  const std::string commit(40, 'a');
  EXPECT_TRUE(is_commit(commit));
  EXPECT_FALSE(is_commit(std::string(40, 'A')));
  EXPECT_FALSE(is_commit(std::string(39, 'a')));
  for (const std::string& text : {"main"s, "v1.0"s, "refs/pr/1"s, commit}) {
    EXPECT_TRUE(is_revision(text)) << text;
  }
  for (const std::string& text : {""s, "-x"s, "a b"s, "../x"s, "a..b"s, "a~1"s, "a:b"s, "x/"s}) {
    EXPECT_FALSE(is_revision(text)) << text;
  }
}

TEST(Etags, BecomeFileNames) {
  EXPECT_EQ(normalized_etag("\"abc\""), "abc");
  EXPECT_EQ(normalized_etag("W/\"abc-1\""), "abc-1");
  EXPECT_EQ(normalized_etag("abc"), "abc");
  for (const std::string& text : {""s, "\"\""s, "\"../x\""s, ".."s, "a/b"s, "\""s, "a\"b"s}) {
    EXPECT_FALSE(normalized_etag(text)) << text;
  }
}

TEST(Urls, AreEncoded) {
  EXPECT_EQ(url_encoded("refs/pr/1", Slashes::kEncode), "refs%2Fpr%2F1");
  EXPECT_EQ(url_encoded("a b/#?%\xc3\xbc", Slashes::kKeep), "a%20b/%23%3F%25%C3%BC");
}

TEST(Urls, KnowTheirOrigin) {
  const auto url = Url::parse("https://Hub.example/a?token=secret#x");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "hub.example");
  EXPECT_EQ(url->port, 443);
  EXPECT_EQ(url->printable(), "'https://Hub.example/a'");
  EXPECT_TRUE(url->same_origin(*Url::parse("https://hub.example:443/b")));
  EXPECT_FALSE(url->same_origin(*Url::parse("http://hub.example/b")));
  EXPECT_FALSE(url->same_origin(*Url::parse("https://hub.example:8443/b")));
  EXPECT_FALSE(url->same_origin(*Url::parse("https://hub.example.other/b")));
  EXPECT_EQ(url->follow("/c/d")->text, "https://Hub.example/c/d");
  EXPECT_EQ(url->follow("//other.example/x")->host, "other.example");
  for (const char* text : {"", "x", "ftp://a", "file:///a", "https://a:b@c/", "https://"}) {
    EXPECT_FALSE(Url::parse(text)) << text;
  }
  EXPECT_FALSE(url->follow("file:///etc/passwd"));
}

TEST(Urls, KnowLoopback) {
  for (const char* text : {"http://127.0.0.1:1/", "http://localhost/", "http://[::1]:8/"}) {
    EXPECT_TRUE(Url::parse(text)->is_loopback()) << text;
  }
  for (const char* text : {"http://128.0.0.1/", "http://127.0.0.1.evil.example/", "http://a/"}) {
    EXPECT_FALSE(Url::parse(text)->is_loopback()) << text;
  }
}

}  // namespace
}  // namespace mistral::hub
