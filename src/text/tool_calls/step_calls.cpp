#include <optional>
#include <utility>

#include "text/tool_calls/call_reader.h"
#include "text/tool_calls/json_scanner.h"
#include "text/tool_calls/relaxed_arguments.h"

namespace mistral::text {
namespace {

using Progress = CallReader::Progress;

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Reads arguments that are marked up one by one, to the end of the call.
class ParameterReader {
 public:
  ParameterReader(const ToolSet& tools, const ParameterStyle& style)
      : tools_(tools), style_(style) {}

  Progress feed(char c, std::string_view tool) {
    switch (state_) {
      case State::kBetween: {
        if (text_.empty() && is_blank(c)) return Progress::kMore;
        text_ += c;
        if (text_ == style_.call_end) return Progress::kDone;
        if (text_ == style_.open) enter(State::kKey);
        const bool possible = style_.call_end.starts_with(text_) || style_.open.starts_with(text_);
        return possible ? Progress::kMore : Progress::kInvalid;
      }
      case State::kKey:
        text_ += c;
        if (!text_.ends_with(style_.key_end)) return short_enough();
        text_.resize(text_.size() - style_.key_end.size());
        key_ = std::move(text_);
        if (key_.empty()) return Progress::kInvalid;
        enter(style_.attributes           ? State::kAttributes
              : style_.value_open.empty() ? State::kValue
                                          : State::kValueOpen);
        return Progress::kMore;
      case State::kAttributes:
        if (c != '>') {
          text_ += c;
          return short_enough();
        }
        text_mark_ = text_.find("string=\"true\"") != std::string::npos;
        json_mark_ = text_.find("string=\"false\"") != std::string::npos;
        enter(State::kValue);
        return Progress::kMore;
      case State::kValueOpen:
        if (text_.empty() && is_blank(c)) return Progress::kMore;
        text_ += c;
        if (text_ == style_.value_open) {
          enter(State::kValue);
          return Progress::kMore;
        }
        return style_.value_open.starts_with(text_) ? Progress::kMore : Progress::kInvalid;
      case State::kValue:
        text_ += c;
        if (!text_.ends_with(style_.value_end)) return Progress::kMore;
        text_.resize(text_.size() - style_.value_end.size());
        add(tool);
        enter(State::kBetween);
        return Progress::kMore;
    }
    return Progress::kInvalid;
  }

  [[nodiscard]] std::string arguments() const { return '{' + members_ + '}'; }

 private:
  enum class State { kBetween, kKey, kAttributes, kValueOpen, kValue };

  void enter(State state) {
    state_ = state;
    text_.clear();
  }

  [[nodiscard]] Progress short_enough() const {
    constexpr std::size_t kMost = 256;
    return text_.size() > kMost ? Progress::kInvalid : Progress::kMore;
  }

  void add(std::string_view tool) {
    // The line breaks next to the marks are theirs.
    std::string_view value = text_;
    if (value.starts_with('\n')) value.remove_prefix(1);
    if (value.ends_with('\n')) value.remove_suffix(1);
    if (!members_.empty()) members_ += ", ";
    members_ += json_string(key_);
    members_ += ": ";
    const bool json = json_mark_ && is_json(value);
    members_ += json         ? std::string(value)
                : text_mark_ ? json_string(value)
                             : tools_.argument(tool, key_, value);
    text_mark_ = false;
    json_mark_ = false;
  }

  const ToolSet& tools_;
  const ParameterStyle& style_;
  State state_ = State::kBetween;
  std::string text_;
  std::string key_;
  bool text_mark_ = false;
  bool json_mark_ = false;
  std::string members_;
};

// Finds the end of {…} whose strings have long quotes.
class QuotedScanner {
 public:
  Progress feed(char c) {
    text_ += c;
    if (text_.ends_with(kLongQuote)) {
      within_string_ = !within_string_;
      return Progress::kMore;
    }
    if (within_string_) return Progress::kMore;
    if (c == '{' || c == '[') ++depth_;
    if (c == '}' || c == ']') --depth_;
    if (depth_ > 0) return Progress::kMore;
    return text_.size() > 1 && c == '}' ? Progress::kDone : Progress::kInvalid;
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
  int depth_ = 0;
  bool within_string_ = false;
};

class StepCallReader final : public CallReader {
 public:
  StepCallReader(const ToolSet& tools, const std::vector<CallStep>& steps, int max_depth)
      : tools_(tools), steps_(steps), max_depth_(max_depth) {}

  Progress feed(char c) override {
    for (;;) {
      const CallStep& step = steps_[at_];
      Taken taken = Taken::kMore;
      switch (step.kind) {
        case CallStep::Kind::kText:
          taken = take_text(step, c);
          break;
        case CallStep::Kind::kBlanks:
          taken = is_blank(c) ? Taken::kMore : Taken::kNotMine;
          break;
        case CallStep::Kind::kName:
          taken = take_name(c);
          break;
        case CallStep::Kind::kSkipTo:
          taken = take_skipped(step, c);
          break;
        case CallStep::Kind::kObject:
          taken = take_object(c);
          break;
        case CallStep::Kind::kParameters:
          taken = take_parameters(step, c);
          break;
        case CallStep::Kind::kQuoted:
          taken = take_quoted(c);
          break;
      }
      if (taken == Taken::kInvalid) return Progress::kInvalid;
      if (taken == Taken::kMore) return Progress::kMore;
      part_.clear();
      ++at_;
      if (at_ == steps_.size()) {
        // No form ends with a step that only the next byte ends.
        if (taken == Taken::kNotMine) return Progress::kInvalid;
        calls_.push_back({std::move(name_), std::move(arguments_)});
        return Progress::kDone;
      }
      if (taken == Taken::kLast) return Progress::kMore;
    }
  }

