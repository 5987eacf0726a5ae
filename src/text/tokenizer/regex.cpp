#include "text/tokenizer/regex.h"

#include <array>

#include <oniguruma.h>

#include "core/error.h"
#include "text/tokenizer/regex_properties.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

// Steps that one search may take. Patterns of real tokenizers need a few for each character.
constexpr unsigned long kStepsPerSearch = 200'000'000;

const OnigUChar* bytes(std::string_view text, std::size_t offset = 0) {
  return reinterpret_cast<const OnigUChar*>(text.data()) + offset;
}

void initialize_once() {
  static const bool done = [] {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    onig_initialize(encodings, 1);
    return true;
  }();
  static_cast<void>(done);
}

struct RegionDeleter {
  void operator()(OnigRegion* region) const { onig_region_free(region, 1); }
};
struct ParamDeleter {
  void operator()(OnigMatchParam* param) const { onig_free_match_param(param); }
};

}  // namespace

void Regex::Deleter::operator()(void* regex) const {
  onig_free(static_cast<regex_t*>(regex));
}

Regex::Regex(std::string_view pattern) {
  initialize_once();
  const std::string current = with_newer_characters(pattern);
  regex_t* compiled = nullptr;
  OnigErrorInfo info{};
  const int code = onig_new(&compiled, bytes(current), bytes(current, current.size()),
                            ONIG_OPTION_NONE, ONIG_ENCODING_UTF8, ONIG_SYNTAX_DEFAULT, &info);
  if (code != ONIG_NORMAL) {
    std::array<OnigUChar, ONIG_MAX_ERROR_MESSAGE_LEN> message{};
    const int length = onig_error_code_to_str(message.data(), code, &info);
    throw make_error(ErrorKind::kUnsupported, "regular expression \"{}\": {}", pattern,
                     std::string_view(reinterpret_cast<const char*>(message.data()),
                                      static_cast<std::size_t>(std::max(length, 0))));
  }
  regex_.reset(compiled);
}

std::vector<ByteRange> Regex::find_all(std::string_view text) const {
  std::vector<ByteRange> matches;
  if (text.empty()) text = std::string_view("", 0);
  const std::unique_ptr<OnigRegion, RegionDeleter> region(onig_region_new());
  const std::unique_ptr<OnigMatchParam, ParamDeleter> param(onig_new_match_param());
  onig_initialize_match_param(param.get());
  onig_set_retry_limit_in_match_of_match_param(param.get(), kStepsPerSearch);
  onig_set_retry_limit_in_search_of_match_param(param.get(), kStepsPerSearch);
  auto* regex = static_cast<regex_t*>(regex_.get());
  std::size_t start = 0;
  bool matched = false;
  while (start <= text.size()) {
    onig_region_clear(region.get());
    const int found = onig_search_with_param(regex, bytes(text), bytes(text, text.size()),
                                             bytes(text, start), bytes(text, text.size()),
                                             region.get(), ONIG_OPTION_NONE, param.get());
    if (found < 0) break;
    const auto begin = static_cast<std::size_t>(region->beg[0]);
    const auto end = static_cast<std::size_t>(region->end[0]);
    if (begin == end && matched && matches.back().end == end) {
      if (start >= text.size()) break;
      start += utf8::length_of(text[start]);
      continue;
    }
    matches.push_back({begin, end});
    matched = true;
    start = end;
  }
  return matches;
}

std::string escape_regex(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("\\.+*?()|[]{}^$#&-~").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

}  // namespace mistral::text
