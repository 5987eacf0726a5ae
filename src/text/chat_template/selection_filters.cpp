// Filters that apply other filters and tests: map, select, reject; and access by name.
#include <algorithm>

#include "text/chat_template/filter_helpers.h"

namespace mistral::text::jinja {
namespace {

using Step = Generator::Step;
using ItemFunction = std::function<Value(const Value&)>;

// Calls a filter or a test by name. A wrong name is an error only once there is an item.
ItemFunction by_name(Interpreter& in, const Value& name, CallArgs args, bool is_filter) {
  const Builtin* builtin = nullptr;
  if (name.is_string()) builtin = is_filter ? find_filter(name.text()) : find_test(name.text());
  return [&in, builtin, name, is_filter, args = std::move(args)](const Value& item) {
    if (builtin == nullptr) {
      throw runtime_error("No {} named {}.", is_filter ? "filter" : "test", to_repr(name));
    }
    CallArgs copy = args;
    return builtin->function(in, item, copy);
  };
}

ItemFunction map_function(Interpreter& in, CallArgs args) {
  if (args.positional.empty()) {
    Value attribute;
    Value fallback;
    bool given = false;
    for (const auto& [key, value] : args.keyword) {
      if (key.text() == "attribute") {
        attribute = value;
        given = true;
      }
    }
    if (!given) throw runtime_error("map requires a filter argument");
    for (const auto& [key, value] : args.keyword) {
      if (key.text() == "default") {
        fallback = value;
      } else if (key.text() != "attribute") {
        throw runtime_error("Unexpected keyword argument {}", to_repr(key));
      }
    }
    return
        [path = AttributePath(attribute, fallback)](const Value& item) { return path.get(item); };
  }
  const Value name = args.positional[0];
  args.positional.erase(args.positional.begin());
  return by_name(in, name, std::move(args), true);
}

Value map(Interpreter& in, const Value& self, CallArgs& args) {
  return make_generator("sync_do_map", [&in, self, args]() -> Step {
    if (!truthy(self)) return [](Value&) { return false; };
    ItemFunction function = map_function(in, args);
    return [function = std::move(function), source = iterate(self)](Value& item) {
      Value raw;
      if (!source->next(raw)) return false;
      item = function(raw);
      return true;
    };
  });
}

template <bool wanted, bool by_attribute>
Value select(Interpreter& in, const Value& self, CallArgs& args) {
  return make_generator("select_or_reject", [&in, self, args]() mutable -> Step {
    if (!truthy(self)) return [](Value&) { return false; };
    AttributePath path{Value()};
    if (by_attribute) {
      if (args.positional.empty()) throw runtime_error("Missing parameter for attribute name");
      path = AttributePath(args.positional[0]);
      args.positional.erase(args.positional.begin());
    }
    ItemFunction test;
    if (!args.positional.empty()) {
      const Value name = args.positional[0];
      args.positional.erase(args.positional.begin());
      test = by_name(in, name, args, false);
    }
    return [test = std::move(test), path, source = iterate(self)](Value& item) {
      while (source->next(item)) {
        Budget::spend(1);
        const Value subject = path.get(item);
        if (truthy(test ? test(subject) : subject) == wanted) return true;
      }
      return false;
    };
  });
}

Value attr(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("attr", args, {"name"}, 1);
  if (!bound[0].is_string()) throw runtime_error("TypeError: attribute name must be string");
  return get_attribute_only(self, bound[0].text());
}

Value default_value(Interpreter& /*in*/, const Value& self, CallArgs& args) {
  const auto bound = bind_arguments("default", args, {"default_value", "boolean"});
  if (self.is_undefined() || (truthy(bound[1]) && !truthy(self))) {
    return bound[0].is_missing() ? Value::string({}) : bound[0];
  }
  return self;
}

}  // namespace

void add_selection_filters(BuiltinTable& table) {
  table.insert(table.end(), {
                                {"attr", attr},
                                {"d", default_value},
                                {"default", default_value},
                                {"map", map},
                                {"reject", select<false, false>},
                                {"rejectattr", select<false, true>},
                                {"select", select<true, false>},
                                {"selectattr", select<true, true>},
                            });
}

}  // namespace mistral::text::jinja
