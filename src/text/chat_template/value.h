// Values of the template language with the semantics of Python's: None, bool, int, float, str
// (optionally marked as safe HTML), list, tuple, dict and objects with behaviour. Containers are
// immutable, so values are copied by sharing.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json.h"
#include "text/chat_template/big_int.h"
#include "text/chat_template/eval_error.h"
#include "text/chat_template/object.h"

namespace mistral::text::jinja {

class Value;
class Instance;

enum class Kind : std::uint8_t {
  kMissing,  // an empty slot; never visible to a template
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kBigInt,
  kString,
  kBytes,
  kList,
  kTuple,
  kDict,
  kInstance,
};

class StringObject final : public Object {
 public:
  explicit StringObject(std::string text) : Object(true), text_(std::move(text)) {}
  [[nodiscard]] const std::string& text() const { return text_; }
  // Number of code points; counted once.
  [[nodiscard]] std::size_t length() const;
  [[nodiscard]] bool ascii() const { return length() == text_.size(); }
  [[nodiscard]] std::size_t payload_bytes() const { return text_.capacity(); }

 private:
  static constexpr std::size_t kUnknown = ~std::size_t{0};
  const std::string text_;
  mutable std::atomic<std::size_t> length_{kUnknown};
};

class BigIntObject final : public Object {
 public:
  explicit BigIntObject(BigInt number) : Object(true), number_(std::move(number)) {}
  [[nodiscard]] const BigInt& number() const { return number_; }
  [[nodiscard]] std::size_t payload_bytes() const { return number_.bits() / 8; }

 private:
  const BigInt number_;
};

class UndefinedObject;
class SequenceObject;
class DictObject;

// 16 bytes: a kind, a mark and a number or a reference.
class Value {
 public:
  Value() { payload_.integer = 0; }
  Value(const Value& other) : kind_(other.kind_), mark_(other.mark_), payload_(other.payload_) {
    if (holds_object()) payload_.object->retain();
  }
  Value(Value&& other) noexcept : kind_(other.kind_), mark_(other.mark_), payload_(other.payload_) {
    other.kind_ = Kind::kMissing;
  }
  Value& operator=(Value other) noexcept {
    std::swap(kind_, other.kind_);
    std::swap(mark_, other.mark_);
    std::swap(payload_, other.payload_);
    return *this;
  }
  ~Value() {
    if (holds_object()) payload_.object->release();
  }

  static Value none();
  static Value boolean(bool value);
  static Value integer(std::int64_t value);
  static Value integer(BigInt value);
  static Value floating(double value);
  static Value string(std::string text);
  static Value markup(std::string text);
  static Value string_like(const Value& model, std::string text);  // safe if the model is
  // A part of the text of `whole`; the same string if that is all of it.
  static Value part_of(const Value& whole, std::string_view part);
  static Value bytes(std::string data);
  static Value list(std::vector<Value> items);
  static Value tuple(std::vector<Value> items);
  static Value group(Value key, Value items);  // a tuple with the attributes grouper and list
  static Value dict(Ref<DictObject> dict);
  static Value instance(Ref<Instance> instance);
  // `message` is what an error says when the value is used; `exception` its kind.
  static Value undefined(std::string message,
                         TemplateErrorKind exception = TemplateErrorKind::kUndefined);
  // The value as a template sees it. Throws on strings that are not UTF-8 and on data nested too
  // deep to print.
  static Value from_json(const Json& json);

  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] bool is_missing() const { return kind_ == Kind::kMissing; }
  [[nodiscard]] bool is_undefined() const { return kind_ == Kind::kUndefined; }
  [[nodiscard]] bool is_none() const { return kind_ == Kind::kNone; }
  [[nodiscard]] bool is_bool() const { return kind_ == Kind::kBool; }
  [[nodiscard]] bool is_string() const { return kind_ == Kind::kString; }
  [[nodiscard]] bool is_markup() const { return kind_ == Kind::kString && mark_; }
  [[nodiscard]] bool is_list() const { return kind_ == Kind::kList; }
  [[nodiscard]] bool is_tuple() const { return kind_ == Kind::kTuple; }
  [[nodiscard]] bool is_group() const { return kind_ == Kind::kTuple && mark_; }
  [[nodiscard]] bool is_sequence() const { return is_list() || is_tuple(); }
  [[nodiscard]] bool is_dict() const { return kind_ == Kind::kDict; }
  [[nodiscard]] bool is_instance() const { return kind_ == Kind::kInstance; }
  // int in the sense of Python: bool is one too.
  [[nodiscard]] bool is_int() const {
    return kind_ == Kind::kInt || kind_ == Kind::kBool || kind_ == Kind::kBigInt;
  }
  [[nodiscard]] bool is_small_int() const { return kind_ == Kind::kInt || kind_ == Kind::kBool; }
  [[nodiscard]] bool is_float() const { return kind_ == Kind::kFloat; }
  [[nodiscard]] bool is_number() const { return is_int() || is_float(); }

  // The accessors below require the matching kind.
  [[nodiscard]] bool as_bool() const { return payload_.integer != 0; }
  [[nodiscard]] std::int64_t as_int() const { return payload_.integer; }  // kInt or kBool
  [[nodiscard]] double as_float() const { return payload_.number; }
  [[nodiscard]] const BigInt& as_big_int() const { return object<BigIntObject>().number(); }
  [[nodiscard]] BigInt widened() const;  // any int
  [[nodiscard]] const std::string& text() const { return object<StringObject>().text(); }
  [[nodiscard]] const StringObject& string_object() const { return object<StringObject>(); }
  [[nodiscard]] const std::vector<Value>& items() const;
  [[nodiscard]] const DictObject& dict() const;
  [[nodiscard]] const UndefinedObject& undefined_object() const;
  [[nodiscard]] Instance& instance() const;
  template <typename T>
  [[nodiscard]] T* instance_as() const;  // null when it is something else

