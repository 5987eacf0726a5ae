// Reasoning and answer, from whole texts and from texts in pieces.
#include "text/reasoning/reasoning_splitter.h"

#include <random>

#include <gtest/gtest.h>

namespace mistral::text {
namespace {

using Parts = ReasoningSplitter::Parts;

Parts split(const ReasoningStyle& style, std::string_view text) {
  ReasoningSplitter splitter(style);
  Parts parts = splitter.push(text);
  const Parts rest = splitter.finish();
  return {parts.reasoning + rest.reasoning, parts.content + rest.content};
}

void expect_parts(const ReasoningStyle& style, std::string_view text, std::string_view reasoning,
                  std::string_view content) {
  const Parts parts = split(style, text);
  EXPECT_EQ(parts.reasoning, reasoning) << text;
  EXPECT_EQ(parts.content, content) << text;
}

const ReasoningStyle kPlain = reasoning_style("{{ messages }}", "<|assistant|>");
const ReasoningStyle kInside = reasoning_style("<think> </think>", "x<|assistant|><think>\n");
const ReasoningStyle kChannels = reasoning_style(
    "<|channel|> <|message|>", "<|start|>user<|message|>hi<|end|><|start|>assistant");

TEST(ReasoningStyle, ComesFromTemplateAndPrompt) {
  EXPECT_FALSE(kPlain.inside);
  EXPECT_EQ(kPlain.open, "<think>");
  EXPECT_TRUE(kInside.inside);
  EXPECT_FALSE(reasoning_style("<think></think>", "<think>\n\n</think>\n\n").inside);
  const ReasoningStyle mistral = reasoning_style("[THINK] [/THINK]", "[/INST]");
  EXPECT_EQ(mistral.open, "[THINK]");
  EXPECT_EQ(mistral.close, "[/THINK]");
  EXPECT_EQ(kChannels.kind, ReasoningStyle::Kind::kChannels);
  EXPECT_EQ(kChannels.header, "assistant");
}

TEST(ReasoningSplitter, SplitsAtTags) {
  expect_parts(kPlain, "Hello.", "", "Hello.");
  expect_parts(kPlain, "  Hello. ", "", "  Hello. ");
  expect_parts(kPlain, "<think>Let me see.</think>Hello.", "Let me see.", "Hello.");
  expect_parts(kPlain, "\n<think>\nLet me\n\nsee.\n</think>\n\nHello.\n", "Let me\n\nsee.",
               "Hello.\n");
  expect_parts(kPlain, "<think>\n\n</think>\n\nHello.", "", "Hello.");
  expect_parts(kPlain, "<think>never ends \n", "never ends", "");
  expect_parts(kPlain, "<think>a</thin", "a</thin", "");
  expect_parts(kPlain, "<thin", "", "<thin");
  expect_parts(kPlain, " \n", "", " \n");
  expect_parts(kPlain, "", "", "");
  // Later tags are part of the answer.
  expect_parts(kPlain, "The tag <think> opens.", "", "The tag <think> opens.");
  expect_parts(kPlain, "<think>a</think>b<think>c</think>", "a", "b<think>c</think>");
}

TEST(ReasoningSplitter, BeginsInsideWhenThePromptOpenedTheTag) {
  expect_parts(kInside, "Let me see.\n</think>\n\nHello.", "Let me see.", "Hello.");
  expect_parts(kInside, "<think>\nLet me see.\n</think>\n\nHello.", "Let me see.", "Hello.");
  expect_parts(kInside, "No end", "No end", "");
  expect_parts(kInside, "</think>Hello.", "", "Hello.");
}

TEST(ReasoningSplitter, ReadsChannels) {
  expect_parts(kChannels,
               "<|channel|>analysis<|message|>We think.<|end|><|start|>assistant<|channel|>final"
               "<|message|>Hello.<|return|>",
               "We think.", "Hello.");
  expect_parts(kChannels, "<|channel|>final<|message|>Hello.", "", "Hello.");
  expect_parts(kChannels, "<|channel|>analysis<|message|>cut", "cut", "");
  expect_parts(kChannels, "<|channel|>anal", "", "");
  expect_parts(kChannels, "Hello.", "", "Hello.");
  expect_parts(kChannels, " Hello.", "", " Hello.");
  expect_parts(kChannels, "<b>Hello.</b>", "", "<b>Hello.</b>");
  // Several messages of a kind; a preamble is for the user, too.
  expect_parts(kChannels,
               "<|channel|>analysis<|message|>One.<|end|><|start|>assistant<|channel|>commentary"
               "<|message|>I look.<|end|><|start|>assistant<|channel|>analysis<|message|>Two."
               "<|end|><|start|>assistant<|channel|>final<|message|>Done.<|return|>",
               "One.\nTwo.", "I look.\nDone.");
  expect_parts(kChannels,
               "<|channel|>analysis<|message|>Call.<|end|><|start|>assistant<|channel|>commentary "
               "to=functions.get <|constrain|>json<|message|>{\"a\": 1}<|call|>",
               "Call.",
               "<|channel|>commentary to=functions.get <|constrain|>json<|message|>{\"a\": 1}");
  // The next message without <|start|>.
  expect_parts(kChannels, "<|channel|>analysis<|message|>A<|end|><|channel|>final<|message|>B", "A",
               "B");
}

TEST(ReasoningSplitter, ChannelsMayBeOpenedByThePrompt) {
  const auto style = [](std::string_view prompt) {
    return reasoning_style("<|channel|> <|message|>", prompt);
  };
  expect_parts(style("<|start|>assistant<|channel|>analysis<|message|>"),
               "A<|end|><|start|>assistant<|channel|>final<|message|>B", "A", "B");
  expect_parts(style("<|start|>assistant<|channel|>final<|message|>"), "B", "", "B");
  expect_parts(style("<|start|>assistant<|channel|>analysis"), "<|message|>A<|end|>", "A", "");
}

TEST(ReasoningSplitter, PiecesGiveWhatTheWholeGives) {
  static constexpr std::string_view kFragments[] = {"<think>",
                                                    "</think>",
                                                    "<",
                                                    "|",
                                                    ">",
                                                    "<|channel|>",
                                                    "<|message|>",
                                                    "<|start|>",
                                                    "<|end|>",
                                                    "<|return|>",
                                                    " ",
                                                    "\n",
                                                    "a",
                                                    "analysis",
                                                    "final",
                                                    "assistant",
                                                    "commentary",
                                                    " to=f",
                                                    "<|constrain|>",
                                                    "\xC3\xA9",
                                                    "word ",
                                                    "</thi",
                                                    "nk>"};
  std::mt19937 random(11);
  const auto pick = [&](std::size_t count) {
    return std::uniform_int_distribution<std::size_t>(0, count - 1)(random);
  };
  for (int round = 0; round < 30'000; ++round) {
    const ReasoningStyle& style = round % 3 == 0 ? kPlain : round % 3 == 1 ? kInside : kChannels;
    std::string text;
    for (std::size_t i = pick(14); i > 0; --i) text += kFragments[pick(std::size(kFragments))];
    const Parts whole = split(style, text);
    ReasoningSplitter splitter(style);
    Parts pieces;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t length = 1 + pick(5);
      const Parts part = splitter.push(std::string_view(text).substr(begin, length));
      pieces.reasoning += part.reasoning;
      pieces.content += part.content;
      begin += length;
    }
    const Parts rest = splitter.finish();
    ASSERT_EQ(whole.reasoning, pieces.reasoning + rest.reasoning) << text;
    ASSERT_EQ(whole.content, pieces.content + rest.content) << text;
  }
}

TEST(ReasoningSplitter, LongTextsTakeLinearTime) {
  for (const ReasoningStyle* style : {&kPlain, &kInside, &kChannels}) {
    ReasoningSplitter splitter(*style);
    std::size_t size = 0;
    for (int i = 0; i < 300'000; ++i) {
      const Parts parts = splitter.push(i % 2 == 0 ? " <" : "\n|");
      size += parts.reasoning.size() + parts.content.size();
    }
    const Parts rest = splitter.finish();
    EXPECT_GT(size + rest.reasoning.size() + rest.content.size(), 500'000U);
  }
}

}  // namespace
}  // namespace mistral::text
