#include "text/grammar/json_schema.h"

#include "core/error.h"
#include "core/json.h"
#include "text/grammar/schema_reader.h"
#include "text/grammar/schema_shape.h"
#include "text/grammar/schema_writer.h"
#include "text/grammar/text_place.h"

namespace mistral::grammar {
namespace {

// Brackets outside of strings; the parser and all that follows are recursive.
void check_nesting(std::string_view text, int most) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > most) {
        throw make_error(ErrorKind::kInvalidArgument,
                         "schema: {}: brackets nest deeper than {} levels", place_in(text, i),
                         most);
      }
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
}

}  // namespace

Json parse_schema_text(std::string_view text, const Budget& budget) {
  check_nesting(text, 2 * budget.limits().nesting);
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    throw make_error(ErrorKind::kInvalidArgument, "schema: {}: it is not valid JSON",
                     place_in(text, error.byte > 0 ? error.byte - 1 : 0));
  } catch (const Json::exception&) {
    throw Error(ErrorKind::kInvalidArgument, "schema: a number is too large");
  }
}

Expression json_schema_expression(std::string_view text, GrammarBuilder& builder) {
  Budget& budget = builder.budget();
  budget.check_text(text.size());
  const Json document = parse_schema_text(text, budget);
  const ShapeAlgebra algebra(budget);
  SchemaReader reader(document, algebra);
  SchemaWriter writer(reader, algebra, builder);
  Expression value = writer.value(SchemaSet(SchemaLiteral{&document}));
  writer.finish();
  return value;
}

std::shared_ptr<const Grammar> compile_json_schema(std::string_view text,
                                                   const ConstraintVocabulary& vocabulary,
                                                   Budget& budget) {
  GrammarBuilder builder(vocabulary, budget, /*fold=*/false);
  const std::uint32_t start = builder.add_rule();
  builder.set_body(start, json_schema_expression(text, builder));
  try {
    return builder.build(start);
  } catch (Error& error) {
    throw error.add_context("schema: ''");
  }
}

}  // namespace mistral::grammar
