// What a model says, from a model that means harm: the first byte chooses the cuts and the limits,
// the rest is the text. Calls name tools that exist and have arguments of JSON; a text without
// calls comes out as it went in; cuts do not matter.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "text/tool_calls/tool_call_parser.h"

namespace {

using mistral::text::ToolCallEvent;
using mistral::text::ToolCallParser;

const mistral::text::ToolSet& tools() {
  static const mistral::text::ToolSet set({{"f", {{"a", true, true}}}, {"get_weather", {}}});
  return set;
}

void add(std::vector<ToolCallEvent>& all, std::vector<ToolCallEvent> more) {
  for (ToolCallEvent& event : more) {
    if (event.kind == ToolCallEvent::Kind::kContent && !all.empty() &&
        all.back().kind == event.kind) {
      all.back().text += event.text;
    } else {
      all.push_back(std::move(event));
    }
  }
}

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t step = 1 + data[0] % 5U;
  const bool name_first = (data[0] & 0x80U) != 0;
  const mistral::text::ToolCallLimits limits{
      .call_bytes = (data[0] & 0x40U) != 0 ? 300U : 1U << 20U, .calls = 3, .depth = 16};

  ToolCallParser whole_parser(tools(), limits, name_first);
  std::vector<ToolCallEvent> whole;
  add(whole, whole_parser.push(text));
  add(whole, whole_parser.finish());
  ToolCallParser parser(tools(), limits, name_first);
  std::vector<ToolCallEvent> pieces;
  for (std::size_t at = 0; at < text.size(); at += step) {
    add(pieces, parser.push(text.substr(at, step)));
  }
  add(pieces, parser.finish());
  require(pieces == whole);

  std::string content;
  for (const ToolCallEvent& event : whole) {
    if (event.kind == ToolCallEvent::Kind::kContent) content += event.text;
    if (event.kind == ToolCallEvent::Kind::kCallBegin) {
      require(tools().find(event.text) != nullptr);
    }
    if (event.kind == ToolCallEvent::Kind::kArguments) {
      require(mistral::Json::parse(event.text, nullptr, false).is_object());
    }
  }
  require(whole_parser.calls() <= limits.calls && content.size() <= text.size());
  if (whole_parser.calls() == 0 && !name_first) require(content == text);
  return 0;
}
