// Options that say how tokens are chosen.
#pragma once

#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "mistral/types.h"

namespace mistral::cli {

// Options that are not given come from the model.
class SamplingOptions {
 public:
  void add_options(CLI::App& app);
  // Throws UsageError when an option cannot be read.
  [[nodiscard]] SamplingParams resolve(const SamplingParams& model_defaults) const;

 private:
  void add_cutoffs(CLI::App& app);
  void add_penalties(CLI::App& app);

  SamplingParams given_;
  std::vector<std::string> logit_bias_;  // ID=BIAS
  bool greedy_ = false;
};

}  // namespace mistral::cli
