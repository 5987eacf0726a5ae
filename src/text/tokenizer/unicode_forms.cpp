#include "text/tokenizer/unicode_forms.h"

#include <algorithm>
#include <array>

#include <unicode/unorm2.h>

#include "core/error.h"
#include "text/tokenizer/unicode.h"
#include "text/tokenizer/utf8.h"

namespace mistral::text {
namespace {

const UNormalizer2* canonical() {
  UErrorCode status = U_ZERO_ERROR;
  const UNormalizer2* instance = unorm2_getNFCInstance(&status);
  if (U_FAILURE(status) != 0) throw Error(ErrorKind::kInternal, "ICU has no NFC data");
  return instance;
}

const UNormalizer2* compatibility() {
  UErrorCode status = U_ZERO_ERROR;
  const UNormalizer2* instance = unorm2_getNFKCInstance(&status);
  if (U_FAILURE(status) != 0) throw Error(ErrorKind::kInternal, "ICU has no NFKC data");
  return instance;
}

// The library that trained tokenizers has the data of Unicode 11.
bool is_covered(char32_t c) {
  return c < 0x300 || unicode::introduced_in(c) < 12;
}

struct Item {
  char32_t character;
  int change;  // as in CharacterChange
  std::uint8_t combining_class;
};

// The full decomposition in canonical order.
std::vector<Item> decompose(std::string_view text, const UNormalizer2* data) {
  std::vector<Item> items;
  items.reserve(text.size());
  std::size_t run = 0;  // begin of the characters that are not yet in order
  const auto sort_run = [&] {
    std::stable_sort(
        items.begin() + static_cast<std::ptrdiff_t>(run), items.end(),
        [](const Item& a, const Item& b) { return a.combining_class < b.combining_class; });
  };
  const auto push = [&](char32_t c, int change) {
    const std::uint8_t combining_class = c < 0x300 || !is_covered(c)
                                             ? std::uint8_t{0}
                                             : u_getCombiningClass(static_cast<UChar32>(c));
    if (combining_class == 0) {
      sort_run();
      items.push_back({c, change, 0});
      run = items.size();
    } else {
      items.push_back({c, change, combining_class});
    }
  };
  while (!text.empty()) {
    const utf8::Character c = utf8::decode(text);
    text.remove_prefix(c.length);
    std::array<UChar, 64> units{};
    std::int32_t length = -1;
    if (c.code_point >= 0xA0 && is_covered(c.code_point)) {
      UErrorCode status = U_ZERO_ERROR;
      length = unorm2_getDecomposition(data, static_cast<UChar32>(c.code_point), units.data(),
                                       static_cast<std::int32_t>(units.size()), &status);
      if (U_FAILURE(status) != 0) length = -1;
    }
    if (length < 0) {
      push(c.code_point, 0);
      continue;
    }
    int change = 0;
    for (std::int32_t i = 0; i < length; change = 1) {
      UChar32 part = 0;
      U16_NEXT(units.data(), i, length, part);
      push(static_cast<char32_t>(part), change);
    }
  }
  sort_run();
  return items;
}

// Canonical composition in place. A composite keeps its starter's place and swallows the second
// character's.
void compose(std::vector<Item>& items, const UNormalizer2* data) {
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::size_t starter = kNone;
  int last_class = -1;  // of the last character behind the starter that was kept; -1: none
  std::size_t kept = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Item item = items[i];
    if (starter != kNone && last_class < item.combining_class) {
      const UChar32 composite =
          unorm2_composePair(data, static_cast<UChar32>(items[starter].character),
                             static_cast<UChar32>(item.character));
      if (composite >= 0 && is_covered(static_cast<char32_t>(composite))) {
        items[starter].character = static_cast<char32_t>(composite);
        items[starter].change += item.change - 1;
        continue;
      }
    }
    if (item.combining_class == 0) {
      starter = kept;
      last_class = -1;
    } else if (starter != kNone) {
      last_class = item.combining_class;
    }
    items[kept++] = item;
  }
  items.resize(kept);
}

}  // namespace

void apply_unicode_form(UnicodeForm form, AlignedText& text) {
  const bool ascii = std::all_of(text.text().begin(), text.text().end(),
                                 [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (ascii) return;
  const bool canonically = form == UnicodeForm::kNfc || form == UnicodeForm::kNfd;
  std::vector<Item> items = decompose(text.text(), canonically ? canonical() : compatibility());
  if (form == UnicodeForm::kNfc || form == UnicodeForm::kNfkc) compose(items, canonical());
  std::vector<CharacterChange> changes;
  changes.reserve(items.size());
  for (const Item& item : items) changes.push_back({item.character, item.change});
  text.transform(changes);
}

}  // namespace mistral::text
