#include "text/tool_calls/tool_call_parser.h"

#include <random>

#include <gtest/gtest.h>

#include "text/reasoning/reasoning_splitter.h"
#include "text/tool_calls/examples.h"

namespace mistral::text {

void PrintTo(const ToolCallEvent& event, std::ostream* out) {
  *out << static_cast<int>(event.kind) << ':' << event.index << ':' << event.text;
}

namespace {

using test::Example;
using test::example_tools;
using test::family_examples;
using Events = std::vector<ToolCallEvent>;
using Kind = ToolCallEvent::Kind;

std::vector<Example> all_examples() {
  std::vector<Example> examples = family_examples();
  for (const std::string& text : test::plain_examples()) {
    examples.push_back({"plain", text, text, {}});
  }
  return examples;
}

void add(Events& all, Events more) {
  for (ToolCallEvent& event : more) {
    const bool joins = !all.empty() && all.back().kind == event.kind &&
                       all.back().index == event.index &&
                       (event.kind == Kind::kContent || event.kind == Kind::kArguments);
    if (joins) {
      all.back().text += event.text;
    } else {
      all.push_back(std::move(event));
    }
  }
}

Events parse(const std::vector<std::string_view>& pieces, bool name_first = false,
             ToolCallLimits limits = {}) {
  ToolCallParser parser(example_tools(), limits, name_first);
  Events events;
  for (const std::string_view piece : pieces) add(events, parser.push(piece));
  add(events, parser.finish());
  return events;
}

std::string content_of(const Events& events) {
  std::string content;
  for (const ToolCallEvent& event : events) {
    if (event.kind == Kind::kContent) content += event.text;
  }
  return content;
}

TEST(ToolCallParser, ReadsTheFormsOfFamilies) {
  for (const Example& example : all_examples()) {
    SCOPED_TRACE(std::string(example.name) + ": " + example.text);
    const ToolAnswer answer =
        read_tool_answer(example_tools(), example.text, {}, example.name_first);
    EXPECT_EQ(answer.content, example.content);
    ASSERT_EQ(answer.calls.size(), example.calls.size());
    for (std::size_t i = 0; i < answer.calls.size(); ++i) {
      EXPECT_EQ(answer.calls[i].name, example.calls[i].name);
      EXPECT_EQ(answer.calls[i].arguments, example.calls[i].arguments);
    }
  }
}

TEST(ToolCallParser, EveryCutIntoTwoAndThreeGivesTheSame) {
  for (const Example& example : all_examples()) {
    const std::string_view text = example.text;
    const Events whole = parse({text}, example.name_first);
    for (std::size_t i = 0; i <= text.size(); ++i) {
      const auto head = text.substr(0, i);
      ASSERT_EQ(parse({head, text.substr(i)}, example.name_first), whole) << text << " at " << i;
      if (text.size() > 64) continue;
      for (std::size_t j = i; j <= text.size(); ++j) {
        ASSERT_EQ(parse({head, text.substr(i, j - i), text.substr(j)}, example.name_first), whole)
            << text << " at " << i << ", " << j;
      }
    }
  }
}

TEST(ToolCallParser, EveryBeginningGivesTheSameByteByByte) {
  for (const Example& example : all_examples()) {
    for (std::size_t size = 0; size <= example.text.size(); ++size) {
      const std::string_view text = std::string_view(example.text).substr(0, size);
      std::vector<std::string_view> bytes;
      for (std::size_t i = 0; i < size; ++i) bytes.push_back(text.substr(i, 1));
      ASSERT_EQ(parse(bytes, example.name_first), parse({text}, example.name_first)) << text;
    }
  }
}

TEST(ToolCallParser, AnswersInARowGiveTheSameAtRandomCuts) {
  const std::vector<Example> examples = all_examples();
  std::mt19937 random(5);
  const auto pick = [&](std::size_t count) {
    return std::uniform_int_distribution<std::size_t>(0, count - 1)(random);
  };
  for (int round = 0; round < 4000; ++round) {
    std::string text;
    for (std::size_t i = 1 + pick(3); i > 0; --i) {
      const std::string& part = examples[pick(examples.size())].text;
      text += part.substr(0, pick(4) == 0 ? pick(part.size() + 1) : part.size());
      if (pick(2) == 0) text += '\n';
    }
    std::vector<std::string_view> pieces;
    for (std::size_t at = 0; at < text.size();) {
      pieces.push_back(std::string_view(text).substr(at, 1 + pick(12)));
      at += pieces.back().size();
    }
    const Events whole = parse({text});
    ASSERT_EQ(parse(pieces), whole) << text;
    for (const ToolCallEvent& event : whole) {
      if (event.kind == Kind::kArguments) {
        ASSERT_TRUE(Json::parse(event.text).is_object()) << text;
      }
      if (event.kind == Kind::kCallBegin) {
        ASSERT_NE(example_tools().find(event.text), nullptr) << text;
      }
    }
  }
}

TEST(ToolCallParser, CallsBeginAndEndInOrder) {
  const Events events =
      parse({"A <tool_call>{\"name\": \"ping\", \"arguments\": {}}</tool_call> B "
             "<tool_call>{\"name\": \"get\", \"arguments\": {\"a\": 1}}"});
  const Events expected{{Kind::kContent, 0, "A"},
                        {Kind::kCallBegin, 0, "ping"},
                        {Kind::kArguments, 0, "{}"},
                        {Kind::kCallEnd, 0, ""},
                        {Kind::kContent, 0, " B"},
                        {Kind::kCallBegin, 1, "get"},
                        {Kind::kArguments, 1, R"({"a": 1})"},
                        {Kind::kCallEnd, 1, ""}};
  EXPECT_EQ(events, expected);
}

TEST(ToolCallParser, TextIsNotHeldUp) {
  ToolCallParser parser(example_tools());
  for (const std::string_view piece : {"Hello", " world", " 1 < 2", ".\n{ x", " <b>", "\n[1"}) {
    EXPECT_EQ(content_of(parser.push(piece)), piece);
  }
  // A name that is no tool's shows at once that this is no call.
  EXPECT_EQ(content_of(parser.push("\n{\"name\": \"gox\"")), "\n{\"name\": \"gox\"");
}

TEST(ToolCallParser, OtherJsonIsNotHeldUpForLong) {
  const std::string rest = " \"x\": [1, 2, 3],";
  std::string json = "{";
  while (json.size() < 2000) json += rest;
  ToolCallParser whole(example_tools());
  EXPECT_EQ(content_of(whole.push(json)).size(), json.size());
  ToolCallParser fenced(example_tools());
  EXPECT_EQ(content_of(fenced.push("```json\n{\"x\"")), "```json\n{\"x\"");
}

TEST(ToolCallParser, ACallComesWhenItsLastByteDoes) {
  ToolCallParser parser(example_tools());
  EXPECT_TRUE(parser.push("<tool_call>{\"name\": \"ping\", \"arguments\": {}").empty());
  EXPECT_EQ(parser.push("}").size(), 3U);
  EXPECT_EQ(parser.calls(), 1U);
  EXPECT_TRUE(parser.finish().empty());
}

TEST(ToolCallParser, PiecesOfWholeCharactersGiveWholeCharacters) {
  for (const std::string& text :
       {std::string("<｜tool▁calls▁begin｜>\xE2\x82\xAC"),
        "<tool_call>{\"name\": \"ping\", \"arguments\": {\"" + std::string(100, 'a') +
            "\xE2\x82\xAC\xE2\x82\xAC\": \"\xE2\x82\xAC " + std::string(60, 'b') +
            "\xE2\x82\xAC!"}) {
    ToolCallParser parser(example_tools());
    const auto whole = [](const Events& events) {
      for (const ToolCallEvent& event : events) {
        if (!Json::accept(Json(event.text).dump(-1, ' ', false, Json::error_handler_t::ignore)) ||
            Json(event.text)
                    .dump(-1, ' ', false, Json::error_handler_t::replace)
                    .find("\xEF\xBF\xBD") != std::string::npos) {
          return false;
        }
      }
      return true;
    };
    for (std::size_t i = 0; i < text.size();) {
      std::size_t end = i + 1;
      while (end < text.size() && (text[end] & 0xC0) == 0x80) ++end;
      EXPECT_TRUE(whole(parser.push(text.substr(i, end - i))));
      i = end;
    }
    EXPECT_TRUE(whole(parser.finish()));
  }
}

TEST(ToolCallParser, LimitsMakeContent) {
  const std::string call = "{\"name\": \"ping\", \"arguments\": {}}";
  const std::string three = call + "\n" + call + "\n" + call;
  const Events events = parse({three}, false, {.calls = 2});
  EXPECT_EQ(content_of(events), call);
  EXPECT_EQ(content_of(parse({"[" + call + "," + call + "]"}, false, {.calls = 1})),
            "[" + call + "," + call + "]");

  const auto nested = [](int depth) {
    return "{\"name\": \"get\", \"arguments\": {\"a\": " + std::string(depth, '[') +
           std::string(depth, ']') + "}}";
  };
  EXPECT_EQ(content_of(parse({nested(40)})), "");
  EXPECT_EQ(content_of(parse({nested(100'000)})), nested(100'000));
  const std::string python =
      "[get(a=" + std::string(100'000, '[') + std::string(100'000, ']') + ")]";
  EXPECT_EQ(content_of(parse({python})), python);

  const std::string big =
      "<tool_call>{\"name\": \"get\", \"arguments\": {\"a\": \"" + std::string(5000, 'x') + "\"}}";
  EXPECT_EQ(content_of(parse({big})), "");
  EXPECT_EQ(content_of(parse({big}, false, {.call_bytes = 4000})), big);
}

TEST(ToolCallParser, NoMoreIsHeldBackThanTheLimit) {
  for (const std::string_view piece : {"[", "{\"a\":", "<tool_call>", "\n", " ", ";", "```json\n",
                                       "<tool_call>\n<function=get>\n<parameter=a>\n"}) {
    ToolCallParser parser(example_tools(), {.call_bytes = 3000});
    std::size_t in = 0;
    std::size_t out = 0;
    for (int i = 0; i < 3000; ++i) {
      in += piece.size();
      out += content_of(parser.push(piece)).size();
      ASSERT_LE(in - out, 3000 + 1024 + piece.size()) << piece;
    }
    EXPECT_EQ(out + content_of(parser.finish()).size(), in) << piece;
  }
}

TEST(ToolCallParser, HostileTextTakesLinearTime) {
  for (const std::string_view piece : {"<tool_call>{\"name\": \"get\", \"arguments\": {\"a\": \"",
                                       "{\"name\":", "\n[[", "<<", "\n[get(a='"}) {
    ToolCallParser parser(example_tools());
    std::size_t size = 0;
    std::size_t out = 0;
    while (size < 3'000'000) {
      size += piece.size();
      out += content_of(parser.push(piece)).size();
    }
    EXPECT_EQ(out + content_of(parser.finish()).size(), size);
  }
}

TEST(ToolCallParser, WithoutToolsThereAreNoCalls) {
  const ToolSet none;
  const std::string text = "<tool_call>{\"name\": \"ping\", \"arguments\": {}}</tool_call>";
  EXPECT_EQ(read_tool_answer(none, text).content, text);
}

TEST(ToolCallParser, StandsBehindTheReasoning) {
  ReasoningSplitter splitter{ReasoningStyle{}};
  ToolCallParser parser(example_tools());
  Events events;
  std::string reasoning;
  const std::string text =
      "<think>\nI could <tool_call>{\"name\": \"ping\", \"arguments\": "
      "{}}</tool_call>\n</think>\n\n"
      "<tool_call>\n{\"name\": \"get\", \"arguments\": {}}\n</tool_call>";
  for (const char c : text) {
    const auto parts = splitter.push({&c, 1});
    reasoning += parts.reasoning;
    add(events, parser.push(parts.content));
  }
  add(events, parser.push(splitter.finish().content));
  add(events, parser.finish());
  EXPECT_NE(reasoning.find("ping"), std::string::npos);
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0].text, "get");
}

TEST(ToolCallParser, ReadsCallsInChannels) {
  ReasoningStyle style;
  style.kind = ReasoningStyle::Kind::kChannels;
  ReasoningSplitter splitter{style};
  ToolCallParser parser(example_tools());
  Events events;
  const std::string text =
      "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary "
      "to=functions.get_weather <|constrain|>json<|message|>{\"city\": \"Rome\"}<|call|>";
  for (const char c : text) add(events, parser.push(splitter.push({&c, 1}).content));
  add(events, parser.push(splitter.finish().content));
  add(events, parser.finish());
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0].text, "get_weather");
  EXPECT_EQ(events[1].text, R"({"city": "Rome"})");
}

}  // namespace
}  // namespace mistral::text
