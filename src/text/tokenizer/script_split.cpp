#include "text/tokenizer/script_split.h"

#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include "text/tokenizer/unicode.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

constexpr int kAnyScript = -1;

int script_of(char32_t c) {
  if (c == ' ') return kAnyScript;
  if (c == 0x30FC) return USCRIPT_HAN;  // the prolonged sound mark
  // The table that trained tokenizers is of Unicode 9.
  if (c >= 0x80 && unicode::introduced_in(c) > 9) return kAnyScript;
  // Characters that have moved to another script since.
  if (c == 0x589 || c == 0x61C) return USCRIPT_COMMON;
  if (c == 0x953 || c == 0x954) return USCRIPT_DEVANAGARI;
  UErrorCode status = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(static_cast<UChar32>(c), &status);
  if (U_FAILURE(status) != 0 || script == USCRIPT_UNKNOWN) return kAnyScript;
  if (script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA) return USCRIPT_HAN;
  return script;
}

}  // namespace

void split_by_script(std::string_view text, std::vector<ByteRange>& out) {
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::size_t begin = kNone;
  int previous = kAnyScript - 1;
  for (std::size_t position = 0; position < text.size();) {
    const utf8::Character c = utf8::decode(text.substr(position));
    if (const int script = script_of(c.code_point); script != kAnyScript) {
      if (script != previous) {
        if (begin != kNone) out.push_back({begin, position});
        begin = position;
      }
      previous = script;
    }
    position += c.length;
  }
  if (begin != kNone) out.push_back({begin, text.size()});
}

}  // namespace mistral::text
