// Which files of a repository a model needs.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mistral::hub {

struct Wanted {
  enum class Kind {
    kModel,      // what runs: a Hugging Face model, else a GGUF model
    kPlain,      // a Hugging Face model, whatever else is there
    kGguf,       // a GGUF model, whatever else is there
    kTokenizer,  // tokenizer and chat template alone
    kFiles,      // the files named
  } kind = Kind::kModel;
  std::string quant;  // of a GGUF model: "Q4_K_M", or a file name; empty: the only one,
                      // else Q4_K_M
  std::vector<std::string> files;  // for kFiles
};

struct Selection {
  std::vector<std::string> files;   // that are there and needed, in the order of their use
  std::vector<std::string> absent;  // that would have been taken
  std::string gguf;  // the first shard of a GGUF model; empty: the folder is the model
};

// Reads a weight index: the names of the files that it names.
using IndexReader = std::function<std::vector<std::string>(const std::string& index_file)>;

// `listing` are the names of all files, sorted. Throws Error: kNotFound (no model there, no such
// quantisation, a shard missing), kInvalidArgument (several models and none named), all of which
// name what is there. What `read_index` throws passes through.
[[nodiscard]] Selection select_files(const std::vector<std::string>& listing, const Wanted& wanted,
                                     const IndexReader& read_index);

}  // namespace mistral::hub
