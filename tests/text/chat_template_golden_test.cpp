// The reference renderings: every template of golden/chat_template over every conversation, and
// the single features of the language.
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "core/json.h"
#include "golden_dir.h"
#include "text/chat_template/chat_template.h"

namespace mistral::text {
namespace {

namespace fs = std::filesystem;

fs::path folder() {
  return test::golden_dir() / "chat_template";
}

std::vector<Json> read_lines(const fs::path& path) {
  std::vector<Json> rows;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) rows.push_back(Json::parse(line));
  }
  return rows;
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The moment at which the references were made: 2025-03-05 14:07:09 local time.
std::chrono::system_clock::time_point golden_now() {
  std::tm time{};
  time.tm_year = 125;
  time.tm_mon = 2;
  time.tm_mday = 5;
  time.tm_hour = 14;
  time.tm_min = 7;
  time.tm_sec = 9;
  time.tm_isdst = -1;
  return std::chrono::system_clock::from_time_t(std::mktime(&time));
}

std::string kind_name(TemplateErrorKind kind) {
  switch (kind) {
    case TemplateErrorKind::kSyntax:
      return "syntax";
    case TemplateErrorKind::kUndefined:
      return "undefined";
    case TemplateErrorKind::kRuntime:
      return "runtime";
    case TemplateErrorKind::kRaise:
      return "raise";
    case TemplateErrorKind::kSecurity:
      return "security";
    case TemplateErrorKind::kLimit:
      return "limit";
  }
  return "?";
}

struct Outcome {
  std::string output;
  std::optional<std::string> error_kind;
  std::string message;
  int line = 0;
};

Outcome run(const std::string& source, const Json& context) {
  Outcome outcome;
  try {
    outcome.output = ChatTemplate::compile(source).render(context, golden_now());
  } catch (const TemplateError& error) {
    outcome.error_kind = kind_name(error.template_kind());
    outcome.message = error.message();
    outcome.line = error.line();
  }
  return outcome;
}

void expect_outcome(const Outcome& outcome, const Json& row, const std::string& name) {
  if (row.contains("output")) {
    EXPECT_FALSE(outcome.error_kind.has_value())
        << name << ": " << outcome.error_kind.value_or("") << ": " << outcome.message;
    EXPECT_EQ(outcome.output, row["output"].get<std::string>()) << name;
    return;
  }
  const Json& error = row["error"];
  ASSERT_TRUE(outcome.error_kind.has_value()) << name << " gave " << outcome.output;
  EXPECT_EQ(*outcome.error_kind, error["kind"].get<std::string>())
      << name << ": " << outcome.message;
  if (error["kind"] == "raise") {
    EXPECT_EQ(outcome.message, error["message"].get<std::string>()) << name;
  }
  if (error.contains("line") && error["line"].is_number()) {
    EXPECT_EQ(outcome.line, error["line"].get<int>()) << name << ": " << outcome.message;
  }
}

TEST(ChatTemplateGolden, Features) {
  const std::vector<Json> rows = read_lines(folder() / "features.jsonl");
  ASSERT_FALSE(rows.empty()) << "no cases in " << folder();
  for (const Json& row : rows) {
    const auto source = row["template"].get<std::string>();
    expect_outcome(run(source, row["context"]), row, row["id"].get<std::string>() + " " + source);
  }
}

TEST(ChatTemplateGolden, Renderings) {
  std::map<std::string, Json> conversations;
  for (const Json& row : read_lines(folder() / "conversations.jsonl")) {
    conversations[row["name"].get<std::string>()] = row["context"];
  }
  const std::vector<Json> rows = read_lines(folder() / "rendered.jsonl");
  ASSERT_FALSE(rows.empty()) << "no cases in " << folder();
  std::map<std::string, std::string> sources;
  for (const Json& row : rows) {
    const auto name = row["template"].get<std::string>();
    if (!sources.contains(name)) {
      fs::path path = folder() / "templates" / name;
      if (!fs::exists(path)) path += ".jinja";
      sources[name] = read_text(path);
    }
    const auto conversation = row["conversation"].get<std::string>();
    ASSERT_TRUE(conversations.contains(conversation)) << conversation;
    Json context = conversations[conversation];
    context["bos_token"] = row["bos_token"];
    context["eos_token"] = row["eos_token"];
    context["unk_token"] = "<unk>";
    context["pad_token"] = "<pad>";
    for (const char* optional : {"tools", "documents"}) {
      if (!context.contains(optional)) context[optional] = nullptr;
    }
    expect_outcome(run(sources[name], context), row, name + " over " + conversation);
  }
}

}  // namespace
}  // namespace mistral::text
