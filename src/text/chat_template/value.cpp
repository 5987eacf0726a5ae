#include "text/chat_template/value.h"

#include <cmath>
#include <functional>

#include "text/chat_template/instance.h"
#include "text/chat_template/unicode.h"

namespace mistral::text::jinja {
namespace {

std::uint64_t mix(std::uint64_t h) {
  h ^= h >> 33U;
  h *= 0xFF51AFD7ED558CCDULL;
  h ^= h >> 33U;
  return h;
}

// Looking at all of a text costs nothing when it is short, as keys nearly always are.
void spend_on_key(std::string_view text) {
  constexpr std::size_t kLongKey = 256;
  if (text.size() >= kLongKey) Budget::spend_bytes(text.size());
}

std::uint64_t hash_text(std::string_view text) {
  spend_on_key(text);
  return std::hash<std::string_view>{}(text);
}

std::optional<BigInt> integral(double value) {
  if (!std::isfinite(value) || value != std::floor(value)) return std::nullopt;
  return BigInt::from_double(value);
}

bool equal_numbers(const Value& left, const Value& right) {
  if (left.is_small_int() && right.is_small_int()) return left.as_int() == right.as_int();
  if (left.is_float() && right.is_float()) return left.as_float() == right.as_float();
  if (left.is_int() && right.is_int()) return left.widened() == right.widened();
  const Value& whole = left.is_int() ? left : right;
  const std::optional<BigInt> other = integral((left.is_int() ? right : left).as_float());
  return other.has_value() && whole.widened() == *other;
}

bool equal_dicts(const DictObject& left, const DictObject& right, int depth) {
  if (left.size() != right.size()) return false;
  for (const auto& [key, value] : left.entries()) {
    const Value* other = right.find(key);
    if (other == nullptr || !equal(value, *other, depth + 1)) return false;
  }
  return true;
}

Value json_value(const Json& json, int depth) {
  if (depth > kMaxDataDepth) {
    throw limit_error("data for the template is nested deeper than {} levels", kMaxDataDepth);
  }
  switch (json.type()) {
    case Json::value_t::boolean:
      return Value::boolean(json.get<bool>());
    case Json::value_t::number_integer:
      return Value::integer(json.get<std::int64_t>());
    case Json::value_t::number_unsigned:
      return Value::integer(BigInt::from_unsigned(json.get<std::uint64_t>()));
    case Json::value_t::number_float:
      return Value::floating(json.get<double>());
    case Json::value_t::string: {
      const auto& text = json.get_ref<const std::string&>();
      if (!valid_utf8(text)) throw runtime_error("a string given to the template is not UTF-8");
      return Value::string(text);
    }
    case Json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const Json& item : json) items.push_back(json_value(item, depth + 1));
      return Value::list(std::move(items));
    }
    case Json::value_t::object: {
      auto dict = Ref<DictObject>(new DictObject);
      dict->reserve(json.size());
      for (const auto& [key, item] : json.items()) {
        if (!valid_utf8(key)) throw runtime_error("a key given to the template is not UTF-8");
        dict->add(Value::string(key), json_value(item, depth + 1));
      }
      return Value::dict(std::move(dict));
    }
    default:
      return Value::none();
  }
}

}  // namespace

std::size_t StringObject::length() const {
  std::size_t length = length_.load(std::memory_order_relaxed);
  if (length == kUnknown) {
    length = count_code_points(text_);
    length_.store(length, std::memory_order_relaxed);
  }
  return length;
}

Value Value::none() {
  Value value;
  value.kind_ = Kind::kNone;
  return value;
}

Value Value::boolean(bool flag) {
  Value value;
  value.kind_ = Kind::kBool;
  value.payload_.integer = flag ? 1 : 0;
  return value;
}

Value Value::integer(std::int64_t number) {
  Value value;
  value.kind_ = Kind::kInt;
  value.payload_.integer = number;
  return value;
}

Value Value::integer(BigInt number) {
  if (const auto small = number.to_int64()) return integer(*small);
  // Python refuses to print more digits than this; nothing useful is larger.
  constexpr std::size_t kMaxBits = 14'300;
  if (number.bits() > kMaxBits) throw limit_error("integer of more than {} bits", kMaxBits);
  return {Kind::kBigInt, false, make_object<BigIntObject>(std::move(number)).get()};
}

Value Value::floating(double number) {
  Value value;
  value.kind_ = Kind::kFloat;
  value.payload_.number = number;
  return value;
}

Value Value::string(std::string text) {
  return {Kind::kString, false, make_object<StringObject>(std::move(text)).get()};
}

Value Value::markup(std::string text) {
  return {Kind::kString, true, make_object<StringObject>(std::move(text)).get()};
}

Value Value::string_like(const Value& model, std::string text) {
  return {Kind::kString, model.is_markup(), make_object<StringObject>(std::move(text)).get()};
}

Value Value::part_of(const Value& whole, std::string_view part) {
  return part.size() == whole.text().size() ? whole : string_like(whole, std::string(part));
}

