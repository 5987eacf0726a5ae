// Text as Python sees it: sequences of code points, stored here as UTF-8. Lone surrogates, which
// Python strings may hold, are stored as three bytes like any other code point.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mistral::text::jinja {

[[nodiscard]] bool valid_utf8(std::string_view text);
[[nodiscard]] bool all_ascii(std::string_view text);
[[nodiscard]] std::size_t count_code_points(std::string_view text);
// Decodes the code point at `position` and moves behind it. The text must be well formed.
[[nodiscard]] char32_t decode_at(std::string_view text, std::size_t& position);
// Decodes the code point that ends before `position` and moves to its start.
[[nodiscard]] char32_t decode_before(std::string_view text, std::size_t& position);
[[nodiscard]] std::u32string decode(std::string_view text);
void append_code_point(std::string& text, char32_t code_point);
[[nodiscard]] std::string encode(std::u32string_view text);
// The byte offset of the code point number `index`, which may be one past the end.
[[nodiscard]] std::size_t byte_offset(std::string_view text, std::size_t index, bool ascii);
// The position of `needle` at or after `from`, in linear time; npos if there is none.
[[nodiscard]] std::size_t find_text(std::string_view text, std::string_view needle,
                                    std::size_t from = 0);

// Character classes as in Python's str methods.
[[nodiscard]] bool is_space(char32_t c);
[[nodiscard]] bool is_line_break(char32_t c);
[[nodiscard]] bool is_alpha(char32_t c);
[[nodiscard]] bool is_decimal(char32_t c);
[[nodiscard]] bool is_digit(char32_t c);
[[nodiscard]] bool is_numeric(char32_t c);
[[nodiscard]] bool is_alnum(char32_t c);
[[nodiscard]] bool is_upper(char32_t c);
[[nodiscard]] bool is_lower(char32_t c);
[[nodiscard]] bool is_title(char32_t c);
[[nodiscard]] bool is_printable(char32_t c);
[[nodiscard]] bool is_identifier_start(char32_t c);
[[nodiscard]] bool is_identifier_part(char32_t c);
// The value of a decimal digit of any script; -1 for other characters.
[[nodiscard]] int decimal_value(char32_t c);

[[nodiscard]] std::string to_upper(std::string_view text);
[[nodiscard]] std::string to_lower(std::string_view text);
[[nodiscard]] std::string to_title(std::string_view text);
[[nodiscard]] std::string capitalize(std::string_view text);
[[nodiscard]] std::string swap_case(std::string_view text);
[[nodiscard]] std::string case_fold(std::string_view text);

enum class StripSide { kLeft, kRight, kBoth };
[[nodiscard]] std::string_view strip_space(std::string_view text, StripSide side);
[[nodiscard]] std::string_view strip_characters(std::string_view text, std::string_view characters,
                                                StripSide side);
// Lines without (or with) their ends, as str.splitlines.
[[nodiscard]] std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

}  // namespace mistral::text::jinja
