#include "formats/torch_state.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <unordered_map>

#include "core/error.h"
#include "formats/printable.h"

namespace mistral::formats {
namespace {

constexpr int kMaxDepth = 6;

// Keys under which training programs keep the weights, the more telling first.
constexpr std::string_view kContainers[] = {"state_dict", "model_state_dict", "model_state",
                                            "model",      "module",           "params"};
// Keys of other state that may hold tensors.
constexpr std::string_view kNotWeights[] = {"optimizer", "optim", "lr_scheduler", "scheduler",
                                            "scaler",    "rng",   "random",       "callbacks",
                                            "loops",     "ema",   "loss",         "lr_"};

// Finds the one dict of weights. Each dict is looked at once, however often it is referred to.
class StateFinder {
 public:
  explicit StateFinder(const Pickle& pickle)
      : pickle_(pickle), found_(pickle.containers.size()), seen_(pickle.containers.size()) {}

  // The dict of weights at or below `value`.
  std::optional<PickleValue> find(const PickleValue& value, int depth = 0) {
    if (value.kind != PickleKind::kDict || depth > kMaxDepth) return std::nullopt;
    if (seen_[value.index()]) return found_[value.index()];
    seen_[value.index()] = true;
    return found_[value.index()] = search(value, depth);
  }

 private:
  std::optional<PickleValue> search(const PickleValue& dict, int depth) {
    const auto& items = pickle_.items(dict);
    bool has_tensors = false;
    const PickleValue* named[std::size(kContainers)] = {};
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      if (items[i].kind != PickleKind::kText) continue;
      has_tensors = has_tensors || items[i + 1].kind == PickleKind::kTensor;
      const auto* known =
          std::find(std::begin(kContainers), std::end(kContainers), pickle_.text(items[i]));
      if (known != std::end(kContainers)) named[known - std::begin(kContainers)] = &items[i + 1];
    }
    for (const PickleValue* value : named) {
      if (value == nullptr) continue;
      if (auto state = find(*value, depth + 1)) return state;
    }
    if (has_tensors) return dict;
    return only_child(items, depth);
  }

  std::optional<PickleValue> only_child(const std::vector<PickleValue>& items, int depth) {
    std::optional<PickleValue> state;
    std::string_view key;
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      if (items[i].kind != PickleKind::kText || !may_be_weights(pickle_.text(items[i]))) continue;
      const auto other = find(items[i + 1], depth + 1);
      if (!other || (state && state->number == other->number)) continue;
      if (state) {
        throw make_error(ErrorKind::kInvalidFile,
                         "the checkpoint has tensors in both {} and {}; expected one dict of "
                         "weights, or one called 'state_dict' or 'model'",
                         printable(key), printable(pickle_.text(items[i])));
      }
      state = other;
      key = pickle_.text(items[i]);
    }
    return state;
  }

  static bool may_be_weights(std::string_view key) {
    return std::none_of(std::begin(kNotWeights), std::end(kNotWeights),
                        [&](std::string_view prefix) { return key.starts_with(prefix); });
  }

  const Pickle& pickle_;
  std::vector<std::optional<PickleValue>> found_;
  std::vector<bool> seen_;
};

bool all_begin_with(const std::vector<StateEntry>& entries, std::string_view prefix) {
  return std::all_of(entries.begin(), entries.end(),
                     [&](const StateEntry& entry) { return entry.name.starts_with(prefix); });
}

// DataParallel ("module."), torch.compile ("_orig_mod.") and trainers that hold a whole language
// model in a field ("model.", before the names that begin with "model." themselves) prefix all
// names.
void remove_prefixes(std::vector<StateEntry>& entries) {
  const auto strip = [&](std::string_view prefix) {
    for (StateEntry& entry : entries) entry.name.erase(0, prefix.size());
  };
  constexpr int kMaxPrefixes = 4;
  for (int i = 0; i < kMaxPrefixes; ++i) {
    if (all_begin_with(entries, "module.")) {
      strip("module.");
    } else if (all_begin_with(entries, "_orig_mod.")) {
      strip("_orig_mod.");
    } else if (all_begin_with(entries, "model.") &&
               std::any_of(entries.begin(), entries.end(), [](const StateEntry& entry) {
                 return entry.name.starts_with("model.model.");
               })) {
      strip("model.");
    } else {
      return;
    }
  }
}

}  // namespace

std::vector<StateEntry> find_state(const Pickle& pickle) {
  const auto state = StateFinder(pickle).find(pickle.root);
  if (!state) {
    throw make_error(ErrorKind::kInvalidFile,
                     "the checkpoint holds {} without weights; expected a dict of tensors",
                     name(pickle.root.kind));
  }
  const auto& items = pickle.items(*state);
  std::vector<StateEntry> entries;
  std::unordered_map<std::string_view, std::size_t> places;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].kind != PickleKind::kText || items[i + 1].kind != PickleKind::kTensor) continue;
    const std::string_view name = pickle.text(items[i]);
    const auto [place, added] = places.emplace(name, entries.size());
    if (added) entries.push_back({std::string(name), 0});
    entries[place->second].tensor = items[i + 1].index();
  }
  remove_prefixes(entries);
  return entries;
}

}  // namespace mistral::formats
