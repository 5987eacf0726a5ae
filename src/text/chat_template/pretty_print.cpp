#include "text/chat_template/pretty_print.h"

#include <algorithm>

#include "text/chat_template/format.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/unicode.h"

namespace mistral::text::jinja {
namespace {

constexpr std::int64_t kWidth = 80;

// Entries by key; keys that cannot be compared go by the names of their types.
std::vector<DictObject::Entry> sorted_entries(const DictObject& dict) {
  std::vector<DictObject::Entry> entries = dict.entries();
  Budget::spend(entries.size() * 8);
  const auto rank = [](const Value& key) {
    return key.is_number() ? std::string_view("int") : type_name(key);
  };
  std::stable_sort(entries.begin(), entries.end(), [&](const auto& a, const auto& b) {
    if (rank(a.first) != rank(b.first)) return rank(a.first) < rank(b.first);
    const bool comparable = a.first.is_number() || a.first.is_string();
    return comparable && less(a.first, b.first);
  });
  return entries;
}

// repr() with the keys of dicts in order.
void append_sorted_repr(TextBuilder& out, const Value& value, int depth) {
  if (depth > kMaxDataDepth) throw limit_error("printing of data nested too deep");
  if (value.is_dict()) {
    out.push('{');
    bool first = true;
    for (const auto& [key, item] : sorted_entries(value.dict())) {
      if (!first) out.append(", ");
      first = false;
      append_sorted_repr(out, key, depth + 1);
      out.append(": ");
      append_sorted_repr(out, item, depth + 1);
    }
    out.push('}');
  } else if (value.is_sequence() && !value.is_group()) {
    const auto& items = value.items();
    out.push(value.is_list() ? '[' : '(');
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i != 0) out.append(", ");
      append_sorted_repr(out, items[i], depth + 1);
    }
    if (value.is_tuple() && items.size() == 1) out.push(',');
    out.push(value.is_list() ? ']' : ')');
  } else {
    append_repr(out, value, depth);
  }
}

std::string sorted_repr(const Value& value, int depth) {
  TextBuilder out;
  append_sorted_repr(out, value, depth);
  return out.take();
}

std::int64_t width_of(std::string_view text) {
  return static_cast<std::int64_t>(count_code_points(text));
}

std::string string_repr(std::string_view text) {
  return to_repr(Value::string(std::string(text)));
}

// Words with the space that follows each.
std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  std::size_t start = 0;
  bool in_space = false;
  for (std::size_t i = 0; i < line.size();) {
    const std::size_t at = i;
    const bool space = is_space(decode_at(line, i));
    if (in_space && !space) {
      words.push_back(line.substr(start, at - start));
      start = at;
    }
    in_space = space;
  }
  if (start < line.size()) words.push_back(line.substr(start));
  return words;
}

class PrettyPrinter {
 public:
  std::string run(const Value& value) {
    format(value, 0, 0, 0);
    return out_.take();
  }

 private:
  // `allowance` is the room that closing brackets need behind the value.
  void format(const Value& value, std::int64_t indent, std::int64_t allowance, int level) {
    const std::string text = sorted_repr(value, level);
    const bool layered = value.is_dict() || (value.is_sequence() && !value.is_group()) ||
                         (value.is_string() && !value.is_markup());
    if (width_of(text) <= kWidth - indent - allowance || !layered) {
      out_.append(text);
      return;
    }
    if (value.is_dict()) {
      out_.push('{');
      dict(value.dict(), indent + 1, allowance + 1, level + 1);
      out_.push('}');
    } else if (value.is_string()) {
      string(value.text(), indent, allowance, level + 1);
    } else {
      const bool is_list = value.is_list();
      const std::string_view end = is_list ? "]" : value.items().size() == 1 ? ",)" : ")";
      out_.push(is_list ? '[' : '(');
      sequence(value.items(), indent + 1, allowance + static_cast<std::int64_t>(end.size()),
               level + 1);
      out_.append(end);
    }
  }

  void new_line(std::int64_t indent) {
    out_.push('\n');
    out_.append(static_cast<std::size_t>(indent), ' ');
    Budget::spend_bytes(static_cast<std::size_t>(indent));
  }

  void dict(const DictObject& dict, std::int64_t indent, std::int64_t allowance, int level) {
    const auto entries = sorted_entries(dict);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const bool last = i + 1 == entries.size();
      const std::string key = sorted_repr(entries[i].first, level);
      out_.append(key);
      out_.append(": ");
      format(entries[i].second, indent + width_of(key) + 2, last ? allowance : 1, level);
      if (!last) {
        out_.push(',');
        new_line(indent);
      }
    }
  }

  void sequence(const std::vector<Value>& items, std::int64_t indent, std::int64_t allowance,
                int level) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      const bool last = i + 1 == items.size();
      format(items[i], indent, last ? allowance : 1, level);
      if (!last) {
        out_.push(',');
        new_line(indent);
      }
    }
  }

  void string(std::string_view text, std::int64_t indent, std::int64_t allowance, int level) {
    std::vector<std::string> chunks;
    const std::vector<std::string_view> lines = split_lines(text, true);
    if (level == 1) {
      ++indent;
      ++allowance;
    }
    const std::int64_t room = kWidth - indent;
    std::string whole;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const bool last_line = i + 1 == lines.size();
      whole = string_repr(lines[i]);
      if (width_of(whole) <= room - (last_line ? allowance : 0)) {
        chunks.push_back(whole);
        continue;
      }
      const std::vector<std::string_view> words = words_of(lines[i]);
      std::string current;
      for (std::size_t k = 0; k < words.size(); ++k) {
        const bool last_word = last_line && k + 1 == words.size();
        const std::string candidate = current + std::string(words[k]);
        if (width_of(string_repr(candidate)) > room - (last_word ? allowance : 0)) {
          if (!current.empty()) chunks.push_back(string_repr(current));
          current = std::string(words[k]);
        } else {
          current = candidate;
        }
      }
      if (!current.empty()) chunks.push_back(string_repr(current));
    }
    if (chunks.size() == 1) {
      out_.append(whole);
      return;
    }
    if (level == 1) out_.push('(');
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      if (i > 0) new_line(indent);
      out_.append(chunks[i]);
    }
    if (level == 1) out_.push(')');
  }

  TextBuilder out_;
};

}  // namespace

std::string pretty_print(const Value& value) {
  return PrettyPrinter().run(value);
}

}  // namespace mistral::text::jinja
