#include "hub/selection.h"

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>

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

// Weights that lie beside those of the model in published repositories and are something else.
constexpr std::array<std::string_view, 4> kNotWeights{"expected", "adapter", "consolidated",
                                                      "residual"};
constexpr std::array<std::string_view, 3> kPickleEndings{".bin", ".pth", ".pt"};

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

bool is_weight_name(const std::string& name, std::string_view ending) {
  const bool other = std::ranges::any_of(
      kNotWeights, [&](std::string_view prefix) { return name.starts_with(prefix); });
  return name.ends_with(ending) && name.find('/') == std::string::npos && !other;
}

// The rules of formats/weight_folder, on names alone.
std::vector<std::string> safetensors_files(const std::vector<std::string>& listing,
                                           const IndexReader& read_index) {
  const std::string index = "model.safetensors.index.json";
  if (contains(listing, index)) return from_index(listing, index, read_index);
  if (contains(listing, "model.safetensors")) return {"model.safetensors"};
  std::vector<std::string> names;
  std::ranges::copy_if(listing, std::back_inserter(names), [](const std::string& name) {
    return is_weight_name(name, ".safetensors");
  });
  if (names.empty()) {
    const std::string single = "consolidated.safetensors";
    return contains(listing, single) ? std::vector<std::string>{single}
                                     : std::vector<std::string>{};
  }
  std::vector<std::string> model = shards_of(listing, names.front());
  if (model != names) {
    throw make_error(ErrorKind::kInvalidArgument,
                     "several models and no index: {}; expected one model",
                     names_for_message(names));
  }
  return model;
}

std::vector<std::string> pickle_files(const std::vector<std::string>& listing,
                                      const IndexReader& read_index) {
  const std::string index = "pytorch_model.bin.index.json";
  if (contains(listing, index)) return from_index(listing, index, read_index);
  for (const std::string_view ending : kPickleEndings) {
    const std::string single = fmt::format("pytorch_model{}", ending);
    if (contains(listing, single)) return {single};
    for (const std::string& name : listing) {
      if (name.starts_with("pytorch_model-") && is_weight_name(name, ending) &&
          parse_shard_name(name)) {
        return shards_of(listing, name);
      }
    }
  }
  return {};
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
  std::vector<std::string> weights = safetensors_files(listing, read_index);
  if (weights.empty()) weights = pickle_files(listing, read_index);
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
    return is_weight_name(name, ".safetensors") || name == "consolidated.safetensors" ||
           name.starts_with("pytorch_model");
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
