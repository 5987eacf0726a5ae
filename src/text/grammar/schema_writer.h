// Turns shapes of JSON values into rules of a grammar.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/grammar/grammar.h"
#include "text/grammar/schema_reader.h"
#include "text/grammar/schema_shape.h"

namespace mistral::grammar {

class SchemaWriter {
 public:
  SchemaWriter(SchemaReader& reader, const ShapeAlgebra& algebra, GrammarBuilder& builder);

  // A value for which all of the set holds. The rules behind it are made by finish().
  [[nodiscard]] Expression value(const SchemaSet& set);
  void finish();

 private:
  using Count = std::uint64_t;

  [[nodiscard]] Expression expression(const Shape& shape, const SchemaSet& set);
  [[nodiscard]] Dfa number_texts(const Shape& shape) const;

  [[nodiscard]] Expression object(const ObjectShape& shape, const SchemaSet& set);
  [[nodiscard]] Expression members(const ObjectShape& shape,
                                   const std::vector<ObjectShape::Property>& properties);
  [[nodiscard]] Expression counted_members(const ObjectShape& shape,
                                           const std::vector<ObjectShape::Property>& properties,
                                           const SchemaSet& set);
  [[nodiscard]] Expression member(const ObjectShape::Property& property);
  [[nodiscard]] Expression other_member(const ObjectShape& shape);

  // schema_arrays.cpp
  [[nodiscard]] Expression array(const ArrayShape& shape, const SchemaSet& set);
  [[nodiscard]] Expression elements(const ArrayShape& shape);
  [[nodiscard]] Expression elements_from(const ArrayShape& shape, std::size_t index);
  [[nodiscard]] Expression containing_elements(const ArrayShape& shape, const SchemaSet& set);
  [[nodiscard]] Expression unique_elements(const ArrayShape& shape, const SchemaSet& set);
  [[nodiscard]] std::vector<std::string> scalar_texts(const SchemaSet& element,
                                                      const SchemaSet& set);

  [[nodiscard]] Expression string(const Dfa& strings);
  [[nodiscard]] Expression token(std::string_view pattern);
  [[nodiscard]] Expression literal(std::string_view text);
  [[nodiscard]] Expression comma() { return token(kComma); }
  [[noreturn]] void fail(const SchemaSet& set, std::string_view keyword,
                         std::string_view what) const;

  // White space stands only where a token begins or ends, and is never long.
  static constexpr std::string_view kOpenObject = R"(\{( |\r?\n[ \t]{0,24})?)";
  static constexpr std::string_view kCloseObject = R"(( |\r?\n[ \t]{0,24})?\})";
  static constexpr std::string_view kOpenArray = R"(\[( |\r?\n[ \t]{0,24})?)";
  static constexpr std::string_view kCloseArray = R"(( |\r?\n[ \t]{0,24})?\])";
  static constexpr std::string_view kComma = R"(( |\r?\n[ \t]{0,24})?,( |\r?\n[ \t]{0,24})?)";
  static constexpr std::string_view kColon = R"( ?:( |\r?\n[ \t]{0,24})?)";
  static constexpr std::size_t kMostCells = 20'000;

  SchemaReader& reader_;
  const ShapeAlgebra& algebra_;
  GrammarBuilder& builder_;
  Budget& budget_;
  std::map<SchemaSet, std::uint32_t> rules_;
  std::vector<SchemaSet> waiting_;
  std::map<std::string, Dfa, std::less<>> tokens_;
  // The rules of large languages of strings: many properties often have the same limits.
  std::vector<std::pair<Dfa, std::uint32_t>> strings_;
};

}  // namespace mistral::grammar
