// Filters on lists and other iterables.
#include <algorithm>

#include "text/chat_template/filter_helpers.h"
#include "text/chat_template/operators.h"

namespace mistral::text::jinja {
namespace {

Value length(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("len", args, 0, 0);
  const auto size = length_of(self);
  if (!size) throw runtime_error("TypeError: object of type '{}' has no len()", type_name(self));
  return Value::integer(*size);
}

Value list(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("list", args, 0, 0);
  return Value::list(collect(self));
}

Value first(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("first", args, 0, 0);
  Value item;
  if (iterate(self)->next(item)) return item;
  return Value::undefined("No first item, sequence was empty.");
}

// What reversed() accepts.
bool reversible(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
      return true;
    default:
      return value.instance_as<Range>() != nullptr || value.instance_as<DictView>() != nullptr;
  }
}

Value last(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("last", args, 0, 0);
  if (!reversible(self)) {
    throw runtime_error("TypeError: '{}' object is not reversible", type_name(self));
  }
  if (self.is_sequence() && !self.items().empty()) return self.items().back();
  if (self.is_string() && !self.text().empty()) {
    const Value character = get_item(self, Value::integer(std::int64_t{-1}));
    return Value::string(character.text());
  }
  const std::vector<Value> items = collect(self);
  if (!items.empty()) return items.back();
  return Value::undefined("No last item, sequence was empty.");
}

Value reverse(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("reverse", args, 0, 0);
  if (self.is_string()) {
    return slice(self, Value(), Value(), Value::integer(std::int64_t{-1}));
  }
  if (!try_iterate(self)) throw runtime_error("argument must be iterable");
  std::vector<Value> items = collect(self);
  std::reverse(items.begin(), items.end());
  Value reversed = Value::list(std::move(items));
  if (!reversible(self)) return reversed;
  return Value::instance(Ref<Instance>(iterate(reversed).get()));
}

Value join(Interpreter& in, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("join", args, {"d", "attribute"});
  const Value separator = bound[0].is_missing() ? Value::string({}) : bound[0];
  const AttributePath path(bound[1]);
  const Ref<Iterator> iterator = iterate(self);
  Value item;
  if (!in.autoescape()) {
    const std::string between = to_str(separator);
    TextBuilder out;
    for (bool is_first = true; iterator->next(item); is_first = false) {
      if (!is_first) out.append(between);
      Budget::spend_bytes(between.size());
      append_str(out, path.get(item));
    }
    return Value::string(out.take());
  }
  std::vector<Value> parts;
  bool safe = separator.is_markup();
  while (iterator->next(item)) {
    Budget::spend(1);
    parts.push_back(path.get(item));
    safe = safe || parts.back().is_markup();
  }
  TextBuilder out;
  const std::string between = safe ? escape_value(separator).text() : to_str(separator);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i != 0) out.append(between);
    out.append(safe ? escape_value(parts[i]).text() : to_str(parts[i]));
  }
  return safe ? Value::markup(out.take()) : Value::string(out.take());
}

// The argument `reverse` of sorted(), which must be a number.
bool flag(const Value& value) {
  return !value.is_missing() && to_index(value) != 0;
}

Value sort(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("sort", args, {"reverse", "case_sensitive", "attribute"});
  const bool case_sensitive = truthy(bound[1]);
  // Several attributes, separated by commas, make a list of keys.
  std::vector<AttributePath> paths;
  if (bound[2].is_string()) {
    const std::string& text = bound[2].text();
    for (std::size_t start = 0; start <= text.size();) {
      const std::size_t end = std::min(text.find(',', start), text.size());
      paths.emplace_back(Value::string(text.substr(start, end - start)));
      start = end + 1;
    }
  } else {
    paths.emplace_back(bound[2]);
  }
  std::vector<Value> items = collect(self);
  const bool reverse = flag(bound[0]);
  std::vector<Value> keys;
  keys.reserve(items.size());
  for (const Value& item : items) {
    std::vector<Value> key;
    for (const AttributePath& path : paths) {
      const Value part = path.get(item);
      key.push_back(case_sensitive ? part : ignore_case(part));
    }
    keys.push_back(Value::list(std::move(key)));
  }
  return Value::list(sort_by_keys(std::move(items), keys, reverse));
}

