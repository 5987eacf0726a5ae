#include "hub/selection.h"

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <optional>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/shard_name.h"

namespace mistral::hub {
namespace {

constexpr std::string_view kDefaultQuant = "Q4_K_M";
constexpr std::size_t kMostNamesInMessage = 24;

constexpr std::array<std::string_view, 3> kTokenizerFiles{"tokenizer.json", "tokenizer.model",
                                                          "spiece.model"};
constexpr std::array<std::string_view, 6> kTextFiles{
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "chat_template.jinja",   "chat_template.json",      "processor_config.json"};
constexpr std::array<std::string_view, 2> kModelFiles{"generation_config.json",
                                                      "preprocessor_config.json"};
constexpr std::string_view kConfig = "config.json";

// What the files of one format are called; the rules of formats/weight_folder, on names alone.
struct WeightNames {
  std::string_view index;
  std::string_view index_ending;              // of other names of an index; empty: none
  std::string_view single;                    // before all others
  std::span<const std::string_view> endings;  // the usual one first
  // Of files that lie beside weights in published repositories and are something else.
  std::span<const std::string_view> beginnings_of_others;
};
constexpr std::string_view kConsolidated = "consolidated";

constexpr std::array<std::string_view, 1> kSafetensorsEndings{".safetensors"};
constexpr std::array<std::string_view, 3> kSafetensorsOthers{"expected", "adapter", "residual"};
constexpr WeightNames kSafetensors{"model.safetensors.index.json", "", "model.safetensors",
                                   kSafetensorsEndings, kSafetensorsOthers};

constexpr std::array<std::string_view, 3> kPickleEndings{".bin", ".pth", ".pt"};
constexpr std::array<std::string_view, 9> kPickleOthers{
    "expected", "adapter",   "training_args", "optimizer", "scheduler",
    "scaler",   "rng_state", "random_states", "trainer"};
constexpr WeightNames kPickle{"pytorch_model.bin.index.json", ".bin.index.json",
                              "pytorch_model.bin", kPickleEndings, kPickleOthers};

bool contains(const std::vector<std::string>& listing, std::string_view name) {
  return std::ranges::binary_search(listing, name, std::less<>{});
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

std::string names_for_message(const std::vector<std::string>& names) {
  if (names.empty()) return "nothing";
  const std::size_t count = std::min(names.size(), kMostNamesInMessage);
  return fmt::format("{}{}", fmt::join(names.begin(), names.begin() + count, ", "),
                     count < names.size() ? fmt::format(" and {} more", names.size() - count) : "");
}

void take(Selection& selection, const std::vector<std::string>& listing, std::string_view name) {
  if (contains(listing, name)) {
    selection.files.emplace_back(name);
  } else {
    selection.absent.emplace_back(name);
  }
}

// The first tokenizer that is there is the one that is used.
void take_tokenizer(Selection& selection, const std::vector<std::string>& listing) {
  for (const std::string_view name : kTokenizerFiles) {
    take(selection, listing, name);
    if (contains(listing, name)) break;
  }
  for (const std::string_view name : kTextFiles) take(selection, listing, name);
}

// All shards of the model that `name` is one of, or the name alone.
std::vector<std::string> shards_of(const std::vector<std::string>& listing,
                                   const std::string& name) {
  const auto shard = parse_shard_name(name);
  if (!shard) return {name};
  std::vector<std::string> names;
  for (std::uint32_t number = 1; number <= shard->count; ++number) {
    names.push_back(shard->sister(number));
    if (!contains(listing, names.back())) {
      throw make_error(ErrorKind::kNotFound, "'{}' is one of {} shards, but '{}' is not there",
                       name, shard->count, names.back());
    }
  }
  return names;
}

std::vector<std::string> from_index(const std::vector<std::string>& listing,
                                    const std::string& index, const IndexReader& read_index) {
  std::vector<std::string> names = read_index(index);
  for (const std::string& name : names) {
    if (!contains(listing, name)) {
      throw make_error(ErrorKind::kNotFound, "{} names the file '{}', which is not there", index,
                       name);
    }
  }
  names.insert(names.begin(), index);
  return names;
}

bool begins_with_any(std::string_view name, std::span<const std::string_view> beginnings) {
  return std::ranges::any_of(
      beginnings, [name](std::string_view beginning) { return name.starts_with(beginning); });
}

bool is_weight_name(std::string_view name, const WeightNames& names) {
  const bool ends = std::ranges::any_of(
      names.endings, [name](std::string_view ending) { return name.ends_with(ending); });
  return ends && name.find('/') == std::string_view::npos && !name.starts_with('.') &&
         !begins_with_any(name, names.beginnings_of_others);
}

std::optional<std::string> find_index(const std::vector<std::string>& listing,
                                      const WeightNames& names) {
  if (contains(listing, names.index)) return std::string(names.index);
  std::optional<std::string> found;
  if (names.index_ending.empty()) return found;
  for (const std::string& name : listing) {
    if (!name.ends_with(names.index_ending) || name.find('/') != std::string::npos) continue;
    if (found) {
      throw make_error(ErrorKind::kInvalidArgument, "both {} and {} are there; expected one model",
                       *found, name);
    }
    found = name;
  }
  return found;
}

// Of several, pytorch_model.pth and pytorch_model-00001-of-00002.bin are meant.
std::string first_usual_name(const std::vector<std::string>& candidates, const WeightNames& names) {
  const std::string_view stem = names.single.substr(0, names.single.rfind('.'));
  const auto usual = std::ranges::find_if(candidates, [stem](const std::string& name) {
    return name.starts_with(stem) &&
           (name.find('.') == stem.size() || (name[stem.size()] == '-' && parse_shard_name(name)));
  });
  return usual == candidates.end() ? "" : *usual;
}

struct Weights {
  std::vector<std::string> files;  // empty: none of this format
  // In the form of the model's author, taken when there is nothing else.
  bool consolidated = false;
};

Weights find_weights(const std::vector<std::string>& listing, const WeightNames& names,
                     const IndexReader& read_index) {
  if (const auto index = find_index(listing, names)) {
    return {from_index(listing, *index, read_index), false};
  }
  if (contains(listing, names.single)) return {{std::string(names.single)}, false};
  std::vector<std::string> found;
  std::vector<std::string> consolidated;
  for (const std::string& name : listing) {
    if (!is_weight_name(name, names)) continue;
    (name.starts_with(kConsolidated) ? consolidated : found).push_back(name);
  }
  Weights weights;
  weights.consolidated = found.empty();
  if (weights.consolidated) found = std::move(consolidated);
  if (found.empty()) return weights;
  if (const std::string usual = first_usual_name(found, names); !usual.empty()) {
    weights.files = shards_of(listing, usual);
    return weights;
  }
  weights.files = shards_of(listing, found.front());
  if (weights.files != found) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "several models and no index: {}; expected one model",
                     names_for_message(found));
  }
  return weights;
}

// safetensors before pickles, and both before consolidated files.
std::vector<std::string> weight_files(const std::vector<std::string>& listing,
                                      const IndexReader& read_index) {
  Weights safetensors = find_weights(listing, kSafetensors, read_index);
  if (!safetensors.files.empty() && !safetensors.consolidated) return safetensors.files;
  Weights pickle = find_weights(listing, kPickle, read_index);
  const bool author_only = pickle.files.empty() || pickle.consolidated;
  return author_only && !safetensors.files.empty() ? safetensors.files : pickle.files;
}

Selection select_plain(const std::vector<std::string>& listing, const IndexReader& read_index) {
  Selection selection;
  take(selection, listing, kConfig);
  if (!selection.absent.empty()) {
    throw make_error(ErrorKind::kNotFound, "no {}; expected a Hugging Face model, found {}",
                     kConfig, names_for_message(listing));
  }
  for (const std::string_view name : kModelFiles) take(selection, listing, name);
  take_tokenizer(selection, listing);
  const std::vector<std::string> weights = weight_files(listing, read_index);
  if (weights.empty()) {
    throw make_error(ErrorKind::kNotFound,
                     "no weights; expected files with the extension .safetensors, .bin, .pth or "
                     ".pt, found {}",
                     names_for_message(listing));
  }
  selection.files.insert(selection.files.end(), weights.begin(), weights.end());
  return selection;
}

// Files that end in .gguf and are no model of their own.
bool is_gguf_model(const std::string& name) {
  const std::string text = lower(name);
  const std::string file = text.substr(text.rfind('/') + 1);
  return text.ends_with(".gguf") && file.find("mmproj") == std::string::npos &&
         file.find("imatrix") == std::string::npos;
}

// Whether the words of a path ("Q4_K_M/model-Q4_K_M-00001-of-00002.gguf") include the quantisation:
// Q4_K is no word of Q4_K_M.
bool has_quant(const std::string& name, std::string_view quant) {
  const std::string text = lower(name);
  const std::string word = lower(quant);
  const auto is_part = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '_';
  };
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const bool begins = at == 0 || !is_part(text[at - 1]) || text[at - 1] == '_';
    const std::size_t end = at + word.size();
    if (begins && (end == text.size() || !is_part(text[end]))) return true;
  }
  return false;
}

