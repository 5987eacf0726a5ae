// The one place where the text of a chat's answer is taken apart: what the model thought, what it
// answers, and which tools it calls.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/reasoning/reasoning_splitter.h"
#include "text/tool_calls/tool_call_parser.h"

namespace mistral::server {

struct AnswerParts {
  std::string reasoning;
  std::string content;
  std::vector<text::ToolCall> calls;
  [[nodiscard]] bool empty() const { return reasoning.empty() && content.empty() && calls.empty(); }
};

// How calls are looked for; without tools there are none.
struct CallSettings {
  std::shared_ptr<const text::ToolSet> tools;
  text::ToolCallLimits limits;
  bool name_first = false;
  text::ToolCallParser::Accepts accepts;  // empty: all calls
};

// What it returns adds up to the same, however the text was cut into pieces.
class AnswerSplitter {
 public:
  AnswerSplitter(const text::ReasoningStyle& style, const CallSettings& calls)
      : reasoning_(style), tools_(calls.tools) {
    if (tools_) calls_.emplace(*tools_, calls.limits, calls.name_first, calls.accepts);
  }

  [[nodiscard]] AnswerParts push(std::string_view text) { return parts(reasoning_.push(text)); }
  [[nodiscard]] AnswerParts finish() {
    AnswerParts last = parts(reasoning_.finish());
    if (calls_) add(calls_->finish(), last);
    return last;
  }

 private:
  AnswerParts parts(text::ReasoningSplitter::Parts from) {
    AnswerParts parts{std::move(from.reasoning), {}, {}};
    if (calls_) {
      add(calls_->push(from.content), parts);
    } else {
      parts.content = std::move(from.content);
    }
    return parts;
  }

  static void add(std::vector<text::ToolCallEvent> events, AnswerParts& parts) {
    for (text::ToolCallEvent& event : events) {
      switch (event.kind) {
        case text::ToolCallEvent::Kind::kContent:
          parts.content += event.text;
          break;
        case text::ToolCallEvent::Kind::kCallBegin:
          parts.calls.push_back({std::move(event.text), {}});
          break;
        case text::ToolCallEvent::Kind::kArguments:
          parts.calls.back().arguments += event.text;
          break;
        case text::ToolCallEvent::Kind::kCallEnd:
          break;
      }
    }
  }

  text::ReasoningSplitter reasoning_;
  std::shared_ptr<const text::ToolSet> tools_;  // what calls_ borrows
  std::optional<text::ToolCallParser> calls_;
};

}  // namespace mistral::server
