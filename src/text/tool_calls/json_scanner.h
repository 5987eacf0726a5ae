// JSON as it arrives: where values begin and end, byte by byte.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mistral::text {

// Reads one object or list. What does not follow JSON's structure is refused at the byte where it
// shows; details that need whole values (escapes of surrogates, UTF-8) are left to who reads them.
// Control characters within strings, which models write and JSON forbids, come out as escapes.
class JsonScanner {
 public:
  enum class Progress { kMore, kDone, kInvalid };
  enum class Event {
    kNone,
    kKey,        // the key of a member ended: string()
    kBegin,      // a value begins with this byte
    kString,     // a string that is a value ended
    kContainer,  // an object or list ended; depth() is what it was inside
  };

  explicit JsonScanner(int max_depth) : max_depth_(max_depth) {}

  [[nodiscard]] Progress feed(char c);

  // What the last byte meant.
  [[nodiscard]] Event event() const { return event_; }
  // Open objects and lists, with this byte.
  [[nodiscard]] int depth() const { return static_cast<int>(open_.size()); }
  // Of the value that began with the last byte: an object or list has begun one level deeper.
  [[nodiscard]] std::size_t begin() const { return begin_; }
  // The text so far.
  [[nodiscard]] const std::string& text() const { return text_; }
  // Between the quotes of the string that ended last, escapes as they are.
  [[nodiscard]] std::string_view string() const;

 private:
  enum class State { kValue, kFirstValue, kFirstKey, kKey, kColon, kAfter, kString, kScalar };

  [[nodiscard]] Progress begin_value(char c);
  [[nodiscard]] Progress close(char c);
  [[nodiscard]] Progress within_string(char c);
  [[nodiscard]] bool in_object() const { return open_.back() == '{'; }

  int max_depth_;
  State state_ = State::kValue;
  Event event_ = Event::kNone;
  std::string open_;  // one bracket a level
  std::string text_;
  std::size_t begin_ = 0;
  bool key_ = false;  // the string is the key of a member
  int escape_ = 0;    // bytes of an escape that are still to come
};

// Whether `text` is JSON, with numbers that a double can hold.
[[nodiscard]] bool is_json(std::string_view text);
// Whether it is an object.
[[nodiscard]] bool is_json_object(std::string_view text);
// `text` as a string of JSON, with its quotes. Bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string json_string(std::string_view text);

}  // namespace mistral::text
