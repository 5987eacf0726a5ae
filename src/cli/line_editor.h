// Lines typed at a terminal, with editing and a history that outlives the program (libedit).
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace mistral::cli {

enum class LineStatus {
  kLine,
  kEnd,        // Ctrl-D on an empty line, or the terminal is gone
  kInterrupt,  // Ctrl-C on an empty line; on others it empties the line and editing goes on
};
struct Line {
  LineStatus status = LineStatus::kEnd;
  std::string text;  // without the line break
};

class LineEditor {
 public:
  // Reads standard input, which must be a terminal. Loads the history when the file can be read.
  explicit LineEditor(std::filesystem::path history_file);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  [[nodiscard]] Line read(const std::string& prompt);
  // Adds an input to the history and writes the file; a failure to write is logged once.
  void remember(const std::string& text);

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

// $XDG_STATE_HOME/mistralcpp/history, else ~/.local/state/mistralcpp/history; empty without a home.
[[nodiscard]] std::filesystem::path default_history_file();

}  // namespace mistral::cli