Value dictsort(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("dictsort", args, {"case_sensitive", "by", "reverse"});
  const bool by_value = bound[1].is_string() && bound[1].text() == "value";
  if (!bound[1].is_missing() && !by_value && !(bound[1].is_string() && bound[1].text() == "key")) {
    throw runtime_error("You can only sort by either \"key\" or \"value\"");
  }
  if (self.is_undefined()) self.undefined_object().fail();
  if (!self.is_dict()) {
    throw runtime_error("AttributeError: '{}' object has no attribute 'items'", type_name(self));
  }
  const bool reverse = flag(bound[2]);
  std::vector<Value> items;
  std::vector<Value> keys;
  for (const auto& [key, value] : self.dict().entries()) {
    Budget::spend(1);
    items.push_back(Value::tuple({key, value}));
    const Value& sort_key = by_value ? value : key;
    keys.push_back(truthy(bound[0]) ? sort_key : ignore_case(sort_key));
  }
  return Value::list(sort_by_keys(std::move(items), keys, reverse));
}

Value items(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("items", args, 0, 0);
  return make_generator("do_items", [self]() -> Generator::Step {
    if (self.is_undefined()) return [](Value&) { return false; };
    if (!self.is_dict()) throw runtime_error("TypeError: Can only get item pairs from a mapping.");
    const auto pairs = DictView(self, DictView::Part::kItems).iterate();
    return [pairs](Value& item) { return pairs->next(item); };
  });
}

Value unique(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("unique", args, {"case_sensitive", "attribute"});
  return make_generator(
      "sync_do_unique",
      [self, case_sensitive = truthy(bound[0]), attribute = bound[1]]() -> Generator::Step {
        auto seen = Ref<DictObject>(new DictObject);
        return [seen, path = AttributePath(attribute), case_sensitive,
                source = iterate(self)](Value& item) {
          while (source->next(item)) {
            Budget::spend(1);
            const Value part = path.get(item);
            const Value key = case_sensitive ? part : ignore_case(part);
            if (seen->find(key) != nullptr) continue;
            seen->set(key, Value::none());
            return true;
          }
          return false;
        };
      });
}

template <bool largest>
Value extreme(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments(largest ? "max" : "min", args, {"case_sensitive", "attribute"});
  const AttributePath path(bound[1]);
  const bool case_sensitive = truthy(bound[0]);
  const Ref<Iterator> iterator = iterate(self);
  Value best;
  if (!iterator->next(best)) return Value::undefined("No aggregated item, sequence was empty.");
  const auto key_of = [&](const Value& item) {
    const Value part = path.get(item);
    return case_sensitive ? part : ignore_case(part);
  };
  Value best_key = key_of(best);
  Value item;
  while (iterator->next(item)) {
    Budget::spend(1);
    Value key = key_of(item);
    if (!compare(largest ? CompareOp::kGt : CompareOp::kLt, key, best_key)) continue;
    best = item;
    best_key = std::move(key);
  }
  return best;
}

Value sum(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("sum", args, {"attribute", "start"});
  const AttributePath path(bound[0]);
  Value total = bound[1].is_missing() ? Value::integer(std::int64_t{0}) : bound[1];
  const Ref<Iterator> iterator = iterate(self);
  if (total.is_string() || total.kind() == Kind::kBytes) {
    throw runtime_error("TypeError: sum() can't sum strings [use ''.join(seq) instead]");
  }
  Value item;
  while (iterator->next(item)) {
    Budget::spend(1);
    total = binary(BinaryOp::kAdd, total, path.get(item));
  }
  return total;
}

