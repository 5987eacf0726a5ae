#include "cli/line_editor.h"

#include <clocale>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <histedit.h>
#include <langinfo.h>

#include "cli/output.h"
#include "core/error.h"
#include "core/log.h"

namespace mistral::cli {

namespace {

constexpr int kHistoryEntries = 1000;

// The editor decodes what is typed by the locale; text here is UTF-8.
void use_utf8() {
  std::setlocale(LC_CTYPE, "");
  if (std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0) std::setlocale(LC_CTYPE, "C.UTF-8");
}

}  // namespace

struct LineEditor::Impl {
  std::filesystem::path history_file;
  EditLine* editor = nullptr;
  History* history = nullptr;
  std::string prompt;
  bool interrupted = false;
  bool save_failed = false;

  static Impl& of(EditLine* editor) {
    void* self = nullptr;
    el_get(editor, EL_CLIENTDATA, &self);
    return *static_cast<Impl*>(self);
  }
  static char* show_prompt(EditLine* editor) { return of(editor).prompt.data(); }
  static unsigned char on_interrupt(EditLine* editor, int /*key*/) {
    const LineInfo* line = el_line(editor);
    const auto length = static_cast<int>(line->lastchar - line->buffer);
    if (length == 0) {
      of(editor).interrupted = true;
      return CC_EOF;
    }
    el_cursor(editor, static_cast<int>(line->lastchar - line->cursor));
    el_deletestr(editor, length);
    return CC_REFRESH;
  }
};

LineEditor::LineEditor(std::filesystem::path history_file) : impl_(std::make_unique<Impl>()) {
  use_utf8();
  impl_->history_file = std::move(history_file);
  impl_->editor = el_init("mistralcpp", stdin, output_is_terminal() ? stdout : stderr, stderr);
  if (impl_->editor == nullptr) {
    throw make_error(ErrorKind::kResource, "the terminal cannot be used for editing");
  }
  EditLine* editor = impl_->editor;
  el_set(editor, EL_CLIENTDATA, impl_.get());
  el_set(editor, EL_PROMPT, &Impl::show_prompt);
  el_set(editor, EL_EDITOR, "emacs");
  // Ctrl-C arrives as a key while a line is edited, so that it can act on the line.
  el_set(editor, EL_SETTY, "-d", "-isig", nullptr);
  el_set(editor, EL_ADDFN, "interrupt", "Empty the line or leave", &Impl::on_interrupt);
  el_set(editor, EL_BIND, "^C", "interrupt", nullptr);
  el_set(editor, EL_BIND, "^R", "em-inc-search-prev", nullptr);

  HistEvent event;
  impl_->history = history_init();
  history(impl_->history, &event, H_SETSIZE, kHistoryEntries);
  history(impl_->history, &event, H_SETUNIQUE, 1);
  el_set(editor, EL_HIST, history, impl_->history);
  if (!impl_->history_file.empty()) {
    history(impl_->history, &event, H_LOAD, impl_->history_file.c_str());
  }
}

LineEditor::~LineEditor() {
  history_end(impl_->history);
  el_end(impl_->editor);
}

Line LineEditor::read(const std::string& prompt) {
  impl_->prompt = prompt;
  impl_->interrupted = false;
  int count = 0;
  const char* line = el_gets(impl_->editor, &count);
  if (impl_->interrupted) return {LineStatus::kInterrupt, ""};
  if (line == nullptr || count <= 0) return {LineStatus::kEnd, ""};
  std::string text(line, static_cast<std::size_t>(count));
  if (text.ends_with('\n')) text.pop_back();
  return {LineStatus::kLine, std::move(text)};
}

void LineEditor::remember(const std::string& text) {
  HistEvent event;
  history(impl_->history, &event, H_ENTER, text.c_str());
  if (impl_->history_file.empty() || impl_->save_failed) return;
  std::error_code error;
  std::filesystem::create_directories(impl_->history_file.parent_path(), error);
  if (history(impl_->history, &event, H_SAVE, impl_->history_file.c_str()) < 0) {
    impl_->save_failed = true;
    log::warn("the history cannot be written to {}", impl_->history_file.string());
  }
}

std::filesystem::path default_history_file() {
  const auto variable = [](const char* name) -> std::filesystem::path {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  std::filesystem::path state = variable("XDG_STATE_HOME");
  if (!state.is_absolute()) {  // the standard says to ignore relative paths
    const std::filesystem::path home = variable("HOME");
    if (home.empty()) return {};
    state = home / ".local" / "state";
  }
  return state / "mistralcpp" / "history";
}

}  // namespace mistral::cli