 private:
  enum class Taken {
    kMore,     // the byte is the step's, more follow
    kLast,     // the byte is the step's last
    kNotMine,  // the step ended before this byte
    kInvalid,
  };

  static Taken from(Progress progress) {
    return progress == Progress::kMore   ? Taken::kMore
           : progress == Progress::kDone ? Taken::kLast
                                         : Taken::kInvalid;
  }

  Taken take_text(const CallStep& step, char c) {
    part_ += c;
    if (part_ == step.text) return Taken::kLast;
    return step.text.starts_with(part_) ? Taken::kMore : Taken::kInvalid;
  }

  Taken take_name(char c) {
    name_ += c;
    if (tools_.begins_any(name_)) return Taken::kMore;
    name_.pop_back();
    return tools_.find(name_) != nullptr ? Taken::kNotMine : Taken::kInvalid;
  }

  Taken take_skipped(const CallStep& step, char c) {
    constexpr std::size_t kMost = 128;
    part_ += c;
    if (part_.ends_with(step.text)) return Taken::kLast;
    return part_.size() < kMost ? Taken::kMore : Taken::kInvalid;
  }

  Taken take_object(char c) {
    if (!scanner_) {
      if (c != '{') return Taken::kInvalid;
      scanner_.emplace(max_depth_);
    }
    const JsonScanner::Progress progress = scanner_->feed(c);
    if (progress == JsonScanner::Progress::kMore) return Taken::kMore;
    if (progress == JsonScanner::Progress::kInvalid) return Taken::kInvalid;
    arguments_ = scanner_->text();
    return is_json(arguments_) ? Taken::kLast : Taken::kInvalid;
  }

  Taken take_parameters(const CallStep& step, char c) {
    if (!parameters_) parameters_.emplace(tools_, *step.style);
    const Taken taken = from(parameters_->feed(c, name_));
    if (taken == Taken::kLast) arguments_ = parameters_->arguments();
    return taken;
  }

  Taken take_quoted(char c) {
    const Taken taken = from(quoted_.feed(c));
    if (taken != Taken::kLast) return taken;
    auto arguments = quoted_arguments(quoted_.text(), max_depth_);
    if (!arguments) return Taken::kInvalid;
    arguments_ = std::move(*arguments);
    return Taken::kLast;
  }

  const ToolSet& tools_;
  const std::vector<CallStep>& steps_;
  int max_depth_;
  std::size_t at_ = 0;
  std::string part_;  // of the step
  std::string name_;
  std::string arguments_;
  std::optional<JsonScanner> scanner_;
  std::optional<ParameterReader> parameters_;
  QuotedScanner quoted_;
};

// name(…) or [name(…), …]
class PythonCallReader final : public CallReader {
 public:
  PythonCallReader(const ToolSet& tools, int max_depth) : tools_(tools), max_depth_(max_depth) {}

  Progress feed(char c) override {
    switch (state_) {
      case State::kStart:
        if (c == '[') {
          list_ = true;
          state_ = State::kElement;
          return Progress::kMore;
        }
        [[fallthrough]];
      case State::kElement:
        if (is_blank(c)) return list_ ? Progress::kMore : Progress::kInvalid;
        state_ = State::kName;
        [[fallthrough]];
      case State::kName:
        if (c != '(') {
          name_ += c;
          return tools_.begins_any(name_) ? Progress::kMore : Progress::kInvalid;
        }
        state_ = State::kArguments;
        return tools_.find(name_) != nullptr ? Progress::kMore : Progress::kInvalid;
      case State::kArguments:
        return argument_byte(c);
      case State::kAfter:
        if (is_blank(c)) return Progress::kMore;
        if (c == ']') return Progress::kDone;
        state_ = State::kElement;
        return c == ',' ? Progress::kMore : Progress::kInvalid;
    }
    return Progress::kInvalid;
  }

 private:
  enum class State { kStart, kElement, kName, kArguments, kAfter };

  Progress argument_byte(char c) {
    if (quote_ != 0) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == quote_) {
        quote_ = 0;
      }
    } else if (c == '"' || c == '\'') {
      quote_ = c;
    } else if (c == '(' || c == '[' || c == '{') {
      if (++depth_ > max_depth_) return Progress::kInvalid;
    } else if (c == ']' || c == '}' || (c == ')' && depth_ > 0)) {
      if (--depth_ < 0) return Progress::kInvalid;
    } else if (c == ')') {
      auto arguments = python_arguments(text_, max_depth_);
      if (!arguments) return Progress::kInvalid;
      calls_.push_back({std::exchange(name_, {}), std::move(*arguments)});
      text_.clear();
      state_ = State::kAfter;
      return list_ ? Progress::kMore : Progress::kDone;
    }
    text_ += c;
    return Progress::kMore;
  }

  const ToolSet& tools_;
  int max_depth_;
  State state_ = State::kStart;
  bool list_ = false;
  std::string name_;
  std::string text_;  // of the arguments
  int depth_ = 0;
  char quote_ = 0;
  bool escaped_ = false;
};

}  // namespace

std::unique_ptr<CallReader> step_call_reader(const ToolSet& tools,
                                             const std::vector<CallStep>& steps, int max_depth) {
  return std::make_unique<StepCallReader>(tools, steps, max_depth);
}

std::unique_ptr<CallReader> python_call_reader(const ToolSet& tools, int max_depth) {
  return std::make_unique<PythonCallReader>(tools, max_depth);
}

}  // namespace mistral::text