Value Value::bytes(std::string data) {
  return {Kind::kBytes, false, make_object<StringObject>(std::move(data)).get()};
}

Value Value::list(std::vector<Value> items) {
  return {Kind::kList, false, make_object<SequenceObject>(std::move(items)).get()};
}

Value Value::tuple(std::vector<Value> items) {
  return {Kind::kTuple, false, make_object<SequenceObject>(std::move(items)).get()};
}

Value Value::group(Value key, Value items) {
  std::vector<Value> pair;
  pair.push_back(std::move(key));
  pair.push_back(std::move(items));
  return {Kind::kTuple, true, make_object<SequenceObject>(std::move(pair)).get()};
}

Value Value::dict(Ref<DictObject> dict) {
  dict->account(sizeof(DictObject) + dict->payload_bytes());
  return {Kind::kDict, false, dict.get()};
}

Value Value::instance(Ref<Instance> instance) {
  return {Kind::kInstance, false, instance.get()};
}

Value Value::undefined(std::string message, TemplateErrorKind exception) {
  return {Kind::kUndefined, false,
          make_object<UndefinedObject>(std::move(message), exception).get()};
}

Value Value::from_json(const Json& json) {
  return json_value(json, 0);
}

BigInt Value::widened() const {
  return kind_ == Kind::kBigInt ? as_big_int() : BigInt(as_int());
}

const std::vector<Value>& Value::items() const {
  return object<SequenceObject>().items();
}

const DictObject& Value::dict() const {
  return object<DictObject>();
}

const UndefinedObject& Value::undefined_object() const {
  return object<UndefinedObject>();
}

Instance& Value::instance() const {
  return static_cast<Instance&>(*payload_.object);
}

Value Value::with_markup(bool markup) const {
  Value value = *this;
  value.mark_ = markup;
  return value;
}

bool Value::same_object(const Value& other) const {
  if (kind_ != other.kind_) return false;
  if (kind_ == Kind::kNone) return true;
  if (kind_ == Kind::kString) return mark_ == other.mark_ && text() == other.text();
  if (kind_ == Kind::kTuple && items().empty()) return other.items().empty();
  return payload_.integer == other.payload_.integer;
}

template <typename Equal>
std::optional<std::size_t> DictObject::locate(std::uint64_t hash, const Equal& equal) const {
  if (buckets_.empty()) {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (equal(entries_[i].first)) return i;
    }
    return std::nullopt;
  }
  const std::size_t mask = buckets_.size() - 1;
  // More neighbours than chance brings are keys made to collide.
  constexpr std::size_t kFreeProbes = 8;
  std::size_t probes = 0;
  for (std::size_t at = mix(hash) & mask; buckets_[at] != 0; at = (at + 1) & mask) {
    if (equal(entries_[buckets_[at] - 1].first)) return buckets_[at] - 1;
    if (++probes > kFreeProbes) Budget::spend(1);
  }
  return std::nullopt;
}

void DictObject::rebuild_buckets() {
  std::size_t size = 4 * kLinearEntries;
  while (size < entries_.size() * 4) size *= 2;
  Budget::require(size * sizeof(std::uint32_t) + entries_.size() * 3 * sizeof(Entry));
  buckets_.assign(size, 0);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    std::size_t at = mix(hash_value(entries_[i].first)) & (size - 1);
    while (buckets_[at] != 0) at = (at + 1) & (size - 1);
    buckets_[at] = static_cast<std::uint32_t>(i + 1);
  }
}

void DictObject::set(Value key, Value value) {
  const std::uint64_t hash = hash_value(key);
  const auto same = [&](const Value& other) { return equal(other, key); };
  if (const auto found = locate(hash, same)) {
    entries_[*found].second = std::move(value);
    return;
  }
  insert(hash, std::move(key), std::move(value));
}

void DictObject::add(Value key, Value value) {
  const std::uint64_t hash = buckets_.empty() ? 0 : hash_value(key);
  insert(hash, std::move(key), std::move(value));
}

void DictObject::insert(std::uint64_t hash, Value key, Value value) {
  entries_.emplace_back(std::move(key), std::move(value));
  if (buckets_.empty() ? entries_.size() > kLinearEntries : entries_.size() * 2 > buckets_.size()) {
    rebuild_buckets();
  } else if (!buckets_.empty()) {
    const std::size_t mask = buckets_.size() - 1;
    std::size_t at = mix(hash) & mask;
    while (buckets_[at] != 0) at = (at + 1) & mask;
    buckets_[at] = static_cast<std::uint32_t>(entries_.size());
  }
}

const Value* DictObject::find(std::string_view key) const {
  const auto same = [&](const Value& other) { return other.is_string() && other.text() == key; };
  if (buckets_.empty()) spend_on_key(key);
  const auto found = locate(buckets_.empty() ? 0 : hash_text(key), same);
  return found ? &entries_[*found].second : nullptr;
}

