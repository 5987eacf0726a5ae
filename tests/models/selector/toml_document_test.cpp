#include "models/selector/toml_document.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "error_of.h"

namespace mistral::models {
namespace {

using test::error_of;
using testing::HasSubstr;
using testing::StartsWith;

std::string repeated(const std::string& text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

void expect_refused(const std::string& text, const std::string& begins, const std::string& says) {
  const Error error = error_of([&] { return parse_toml(text, "f.toml"); });
  EXPECT_EQ(error.kind(), ErrorKind::kInvalidFile);
  EXPECT_THAT(error.what(), StartsWith(begins)) << text.substr(0, 80);
  EXPECT_THAT(error.what(), HasSubstr(says)) << text.substr(0, 80);
}

TEST(TomlDocumentTest, ValuesKnowTheirPlace) {
  const TomlValue root = parse_toml("# first\ntop = 1\n\n[tab]\n  \"ö\" = \"x\"\n", "f");
  const auto& entries = std::get<TomlValue::Table>(root.content);
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].key, "top");
  EXPECT_EQ(entries[0].place.line, 2U);
  EXPECT_EQ(entries[0].place.column, 1U);
  EXPECT_EQ(entries[0].value.place.column, 7U);
  EXPECT_EQ(entries[1].value.place.line, 4U);
  const auto& inner = std::get<TomlValue::Table>(entries[1].value.content);
  EXPECT_EQ(inner[0].key, "ö");
  EXPECT_EQ(inner[0].place.line, 5U);
  EXPECT_EQ(inner[0].place.column, 3U);
  EXPECT_EQ(inner[0].value.place.column, 9U);  // characters, not bytes
}

TEST(TomlDocumentTest, EveryType) {
  const TomlValue root = parse_toml(
      "a = 's'\nb = 0x10\nc = 1.5\nd = true\ne = 1979-05-27\nf = [1, 2]\ng = {h = 1}\n"
      "i = \"\"\"\nlong\"\"\"\"\"\n",
      "f");
  const auto& entries = std::get<TomlValue::Table>(root.content);
  ASSERT_EQ(entries.size(), 8U);
  EXPECT_EQ(std::get<std::string>(entries[0].value.content), "s");
  EXPECT_EQ(std::get<std::int64_t>(entries[1].value.content), 16);
  EXPECT_EQ(std::get<double>(entries[2].value.content), 1.5);
  EXPECT_EQ(std::get<bool>(entries[3].value.content), true);
  EXPECT_EQ(entries[4].value.type_name(), "a date or a time");
  EXPECT_EQ(std::get<TomlValue::Array>(entries[5].value.content).size(), 2U);
  EXPECT_EQ(entries[6].value.type_name(), "a table");
  EXPECT_EQ(std::get<std::string>(entries[7].value.content), "long\"\"");
}

TEST(TomlDocumentTest, WhatIsNotToml) {
  expect_refused("[model\nmodel_id = \"base\"\n", "f.toml:1:", "not valid TOML");
  expect_refused("a = 1\n[(model]\n", "f.toml:2:2: ", "saw '('");  // an assertion of the parser
  expect_refused("a = 1\nb =\n", "f.toml:2:", "not valid TOML");
  expect_refused("a = 1\na = 2\n", "f.toml:2:", "'a'");
  expect_refused("[m]\nx = 1\n[m]\ny = 1\n", "f.toml:3:", "'m'");
  expect_refused("a = \"\xFF\"\n", "f.toml:1:", "not valid TOML");
  expect_refused(std::string("a = 1\n\0b = 2\n", 13), "f.toml:2:", "not valid TOML");
  expect_refused("a = \"open\nb = 1\n", "f.toml:1:", "not valid TOML");
  expect_refused("a = 99999999999999999999\n", "f.toml:1:", "not valid TOML");
}

// U+00E9, U+2C5F and U+FEFE are of parts of Unicode that the parser's tables do not know.
TEST(TomlDocumentTest, LettersOutsideOfTexts) {
  for (const std::string letter : {"\u00e9", "\u2c5f", "\ufefe", "\U0001f600"}) {
    expect_refused(letter + " = 1\n", "f.toml:1:1: ", "not valid TOML");
    expect_refused("[mode" + letter, "f.toml:1:", "not valid TOML");
    expect_refused("a = 1\nb = " + letter, "f.toml:2:", "not valid TOML");
    const TomlValue root = parse_toml("a = \"\"\"\\\n " + letter + "\"\"\" # " + letter, "f");
    const auto& entries = std::get<TomlValue::Table>(root.content);
    ASSERT_EQ(entries.size(), 1U);
    EXPECT_EQ(std::get<std::string>(entries[0].value.content), letter);
  }
}

TEST(TomlDocumentTest, NestingIsLimited) {
  const auto nested = [](int depth) {
    return "x = " + std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_NO_THROW((void)parse_toml(nested(15), "f"));
  expect_refused(nested(25'000), "f.toml:1:", "deep");
  expect_refused("a = 1\nx = " + repeated("{a = ", 25'000), "f.toml:2:", "deep");
  // Dotted keys nest, too, wherever they stand.
  EXPECT_NO_THROW((void)parse_toml(repeated("a.", 14) + "a = 1", "f"));
  expect_refused(repeated("a.", 25'000) + "a = 1", "f.toml:1:", "deep");
  expect_refused("\n[" + repeated("a . ", 25'000) + "a]", "f.toml:2:", "deep");
  expect_refused(repeated("\"#\".'\"'.", 12'000) + "a = 1", "f.toml:1:", "deep");
  expect_refused("s = '''\n\n''''' # '''\n" + repeated("a.", 25'000) + "a = 1",
                 "f.toml:4:", "deep");
  expect_refused("s = \"\"\"\\\"\"\"\\\\\"\"\"\n" + repeated("a.", 25'000) + "a = 1",
                 "f.toml:2:", "deep");
  expect_refused("x = {" + repeated("a.", 12) + "a = {" + repeated("a.", 12) + "a = 1}}",
                 "f.toml:1:", "deep");
}

TEST(TomlDocumentTest, DotsInTextsAreNoNesting) {
  const std::string dots(500, '.');
  EXPECT_NO_THROW(
      (void)parse_toml("a = '" + dots + "' # " + dots + "\nb = [\"" + dots + "\"]", "f"));
}

TEST(TomlDocumentTest, SizeIsLimited) {
  EXPECT_NO_THROW((void)parse_toml(std::string(kMaxTomlBytes, '\n'), "f"));
  expect_refused(std::string(kMaxTomlBytes + 1, '\n'), "f.toml:", "longer than");
}

}  // namespace
}  // namespace mistral::models
