// Options of a model selector that mistral.rs has and this program cannot do: known, so that they
// are refused by name instead of being taken for a slip of the finger, or worse, ignored.
#pragma once

#include <string>

#include <CLI/App.hpp>

namespace mistral::cli {

class RefusedOptions {
 public:
  void add_options(CLI::App& app, const std::string& group);
  // Throws Error (kUnsupported) for the first that is given and would have an effect.
  void check() const;

 private:
  std::string topology_;
  std::string organization_;
  std::string write_uqff_;
  std::string from_uqff_;
};

}  // namespace mistral::cli
