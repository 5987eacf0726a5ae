// Finds calls of tools in what a model says, while it is being generated.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/tool_calls/call_marks.h"
#include "text/tool_calls/call_reader.h"
#include "text/tool_calls/tool_signature.h"

namespace mistral::text {

struct ToolCallLimits {
  // A call, with its marks; what is longer is content. No more than this is held back.
  std::size_t call_bytes = 1U << 20U;
  // What comes after so many calls is content: 1 where calls in parallel are not wanted.
  std::size_t calls = 128;
  int depth = 64;  // of arguments
};

struct ToolCallEvent {
  enum class Kind {
    kContent,    // text: what is no call
    kCallBegin,  // text: the name of the tool
    kArguments,  // text: a piece of the arguments
    kCallEnd,
  };
  Kind kind = Kind::kContent;
  std::size_t index = 0;  // of the call, from 0
  std::string text = {};

  bool operator==(const ToolCallEvent&) const = default;
};

// Reads an answer from which the reasoning has been taken (ReasoningSplitter). The forms of all
// families are understood, whatever the model: fine-tuned ones use others' forms.
//
// A call is given out when it is complete, names a tool of the set, its arguments are an object of
// JSON and whoever asked accepts it; then only. Everything else is content, unchanged. White space
// next to calls and marks belongs to them and is left out. The result does not depend on how the
// text is cut into pieces, and pieces of whole characters give pieces of whole characters. Takes
// time linear in the text. Not thread safe; `tools` is borrowed.
class ToolCallParser {
 public:
  using Accepts = std::function<bool(const ToolCall&)>;

  // `name_first`: the answer itself may begin with a name and a line break, as the prompt ends with
  // the mark of Functionary's format. `accepts`: calls that it refuses are content; empty: none.
  explicit ToolCallParser(const ToolSet& tools, ToolCallLimits limits = {}, bool name_first = false,
                          Accepts accepts = {});

  // What became certain with `text`.
  [[nodiscard]] std::vector<ToolCallEvent> push(std::string_view text);
  // The rest, at the end of the answer.
  [[nodiscard]] std::vector<ToolCallEvent> finish();

  // Calls given out so far.
  [[nodiscard]] std::size_t calls() const { return calls_; }

 private:
  enum class Outcome { kMore, kInvalid, kCalls, kOpened, kClosed, kDropped };
  // One form, or one mark, that what is held back may still become.
  struct Candidate {
    std::unique_ptr<CallReader> reader = nullptr;  // null: a mark
    std::string_view mark = {};
    std::size_t matched = 0;
    Outcome outcome = Outcome::kMore;  // what it means when it is complete
    const CallMark* opening = nullptr;

    // False when `c` does not belong to it.
    [[nodiscard]] bool follow(char c, bool& done);
  };

  void feed(char c);
  void look_again();
  // `c` may begin a call or a mark.
  void begin(char c);
  void add_marks(char c);
  void add_forms(char c);
  void add_reader(std::unique_ptr<CallReader> reader, char c);
  // Of the candidates that `c` continues, the one that it completes.
  [[nodiscard]] Candidate advance(char c);
  void settle(Candidate candidate);
  void give_calls(std::vector<ToolCall>& calls);
  // What is held back is no call: its beginning is content, the rest is looked at again.
  void reject();
  // With the white space before it.
  void put_content(std::string_view text);
  [[nodiscard]] bool line_start() const;

  const ToolSet& tools_;
  ToolCallLimits limits_;
  bool name_first_;
  Accepts accepts_;
  std::size_t calls_ = 0;
  std::vector<ToolCallEvent> events_;

  std::string blanks_;  // white space whose meaning depends on what follows
  std::string held_;    // what may be a call, or marks of one
  std::string again_;   // what was held back and is to be looked at again
  std::vector<Candidate> candidates_;
  const CallMark* opened_ = nullptr;  // the last mark of those held back, or before the last call
  bool between_ = true;               // nothing but white space and marks since a call or the start
  bool any_content_ = false;
  bool fence_ = false;       // the last call stands in a fence of code
  bool held_fence_ = false;  // what is held back opened one
  bool line_end_ = true;     // content ends with a line break and white space, or there is none
};

// A whole answer.
struct ToolAnswer {
  std::string content;
  std::vector<ToolCall> calls;
};
[[nodiscard]] ToolAnswer read_tool_answer(const ToolSet& tools, std::string_view text,
                                          ToolCallLimits limits = {}, bool name_first = false);

}  // namespace mistral::text