Value batch(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("batch", args, {"linecount", "fill_with"}, 1);
  return make_generator("do_batch", [self, bound]() -> Generator::Step {
    return [bound, source = iterate(self), pending = Value(), done = false](Value& item) mutable {
      if (done) return false;
      ListBuilder line;
      if (!pending.is_missing()) line.push(std::exchange(pending, Value()));
      Value next;
      while (source->next(next)) {
        Budget::spend(1);
        // The first item is always taken, so that an empty line comes out before it at most once.
        if (equal(Value::integer(static_cast<std::int64_t>(line.size())), bound[0])) {
          pending = next;
          item = line.list();
          return true;
        }
        line.push(next);
      }
      done = true;
      if (line.size() == 0) return false;
      const bool fill = !bound[1].is_missing() && !bound[1].is_none();
      if (fill && less(Value::integer(static_cast<std::int64_t>(line.size())), bound[0])) {
        const std::int64_t count = to_index(bound[0]);
        line.reserve(static_cast<std::size_t>(count));
        Budget::spend(static_cast<std::uint64_t>(count));
        while (static_cast<std::int64_t>(line.size()) < count) line.push(bound[1]);
      }
      item = line.list();
      return true;
    };
  });
}

Value slices(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("slice", args, {"slices", "fill_with"}, 1);
  return make_generator("sync_do_slice", [self, bound]() -> Generator::Step {
    const Value all = Value::list(collect(self));
    const std::int64_t count = to_index(bound[0]);
    const auto size = static_cast<std::int64_t>(all.items().size());
    if (count == 0) throw runtime_error("ZeroDivisionError: integer division or modulo by zero");
    const std::int64_t longer = count > 0 ? size % count : 0;
    const std::int64_t share = count > 0 ? size / count : 0;
    return [all, bound, count, longer, share, number = std::int64_t{0},
            start = std::int64_t{0}](Value& item) mutable {
      if (number >= count) return false;
      const std::int64_t end = start + share + (number < longer ? 1 : 0);
      ListBuilder part;
      for (std::int64_t i = start; i < end; ++i) {
        Budget::spend(1);
        part.push(all.items()[static_cast<std::size_t>(i)]);
      }
      const bool fill = !bound[1].is_missing() && !bound[1].is_none();
      if (fill && number >= longer) part.push(bound[1]);
      start = end;
      ++number;
      item = part.list();
      return true;
    };
  });
}

Value groupby(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("groupby", args, {"attribute", "default", "case_sensitive"}, 1);
  const AttributePath path(bound[0], bound[1]);
  const bool case_sensitive = truthy(bound[2]);
  std::vector<Value> keys;
  std::vector<Value> source = collect(self);
  for (const Value& item : source) {
    const Value key = path.get(item);
    keys.push_back(case_sensitive ? key : ignore_case(key));
  }
  // Sort items and keys alike.
  std::vector<Value> pairs;
  for (std::size_t i = 0; i < source.size(); ++i) {
    pairs.push_back(Value::tuple({keys[i], source[i]}));
  }
  const std::vector<Value> sorted = sort_by_keys(std::move(pairs), keys, false);
  ListBuilder groups;
  for (std::size_t start = 0; start < sorted.size();) {
    std::size_t end = start;
    std::vector<Value> members;
    while (end < sorted.size() && equal(sorted[end].items()[0], sorted[start].items()[0])) {
      Budget::spend(1);
      members.push_back(sorted[end++].items()[1]);
    }
    const Value key = case_sensitive ? sorted[start].items()[0] : path.get(members[0]);
    groups.push(Value::group(key, Value::list(std::move(members))));
    // A key that is not equal to itself makes a group of its own.
    start = std::max(end, start + 1);
  }
  return groups.list();
}

Value random(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  require_arguments("random", args, 0, 0);
  const auto size = length_of(self);
  if (!size) throw runtime_error("TypeError: object of type '{}' has no len()", type_name(self));
  if (*size == 0) return Value::undefined("No random item, sequence was empty.");
  if (*size == 1) return get_item(self, Value::integer(std::int64_t{0}));
  throw runtime_error("random is refused: it would give another text in each rendering");
}

}  // namespace

void add_sequence_filters(BuiltinTable& table) {
  table.insert(table.end(), {
                                {"batch", batch},
                                {"count", length},
                                {"dictsort", dictsort},
                                {"first", first},
                                {"groupby", groupby},
                                {"items", items},
                                {"join", join},
                                {"last", last},
                                {"length", length},
                                {"list", list},
                                {"max", extreme<true>},
                                {"min", extreme<false>},
                                {"random", random},
                                {"reverse", reverse},
                                {"slice", slices},
                                {"sort", sort},
                                {"sum", sum},
                                {"unique", unique},
                            });
}

}  // namespace mistral::text::jinja
