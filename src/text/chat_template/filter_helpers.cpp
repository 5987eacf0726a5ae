#include "text/chat_template/filter_helpers.h"

#include <algorithm>

#include "text/chat_template/unicode.h"

namespace mistral::text::jinja {

AttributePath::AttributePath(const Value& attribute, Value fallback)
    : fallback_(fallback.is_none() ? Value() : std::move(fallback)) {
  if (attribute.is_missing() || attribute.is_none()) return;
  if (!attribute.is_string()) {
    parts_.push_back(attribute);
    return;
  }
  const std::string& text = attribute.text();
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find('.', start), text.size());
    std::string part = text.substr(start, end - start);
    const bool digits = !part.empty() && part.size() < 19 &&
                        part.find_first_not_of("0123456789") == std::string::npos;
    parts_.push_back(digits ? Value::integer(static_cast<std::int64_t>(std::stoll(part)))
                            : Value::string(std::move(part)));
    start = end + 1;
  }
}

Value AttributePath::get(const Value& item) const {
  Value value = item;
  for (const Value& part : parts_) {
    value = get_item(value, part);
    if (!fallback_.is_missing() && value.is_undefined()) value = fallback_;
  }
  return value;
}

Value ignore_case(const Value& value) {
  if (!value.is_string()) return value;
  Budget::spend_bytes(value.text().size() * 2);
  return Value::string_like(value, to_lower(value.text()));
}

bool Generator::next(Value& item) {
  if (finished_) return false;
  if (running_) throw runtime_error("ValueError: generator already executing");
  const NestingGuard guard;
  Budget::spend(1);
  running_ = true;
  // A generator that has failed or ended gives nothing more.
  finished_ = true;
  if (start_) {
    const std::function<Step()> start = std::move(start_);
    start_ = nullptr;
    step_ = start();
  }
  finished_ = !step_(item);
  running_ = false;
  if (finished_) step_ = nullptr;
  return !finished_;
}

std::string Generator::repr() const {
  return fmt::format("<generator object {} at {}>", name_, kShownAddress);
}

Value make_generator(std::string_view name, std::function<Generator::Step()> start) {
  return Value::instance(Ref<Instance>(make_object<Generator>(name, std::move(start)).get()));
}

}  // namespace mistral::text::jinja