  // The same string, marked or not as safe HTML.
  [[nodiscard]] Value with_markup(bool markup) const;
  [[nodiscard]] bool same_object(const Value& other) const;  // Python's `is`

 private:
  Value(Kind kind, bool mark, Object* object) : kind_(kind), mark_(mark) {
    payload_.object = object;
    object->retain();
  }
  [[nodiscard]] bool holds_object() const {
    return kind_ >= Kind::kBigInt || (kind_ == Kind::kUndefined && payload_.object != nullptr);
  }
  template <typename T>
  [[nodiscard]] const T& object() const {
    return static_cast<const T&>(*payload_.object);
  }

  Kind kind_ = Kind::kMissing;
  bool mark_ = false;
  union {
    std::int64_t integer;
    double number;
    Object* object;
  } payload_;
};

class UndefinedObject final : public Object {
 public:
  UndefinedObject(std::string message, TemplateErrorKind exception)
      : Object(true), message_(std::move(message)), exception_(exception) {}
  [[noreturn]] void fail() const { throw EvalError(exception_, message_); }
  [[nodiscard]] std::size_t payload_bytes() const { return message_.capacity(); }

 private:
  const std::string message_;
  const TemplateErrorKind exception_;
};

class SequenceObject final : public Object {
 public:
  explicit SequenceObject(std::vector<Value> items) : items_(std::move(items)) {}
  [[nodiscard]] const std::vector<Value>& items() const { return items_; }
  [[nodiscard]] std::size_t payload_bytes() const { return items_.capacity() * sizeof(Value); }

 private:
  const std::vector<Value> items_;
};

// Keys in order of insertion; lookup by hash once there are more than a few.
class DictObject final : public Object {
 public:
  using Entry = std::pair<Value, Value>;

  // Replaces the value of an equal key. Only while the dict is being built. Throws for keys that
  // Python cannot hash.
  void set(Value key, Value value);
  // For a key that is not there yet.
  void add(Value key, Value value);
  void reserve(std::size_t entries) { entries_.reserve(entries); }

  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] const Value* find(std::string_view key) const;
  [[nodiscard]] const Value* find(const Value& key) const;  // throws for unhashable keys
  [[nodiscard]] std::size_t payload_bytes() const {
    return entries_.capacity() * sizeof(Entry) + buckets_.capacity() * sizeof(std::uint32_t);
  }

 private:
  static constexpr std::size_t kLinearEntries = 8;
  template <typename Equal>
  [[nodiscard]] std::optional<std::size_t> locate(std::uint64_t hash, const Equal& equal) const;
  void insert(std::uint64_t hash, Value key, Value value);
  void rebuild_buckets();

  std::vector<Entry> entries_;
  std::vector<std::uint32_t> buckets_;  // index + 1, open addressing; empty while small
};

// Collects items under the budget.
class ListBuilder {
 public:
  void reserve(std::size_t count);
  void push(Value value) {
    if (items_.size() == items_.capacity()) grow();
    items_.push_back(std::move(value));
  }
  [[nodiscard]] std::size_t size() const { return items_.size(); }
  [[nodiscard]] std::vector<Value>& items() { return items_; }
  [[nodiscard]] Value list() { return Value::list(std::move(items_)); }
  [[nodiscard]] Value tuple() { return Value::tuple(std::move(items_)); }

 private:
  void grow();
  std::vector<Value> items_;
};

// Collects text under the budget. The bytes count as used while the builder lives.
class TextBuilder {
 public:
  TextBuilder() = default;
  TextBuilder(const TextBuilder&) = delete;
  TextBuilder& operator=(const TextBuilder&) = delete;
  ~TextBuilder() { Budget::release(charged_); }
  void append(std::string_view text) {
    if (text_.capacity() - text_.size() < text.size()) grow(text.size());
    text_.append(text);
  }
  void append(std::size_t count, char c) {
    if (text_.capacity() - text_.size() < count) grow(count);
    text_.append(count, c);
  }
  void push(char c) { append(std::string_view(&c, 1)); }
  void reserve(std::size_t bytes) {
    if (bytes > text_.capacity()) grow(bytes - text_.size());
  }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] std::string take();

 private:
  void grow(std::size_t more);
  std::string text_;
  std::size_t charged_ = 0;
};

// Deepest nesting of lists and dicts that is printed, compared or read from JSON.
inline constexpr int kMaxDataDepth = 400;

// The digits of a big number; counts the work.
[[nodiscard]] std::string big_int_text(const BigInt& number, int base = 10);
// The name of the Python type, as error messages use it.
[[nodiscard]] std::string_view type_name(const Value& value);
[[nodiscard]] bool truthy(const Value& value);
// Python's hash; equal numbers hash equally. Throws TypeError for lists and dicts.
[[nodiscard]] std::uint64_t hash_value(const Value& value);
[[nodiscard]] bool equal(const Value& left, const Value& right, int depth = 0);
// len(); nothing when the value has no length.
[[nodiscard]] std::optional<std::int64_t> length_of(const Value& value);

}  // namespace mistral::text::jinja