const Value* DictObject::find(const Value& key) const {
  if (key.is_string()) return find(std::string_view(key.text()));
  const std::uint64_t hash = hash_value(key);
  const auto found = locate(hash, [&](const Value& other) { return equal(other, key); });
  return found ? &entries_[*found].second : nullptr;
}

void ListBuilder::reserve(std::size_t count) {
  Budget::require(count * sizeof(Value));
  items_.reserve(count);
}

void ListBuilder::grow() {
  const std::size_t capacity = items_.empty() ? 8 : items_.size() * 2;
  Budget::require((capacity + items_.size()) * sizeof(Value));
  items_.reserve(capacity);
}

std::string TextBuilder::take() {
  Budget::release(charged_);
  charged_ = 0;
  return std::exchange(text_, {});
}

void TextBuilder::grow(std::size_t more) {
  const std::size_t needed = text_.size() + more;
  const std::size_t capacity = needed < text_.capacity() * 2 ? text_.capacity() * 2 : needed;
  Budget::require(capacity);
  text_.reserve(capacity);
  Budget::release(charged_);
  charged_ = 0;
  Budget::charge(capacity);
  if (Budget::active()) charged_ = capacity;
}

std::string big_int_text(const BigInt& number, int base) {
  const std::size_t limbs = number.bits() / 32;
  Budget::spend(1 + limbs * limbs / 16);
  return number.to_string(base);
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
    case Kind::kBigInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return value.is_markup() ? "Markup" : "str";
    case Kind::kBytes:
      return "bytes";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return value.is_group() ? "_GroupTuple" : "tuple";
    case Kind::kDict:
      return "dict";
    case Kind::kInstance:
      return value.instance().type_name();
  }
  return "object";
}

bool truthy(const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return value.as_int() != 0;
    case Kind::kFloat:
      return value.as_float() != 0;
    case Kind::kBigInt:
      return true;
    case Kind::kString:
    case Kind::kBytes:
      return !value.text().empty();
    case Kind::kList:
    case Kind::kTuple:
      return !value.items().empty();
    case Kind::kDict:
      return value.dict().size() != 0;
    case Kind::kInstance:
      return value.instance().truthy();
  }
  return false;
}

std::uint64_t hash_value(const Value& value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
      return 1;
    case Kind::kNone:
      return 2;
    case Kind::kBool:
    case Kind::kInt:
      return static_cast<std::uint64_t>(value.as_int());
    case Kind::kBigInt:
      return hash_text(big_int_text(value.as_big_int()));
    case Kind::kFloat: {
      const double number = value.as_float();
      if (const auto whole = integral(number)) return hash_value(Value::integer(*whole));
      return std::hash<double>{}(number);
    }
    case Kind::kString:
      return hash_text(value.text());
    case Kind::kBytes:
      return hash_text(value.text()) + 1;
    case Kind::kTuple: {
      const NestingGuard guard;
      Budget::spend(1 + value.items().size());
      std::uint64_t hash = 3;
      for (const Value& item : value.items()) hash = mix(hash * 31 + hash_value(item));
      return hash;
    }
    case Kind::kList:
    case Kind::kDict:
      throw runtime_error("TypeError: unhashable type: '{}'", type_name(value));
    case Kind::kInstance:
      return std::hash<const void*>{}(&value.instance());
  }
  return 0;
}

bool equal(const Value& left, const Value& right, int depth) {
  if (depth > kMaxDataDepth) throw limit_error("comparison of data nested too deep");
  if (left.is_number() && right.is_number()) return equal_numbers(left, right);
  if (left.kind() != right.kind()) return false;
  switch (left.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
    case Kind::kBytes:
      Budget::spend_bytes(left.text().size() == right.text().size() ? left.text().size() : 0);
      return left.text() == right.text();
    case Kind::kList:
    case Kind::kTuple: {
      const auto& a = left.items();
      const auto& b = right.items();
      if (a.size() != b.size()) return false;
      if (&a == &b) return true;
      Budget::spend(a.size());
      for (std::size_t i = 0; i < a.size(); ++i) {
        if (!equal(a[i], b[i], depth + 1)) return false;
      }
      return true;
    }
    case Kind::kDict:
      if (&left.dict() == &right.dict()) return true;
      Budget::spend(left.dict().size());
      return equal_dicts(left.dict(), right.dict(), depth);
    case Kind::kInstance:
      return left.instance().equals(right.instance());
    default:
      return false;
  }
}

std::optional<std::int64_t> length_of(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return 0;
    case Kind::kString:
      return static_cast<std::int64_t>(value.string_object().length());
    case Kind::kBytes:
      return static_cast<std::int64_t>(value.text().size());
    case Kind::kList:
    case Kind::kTuple:
      return static_cast<std::int64_t>(value.items().size());
    case Kind::kDict:
      return static_cast<std::int64_t>(value.dict().size());
    case Kind::kInstance:
      return value.instance().length();
    default:
      return std::nullopt;
  }
}

}  // namespace mistral::text::jinja