// The first shards of the GGUF models of a listing.
std::vector<std::string> gguf_models(const std::vector<std::string>& listing) {
  std::vector<std::string> models;
  for (const std::string& name : listing) {
    const auto shard = parse_shard_name(name);
    if (is_gguf_model(name) && (!shard || shard->number == 1)) models.push_back(name);
  }
  return models;
}

std::string chosen_gguf(const std::vector<std::string>& listing, const std::string& quant) {
  const std::vector<std::string> models = gguf_models(listing);
  if (!quant.empty() && contains(listing, quant)) return quant;
  if (models.empty()) {
    throw make_error(ErrorKind::kNotFound, "no GGUF model there; found {}",
                     names_for_message(listing));
  }
  if (quant.empty() && models.size() == 1) return models.front();
  const std::string_view word = quant.empty() ? kDefaultQuant : std::string_view(quant);
  std::vector<std::string> found;
  std::ranges::copy_if(models, std::back_inserter(found),
                       [word](const std::string& name) { return has_quant(name, word); });
  if (found.size() == 1) return found.front();
  if (quant.empty()) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "{} GGUF models; name a quantisation or a file as ID:QUANT; there are {}",
                     models.size(), names_for_message(models));
  }
  if (found.empty()) {
    throw make_error(ErrorKind::kNotFound, "no GGUF model of quantisation '{}'; there are {}",
                     quant, names_for_message(models));
  }
  throw make_error(ErrorKind::kInvalidArgument,
                   "'{}' is the quantisation of several GGUF models; name the file as ID:FILE; "
                   "there are {}",
                   quant, names_for_message(found));
}

