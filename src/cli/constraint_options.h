// Options that say what an answer must look like.
#pragma once

#include <optional>
#include <string>

#include <CLI/App.hpp>

#include "mistral/types.h"

namespace mistral::cli {

class ConstraintOptions {
 public:
  void add_options(CLI::App& app);
  // Reads the file that an option names. Throws UsageError when more than one is given, Error when
  // the file cannot be read.
  [[nodiscard]] std::optional<Constraint> read() const;

 private:
  std::optional<std::string> regex_;
  std::string schema_;
  bool json_object_ = false;
  std::string lark_;
  std::string gbnf_;
  std::string yacc_;
};

}  // namespace mistral::cli
