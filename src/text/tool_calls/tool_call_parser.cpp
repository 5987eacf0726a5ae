#include "text/tool_calls/tool_call_parser.h"

#include <algorithm>
#include <utility>

namespace mistral::text {
namespace {

using Progress = CallReader::Progress;

// What is held back and turns out to be content is looked at once more for calls that begin within
// it, but only so much of its end: else a long text could be read again from each of its bytes.
constexpr std::size_t kLookBack = 128;
constexpr std::size_t kMostBlanks = 1024;

// Between calls without marks.
const CallMark kSeparator{.text = ";", .json = true, .python = true};
// Where the text begins in Functionary's format.
constexpr std::string_view kTextMark = "all\n";

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool continues_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

const CallMark& name_mark() {
  const auto marks = opening_marks();
  return *std::find_if(marks.begin(), marks.end(),
                       [](const CallMark& mark) { return mark.text == ">>>"; });
}

}  // namespace

ToolCallParser::ToolCallParser(const ToolSet& tools, ToolCallLimits limits, bool name_first,
                               Accepts accepts)
    : tools_(tools), limits_(limits), name_first_(name_first), accepts_(std::move(accepts)) {}

std::vector<ToolCallEvent> ToolCallParser::push(std::string_view text) {
  for (const char c : text) {
    feed(c);
    look_again();
  }
  return std::exchange(events_, {});
}

std::vector<ToolCallEvent> ToolCallParser::finish() {
  while (!held_.empty()) {
    reject();
    look_again();
  }
  if (!between_ || calls_ == 0) put_content({});
  blanks_.clear();
  return std::exchange(events_, {});
}

void ToolCallParser::look_again() {
  while (!again_.empty()) {
    const std::string now = std::exchange(again_, {});
    for (std::size_t i = 0; i < now.size(); ++i) {
      feed(now[i]);
      if (again_.empty()) continue;
      again_ += std::string_view(now).substr(i + 1);
      break;
    }
  }
}

void ToolCallParser::feed(char c) {
  if (tools_.empty()) {
    put_content({&c, 1});
    return;
  }
  if (!candidates_.empty()) {
    held_ += c;
    settle(advance(c));
  } else if (is_blank(c)) {
    (held_.empty() ? blanks_ : held_) += c;
    if (blanks_.size() > kMostBlanks) put_content({});
  } else {
    begin(c);
  }
  if (held_.size() > limits_.call_bytes) reject();
}

void ToolCallParser::begin(char c) {
  if (calls_ > 0 && between_ && held_.empty() && (c == ';' || c == ',')) {
    held_ += c;
    opened_ = &kSeparator;
    return;
  }
  add_marks(c);
  add_forms(c);
  if (!candidates_.empty()) {
    held_ += c;
  } else if (held_.empty()) {
    put_content({&c, 1});
  } else {
    held_ += c;
    reject();
  }
}

void ToolCallParser::add_marks(char c) {
  const auto add = [&](std::string_view mark, Outcome outcome, const CallMark* opening) {
    if (mark[0] == c) candidates_.push_back({nullptr, mark, 1, outcome, opening});
  };
  const bool after_call = between_ && calls_ > 0 && held_.empty();
  if (after_call) {
    for (const std::string_view mark : closing_marks()) add(mark, Outcome::kClosed, nullptr);
    if (fence_) add(kFence, Outcome::kClosed, nullptr);
  }
  const bool at_line = line_start() || !held_.empty();
  const bool name_expected = held_.empty() ? between_ && calls_ == 0 : opened_ == &name_mark();
  if (name_first_ && name_expected) add(kTextMark, Outcome::kDropped, nullptr);
  if (calls_ >= limits_.calls) return;
  for (const CallMark& mark : opening_marks()) {
    if ((mark.line_start && !at_line) || (mark.fence && fence_)) continue;
    add(mark.text, Outcome::kOpened, &mark);
  }
}

void ToolCallParser::add_forms(char c) {
  if (calls_ >= limits_.calls) return;
  const bool marked = opened_ != nullptr && !held_.empty();
  const bool after_call = between_ && calls_ > 0;
  const bool at_start = between_ && calls_ == 0 && held_.empty();
  const bool bracket = c == '{' || c == '[';
  if (bracket && (marked ? opened_->json : line_start())) {
    const bool fenced = marked && opened_->fence;
    const JsonPlace place = (marked || after_call) && !fenced ? JsonPlace::kMarked
                            : at_start                        ? JsonPlace::kStart
                                                              : JsonPlace::kWithin;
    add_reader(json_call_reader(tools_, place, limits_.depth), c);
  }
  const bool python_mark = opened_ != nullptr && opened_->python && (marked || after_call);
  if (python_mark || (c == '[' && !marked && line_start())) {
    add_reader(python_call_reader(tools_, limits_.depth), c);
  }
  const CallMark* with_forms = marked ? opened_ : nullptr;
  if (name_first_ && at_start) with_forms = &name_mark();
  if (with_forms == nullptr) return;
  for (const auto& steps : with_forms->forms) {
    add_reader(step_call_reader(tools_, steps, limits_.depth), c);
  }
}

void ToolCallParser::add_reader(std::unique_ptr<CallReader> reader, char c) {
  if (reader->feed(c) == Progress::kInvalid) return;
  candidates_.push_back({std::move(reader), {}, 0, Outcome::kCalls, nullptr});
}

bool ToolCallParser::Candidate::follow(char c, bool& done) {
  if (reader) {
    const Progress progress = reader->feed(c);
    done = progress == Progress::kDone;
    return progress != Progress::kInvalid;
  }
  if (mark[matched] != c) return false;
  done = ++matched == mark.size();
  return true;
}

ToolCallParser::Candidate ToolCallParser::advance(char c) {
  for (auto candidate = candidates_.begin(); candidate != candidates_.end();) {
    bool done = false;
    if (!candidate->follow(c, done)) {
      candidate = candidates_.erase(candidate);
      continue;
    }
    if (done) return std::move(*candidate);
    ++candidate;
  }
  return {.outcome = candidates_.empty() ? Outcome::kInvalid : Outcome::kMore};
}

void ToolCallParser::settle(Candidate candidate) {
  switch (candidate.outcome) {
    case Outcome::kMore:
      return;
    case Outcome::kInvalid:
      reject();
      return;
    case Outcome::kCalls:
      give_calls(candidate.reader->calls());
      return;
    case Outcome::kOpened:
      opened_ = candidate.opening;
      held_fence_ = held_fence_ || opened_->fence;
      break;
    case Outcome::kClosed:
      if (candidate.mark == kFence) fence_ = false;
      held_.clear();
      blanks_.clear();
      break;
    case Outcome::kDropped:
      held_.clear();  // the white space before it parts two texts
      break;
  }
  candidates_.clear();
}

void ToolCallParser::give_calls(std::vector<ToolCall>& calls) {
  const bool accepted = !accepts_ || std::ranges::all_of(calls, accepts_);
  if (!accepted || calls.size() > limits_.calls - calls_) {
    reject();
    return;
  }
  for (ToolCall& call : calls) {
    events_.push_back({ToolCallEvent::Kind::kCallBegin, calls_, std::move(call.name)});
    events_.push_back({ToolCallEvent::Kind::kArguments, calls_, std::move(call.arguments)});
    events_.push_back({ToolCallEvent::Kind::kCallEnd, calls_});
    ++calls_;
  }
  candidates_.clear();
  held_.clear();
  blanks_.clear();
  between_ = true;
  fence_ = fence_ || held_fence_;
  held_fence_ = false;
}

void ToolCallParser::reject() {
  candidates_.clear();
  std::size_t content = 1;
  if (held_.size() > kLookBack) content = held_.size() - kLookBack;
  while (content < held_.size() && continues_character(held_[content])) ++content;
  again_.insert(0, held_, content);
  held_.resize(content);
  put_content(std::exchange(held_, {}));
}

void ToolCallParser::put_content(std::string_view text) {
  const auto put = [this](std::string_view part) {
    if (part.empty()) return;
    if (events_.empty() || events_.back().kind != ToolCallEvent::Kind::kContent) {
      events_.push_back({});
    }
    events_.back().text += part;
    any_content_ = true;
    for (const char c : part) line_end_ = c == '\n' || (line_end_ && is_blank(c));
  };
  // White space behind a call, before the first text.
  if (calls_ > 0 && between_ && !any_content_) blanks_.clear();
  put(std::exchange(blanks_, {}));
  put(text);
  if (text.empty()) return;
  between_ = false;
  opened_ = nullptr;
  held_fence_ = false;
  fence_ = false;
}

bool ToolCallParser::line_start() const {
  return between_ || line_end_ || blanks_.find('\n') != std::string::npos;
}

ToolAnswer read_tool_answer(const ToolSet& tools, std::string_view text, ToolCallLimits limits,
                            bool name_first) {
  ToolCallParser parser(tools, limits, name_first);
  ToolAnswer answer;
  const auto add = [&answer](std::vector<ToolCallEvent> events) {
    for (ToolCallEvent& event : events) {
      switch (event.kind) {
        case ToolCallEvent::Kind::kContent:
          answer.content += event.text;
          break;
        case ToolCallEvent::Kind::kCallBegin:
          answer.calls.push_back({std::move(event.text), {}});
          break;
        case ToolCallEvent::Kind::kArguments:
          answer.calls.back().arguments += event.text;
          break;
        case ToolCallEvent::Kind::kCallEnd:
          break;
      }
    }
  };
  add(parser.push(text));
  add(parser.finish());
  return answer;
}

}  // namespace mistral::text