Selection select_gguf(const std::vector<std::string>& listing, const std::string& quant) {
  Selection selection;
  const std::vector<std::string> shards = shards_of(listing, chosen_gguf(listing, quant));
  selection.gguf = shards.front();
  take(selection, listing, "generation_config.json");
  selection.files.insert(selection.files.end(), shards.begin(), shards.end());
  return selection;
}

Selection select_named(const std::vector<std::string>& listing,
                       const std::vector<std::string>& files) {
  Selection selection;
  for (const std::string& name : files) {
    if (!contains(listing, name)) {
      throw make_error(ErrorKind::kNotFound, "no file '{}' there; found {}", name,
                       names_for_message(listing));
    }
    // The first shard of a model stands for all.
    const auto shard = parse_shard_name(name);
    const bool first = shard && shard->number == 1;
    for (std::string& file : first ? shards_of(listing, name) : std::vector<std::string>{name}) {
      const bool taken = std::ranges::find(selection.files, file) != selection.files.end();
      if (!taken) selection.files.push_back(std::move(file));
    }
  }
  return selection;
}

}  // namespace

Selection select_files(const std::vector<std::string>& listing, const Wanted& wanted,
                       const IndexReader& read_index) {
  switch (wanted.kind) {
    case Wanted::Kind::kFiles:
      return select_named(listing, wanted.files);
    case Wanted::Kind::kTokenizer: {
      Selection selection;
      take_tokenizer(selection, listing);
      return selection;
    }
    case Wanted::Kind::kGguf:
      return select_gguf(listing, wanted.quant);
    case Wanted::Kind::kPlain:
      return select_plain(listing, read_index);
    case Wanted::Kind::kModel:
      break;
  }
  if (!wanted.quant.empty()) return select_gguf(listing, wanted.quant);
  // A repository of GGUF files may carry the config.json of the model that they were made from.
  const bool weights = std::ranges::any_of(listing, [](const std::string& name) {
    return is_weight_name(name, kSafetensors) || name.starts_with("pytorch_model");
  });
  if (!weights && !gguf_models(listing).empty()) {
    Selection selection = select_gguf(listing, "");
    // So that what is cached can be told from a part of a Hugging Face model.
    if (!contains(listing, kConfig)) selection.absent.emplace_back(kConfig);
    return selection;
  }
  return select_plain(listing, read_index);
}

}  // namespace mistral::hub
