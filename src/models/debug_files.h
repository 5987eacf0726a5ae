// Files that show what was read, for those who look for a fault in a model file.
#pragma once

#include <filesystem>

#include "formats/weight_source.h"
#include "models/loader.h"

namespace mistral::models {

// Writes a line for each tensor of a GGUF or GGML file, in the order of the file, to
// mistralrs_gguf_tensors.txt or mistralrs_ggml_tensors.txt in `folder`: a JSON list of texts like
// "name = `blk.0.attn_q.weight`, shape = [64, 64], dtype = Q4K". Nothing for other kinds. A file
// that cannot be written is a warning.
void write_tensor_list(ModelPath::Kind kind, const formats::WeightSource& weights,
                       const std::filesystem::path& folder);

}  // namespace mistral::models
