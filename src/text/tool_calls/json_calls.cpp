#include <optional>
#include <utility>

#include "core/json.h"
#include "text/tool_calls/call_reader.h"
#include "text/tool_calls/json_scanner.h"

namespace mistral::text {
namespace {

enum class Key { kOther, kName, kArguments, kFunction, kBeside };

Key key_of(std::string_view key) {
  if (key == "name" || key == "tool_name") return Key::kName;
  if (key == "arguments" || key == "parameters") return Key::kArguments;
  if (key == "function") return Key::kFunction;
  for (const std::string_view beside : {"type", "id", "tool_call_id", "call_id", "index"}) {
    if (key == beside) return Key::kBeside;
  }
  return Key::kOther;
}

// How much of an answer may come before the first key of a call: other JSON is not held up longer.
constexpr std::size_t kPatience = 1024;

// Without escapes; names of tools have none.
bool plain(std::string_view text) {
  return text.find('\\') == std::string_view::npos;
}

class JsonCallReader final : public CallReader {
 public:
  JsonCallReader(const ToolSet& tools, JsonPlace place, int max_depth)
      : tools_(tools), place_(place), scanner_(max_depth) {}

  Progress feed(char c) override {
    const JsonScanner::Progress progress = scanner_.feed(c);
    if (progress == JsonScanner::Progress::kInvalid || !follow(c)) return Progress::kInvalid;
    if (place_ == JsonPlace::kStart && !any_key_ && scanner_.text().size() > kPatience) {
      return Progress::kInvalid;
    }
    if (progress == JsonScanner::Progress::kMore) return Progress::kMore;
    return calls_.empty() ? Progress::kInvalid : Progress::kDone;
  }

 private:
  // False when this is no call.
  bool follow(char c) {
    const int depth = scanner_.depth();
    switch (scanner_.event()) {
      case JsonScanner::Event::kBegin:
        return begin(c, depth);
      case JsonScanner::Event::kKey: {
        if (depth != base_ && !(depth == base_ + 1 && wrapped_)) return true;
        key_ = key_of(scanner_.string());
        any_key_ = any_key_ || key_ != Key::kOther;
        const bool first = std::exchange(first_key_, false);
        return !(place_ == JsonPlace::kWithin && first && key_ == Key::kOther);
      }
      case JsonScanner::Event::kString:
        if (!of_call(depth)) return true;
        if (key_ == Key::kArguments) return quoted_arguments();
        if (key_ == Key::kName || (key_ == Key::kFunction && depth == base_)) {
          name_ = scanner_.string();
          return plain(name_) && tools_.find(name_) != nullptr;
        }
        return true;
      case JsonScanner::Event::kContainer:
        return end(depth);
      case JsonScanner::Event::kNone:
        return true;
    }
    return true;
  }

  // A value whose key stands at `depth` belongs to the call itself.
  [[nodiscard]] bool of_call(int depth) const {
    return depth == base_ || (wrapped_ && depth == base_ + 1);
  }

  bool begin(char c, int depth) {
    if (base_ == 0) {  // the whole
      base_ = c == '{' ? 1 : 2;
      return true;
    }
    const bool container = c == '{' || c == '[';
    const int outer = container ? depth - 1 : depth;
    if (outer == base_ - 1) {  // an element of the list
      first_key_ = true;
      return c == '{';
    }
    if (!of_call(outer)) return true;
    if (key_ == Key::kName && c != '"') return false;
    if (key_ == Key::kFunction && outer == base_) {
      if (c == '{') wrapped_ = true;
      return c == '{' || c == '"';
    }
    if (key_ == Key::kArguments) {
      if (c == '{') arguments_begin_ = scanner_.begin();
      return c == '{' || c == '"' || (c == 'n' && place_ == JsonPlace::kMarked);
    }
    return true;
  }

  bool end(int depth) {
    if (arguments_begin_ && of_call(depth) && key_ == Key::kArguments) {
      arguments_ = scanner_.text().substr(*arguments_begin_);
      arguments_begin_.reset();
      return true;
    }
    if (wrapped_ && depth == base_) {
      wrapped_ = false;
      key_ = Key::kOther;
      return true;
    }
    if (depth != base_ - 1) return true;
    if (place_ == JsonPlace::kMarked && !arguments_) arguments_ = "{}";
    if (name_.empty() || !arguments_ || !is_json_object(*arguments_)) return false;
    calls_.push_back({std::exchange(name_, {}), *std::exchange(arguments_, std::nullopt)});
    return true;
  }

  // The arguments as a text that holds an object.
  bool quoted_arguments() {
    const Json text = Json::parse('"' + std::string(scanner_.string()) + '"', nullptr, false);
    if (!text.is_string()) return false;
    arguments_ = text.get<std::string>();
    return is_json_object(*arguments_);
  }

  const ToolSet& tools_;
  JsonPlace place_;
  JsonScanner scanner_;
  int base_ = 0;          // the depth of a call's own keys; 0 before anything came
  bool wrapped_ = false;  // within {"function": {…}}
  bool first_key_ = true;
  bool any_key_ = false;  // one of a call's
  Key key_ = Key::kOther;
  std::string name_;
  std::optional<std::size_t> arguments_begin_;
  std::optional<std::string> arguments_;
};

}  // namespace

std::unique_ptr<CallReader> json_call_reader(const ToolSet& tools, JsonPlace place, int max_depth) {
  return std::make_unique<JsonCallReader>(tools, place, max_depth);
}

}  // namespace mistral::text
