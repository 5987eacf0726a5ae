// Options about the prompt: which tokenizer and template make it, and what the template is told.
#pragma once

#include <optional>
#include <string>

#include <CLI/App.hpp>

#include "core/json.h"
#include "models/loader.h"

namespace mistral::cli {

// Tokenizer and chat template other than the model's own.
class TextSourceOptions {
 public:
  void add_options(CLI::App& app);
  // What is given here goes before `selected`, what ModelSelector says. Throws Error when a file is
  // not there.
  [[nodiscard]] models::TextOptions resolve(models::TextOptions selected) const;
  [[nodiscard]] bool names_template() const {
    return !chat_template_.empty() || !jinja_file_.empty();
  }

 private:
  std::string chat_template_;
  std::string jinja_file_;
  std::string tokenizer_json_;
};

// Variables of the chat template.
class ChatOptions {
 public:
  void add_options(CLI::App& app);
  // Puts the given ones into the object `extra`. Throws Error that names the option.
  void apply(Json& extra) const;
  [[nodiscard]] bool given() const {
    return !tools_.empty() || enable_thinking_ || !template_kwargs_.empty();
  }

 private:
  std::string tools_;
  std::optional<bool> enable_thinking_;
  std::string template_kwargs_;
};

}  // namespace mistral::cli
