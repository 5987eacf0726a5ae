#include "text/reasoning/reasoning_splitter.h"

#include <algorithm>
#include <array>
#include <utility>

namespace mistral::text {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

constexpr std::string_view kStartMark = "<|start|>";
constexpr std::string_view kChannelMark = "<|channel|>";
constexpr std::string_view kMessageMark = "<|message|>";
// What ends a message in channels.
constexpr std::string_view kBodyMarks[] = {"<|end|>", "<|return|>", "<|call|>", kStartMark,
                                           kChannelMark};
constexpr std::string_view kHeaderMarks[] = {kMessageMark};
// What may follow the role in a header.
constexpr std::string_view kHeaderBegins[] = {kChannelMark, kMessageMark, "<|constrain|>", " to="};

struct Tags {
  std::string_view open;
  std::string_view close;
};
constexpr std::array<Tags, 9> kTags{{
    {"<think>", "</think>"},
    {"<thinking>", "</thinking>"},
    {"<thought>", "</thought>"},
    {"<reasoning>", "</reasoning>"},
    {"<mm:think>", "</mm:think>"},
    {"<seed:think>", "</seed:think>"},
    {"[THINK]", "[/THINK]"},
    {"<|START_THINKING|>", "<|END_THINKING|>"},
    {"<|channel>thought", "<channel|>"},
}};

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string_view without_blanks_at_end(std::string_view text) {
  const std::size_t last = text.find_last_not_of(kBlanks);
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

std::size_t blanks_at_begin(std::string_view text) {
  return std::min(text.find_first_not_of(kBlanks), text.size());
}

// How much of the end of `text` may be the beginning of `mark`, all of it excluded.
std::size_t held_back(std::string_view text, std::string_view mark) {
  for (std::size_t length = std::min(text.size(), mark.size() - 1); length > 0; --length) {
    if (text.ends_with(mark.substr(0, length))) return length;
  }
  return 0;
}

// The word behind <|channel|>.
std::string_view channel_of(std::string_view header) {
  const std::size_t at = header.rfind(kChannelMark);
  if (at == std::string_view::npos) return {};
  std::string_view channel = header.substr(at + kChannelMark.size());
  channel.remove_prefix(blanks_at_begin(channel));
  return channel.substr(0, channel.find_first_of(" \t\r\n<"));
}

}  // namespace

ReasoningStyle reasoning_style(std::string_view template_source, std::string_view prompt) {
  ReasoningStyle style;
  if (contains(template_source, kChannelMark) && contains(template_source, kMessageMark)) {
    style.kind = ReasoningStyle::Kind::kChannels;
    const std::size_t start = prompt.rfind(kStartMark);
    if (start != std::string_view::npos) {
      style.header = std::string(prompt.substr(start + kStartMark.size()));
    }
    return style;
  }
  for (const Tags& tags : kTags) {
    if (!contains(template_source, tags.close)) continue;
    style.open = tags.open;
    style.close = tags.close;
    break;
  }
  style.inside = without_blanks_at_end(prompt).ends_with(style.open);
  return style;
}

std::vector<TokenId> reasoning_marks(const Tokenizer& tokenizer) {
  std::vector<TokenId> ids;
  const auto add = [&](std::string_view text) {
    const auto id = tokenizer.find(text);
    if (id && tokenizer.is_special(*id)) ids.push_back(*id);
  };
  for (const Tags& tags : kTags) {
    add(tags.open);
    add(tags.close);
  }
  add("<|channel>");  // its tag is two tokens
  if (tokenizer.find(kChannelMark) && tokenizer.find(kMessageMark)) {
    for (const std::string_view mark :
         {kStartMark, kChannelMark, kMessageMark, std::string_view("<|constrain|>"),
          std::string_view("<|end|>")}) {
      add(mark);
    }
  }
  return ids;
}

ReasoningSplitter::ReasoningSplitter(ReasoningStyle style) : style_(std::move(style)) {
  if (style_.kind == ReasoningStyle::Kind::kTags) {
    if (style_.inside) state_ = State::kReasoning;
    return;
  }
  state_ = State::kHeader;
  const std::size_t body = style_.header.find(kMessageMark);
  if (body == std::string::npos) {
    header_ = style_.header;
    first_header_ = !contains(header_, kChannelMark);
    return;
  }
  header_ = style_.header.substr(0, body);
  Parts nothing;
  open_message(nothing);
}

ReasoningSplitter::Parts ReasoningSplitter::push(std::string_view text) {
  Parts parts;
  pending_ += text;
  advance(false, parts);
  return parts;
}

ReasoningSplitter::Parts ReasoningSplitter::finish() {
  Parts parts;
  advance(true, parts);
  return parts;
}

void ReasoningSplitter::advance(bool last, Parts& parts) {
  const bool tags = style_.kind == ReasoningStyle::Kind::kTags;
  while (!pending_.empty() && (tags ? step_tags(last, parts) : step_channels(last, parts))) {
  }
}

template <std::size_t N>
int ReasoningSplitter::take_until(const std::string_view (&marks)[N], bool last, std::string& out) {
  std::size_t found = std::string::npos;
  int index = -1;
  std::size_t hold = 0;
  for (std::size_t i = 0; i < N; ++i) {
    const std::size_t at = pending_.find(marks[i]);
    if (at < found) {
      found = at;
      index = static_cast<int>(i);
    }
    hold = std::max(hold, held_back(pending_, marks[i]));
  }
  if (index >= 0) {
    out.assign(pending_, 0, found);
    pending_.erase(0, found + marks[index].size());
    return index;
  }
  if (last) hold = 0;
  out.assign(pending_, 0, pending_.size() - hold);
  pending_.erase(0, out.size());
  return -1;
}

void ReasoningSplitter::put_reasoning(std::string_view text, Parts& parts) {
  if (!any_reasoning_) text.remove_prefix(blanks_at_begin(text));
  const std::string_view solid = without_blanks_at_end(text);
  if (!solid.empty()) {
    parts.reasoning += blanks_;
    parts.reasoning += solid;
    blanks_.clear();
    any_reasoning_ = true;
  }
  if (any_reasoning_) blanks_ += text.substr(solid.size());
}

bool ReasoningSplitter::step_tags(bool last, Parts& parts) {
  switch (state_) {
    case State::kStart: {
      const std::string_view rest = std::string_view(pending_).substr(blanks_at_begin(pending_));
      if (rest.starts_with(style_.open)) {
        pending_.erase(0, pending_.size() - rest.size() + style_.open.size());
        state_ = State::kReasoning;
        return true;
      }
      if (!last && std::string_view(style_.open).starts_with(rest)) return false;
      state_ = State::kContent;
      return true;
    }
    case State::kReasoning: {
      // Some models write the tag again that the prompt ended with.
      if (style_.inside && !any_reasoning_) {
        const std::string_view rest = std::string_view(pending_).substr(blanks_at_begin(pending_));
        if (!last && std::string_view(style_.open).starts_with(rest)) return false;
        if (rest.starts_with(style_.open)) {
          pending_.erase(0, pending_.size() - rest.size() + style_.open.size());
        }
        style_.inside = false;
      }
      const std::string_view marks[] = {style_.close};
      std::string text;
      const int mark = take_until(marks, last, text);
      put_reasoning(text, parts);
      if (mark < 0) return false;
      blanks_.clear();
      state_ = State::kGap;
      return true;
    }
    case State::kGap:
      pending_.erase(0, blanks_at_begin(pending_));
      if (!pending_.empty()) state_ = State::kContent;
      return !pending_.empty();
    default:
      parts.content += pending_;
      pending_.clear();
      return false;
  }
}

// The header is complete: where its message goes.
void ReasoningSplitter::open_message(Parts& parts) {
  const bool call = contains(header_, " to=") && !contains(header_, " to=user");
  target_ = channel_of(header_) == "analysis" && !call ? Target::kReasoning : Target::kContent;
  const bool reasoning = target_ == Target::kReasoning;
  new_message_ = reasoning ? any_reasoning_ : any_content_;
  blanks_.clear();
  if (call) {
    // Calls of tools are for others to read: all of the message stays.
    const std::size_t at = std::min(header_.find(kChannelMark), header_.find(" to="));
    if (std::exchange(new_message_, false)) parts.content += '\n';
    parts.content += header_.substr(std::min(at, header_.size()));
    parts.content += kMessageMark;
    any_content_ = true;
  }
  header_.clear();
  first_header_ = false;
  state_ = reasoning ? State::kReasoning : State::kContent;
}

bool ReasoningSplitter::step_channels(bool last, Parts& parts) {
  switch (state_) {
    case State::kHeader: {
      // A model that does not use channels begins with its answer.
      if (first_header_) {
        const auto fits = [&](std::string_view begin) { return pending_.starts_with(begin); };
        const auto may_fit = [&](std::string_view begin) { return begin.starts_with(pending_); };
        if (std::none_of(std::begin(kHeaderBegins), std::end(kHeaderBegins), fits)) {
          if (!last && std::any_of(std::begin(kHeaderBegins), std::end(kHeaderBegins), may_fit)) {
            return false;
          }
          state_ = State::kContent;
          return true;
        }
        first_header_ = false;
      }
      std::string text;
      const int mark = take_until(kHeaderMarks, last, text);
      header_ += text;
      if (mark < 0) return false;  // an answer that ends here ends without a message
      open_message(parts);
      return true;
    }
    case State::kReasoning:
    case State::kContent: {
      std::string text;
      const int mark = take_until(kBodyMarks, last, text);
      if (!text.empty()) {
        if (state_ == State::kReasoning) {
          if (std::exchange(new_message_, false)) parts.reasoning += '\n';
          put_reasoning(text, parts);
        } else {
          if (std::exchange(new_message_, false)) parts.content += '\n';
          parts.content += text;
          any_content_ = true;
        }
      }
      if (mark < 0) return false;
      state_ = State::kBetween;
      if (kBodyMarks[mark] == kStartMark || kBodyMarks[mark] == kChannelMark) {
        if (kBodyMarks[mark] == kChannelMark) header_ = kChannelMark;
        state_ = State::kHeader;
      }
      return true;
    }
    default: {
      // Between messages: the next one begins with <|start|>, some models leave it out.
      pending_.erase(0, blanks_at_begin(pending_));
      for (const std::string_view mark : {kStartMark, kChannelMark}) {
        if (pending_.starts_with(mark)) {
          if (mark == kChannelMark) header_ = mark;
          pending_.erase(0, mark.size());
          state_ = State::kHeader;
          return true;
        }
        if (!last && mark.starts_with(pending_)) return false;
      }
      if (!pending_.empty()) state_ = State::kContent;
      return !pending_.empty();
    }
  }
}

}  // namespace mistral::text
