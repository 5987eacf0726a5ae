#include "cli/constraint_options.h"

#include "cli/command.h"
#include "cli/input.h"

namespace mistral::cli {

void ConstraintOptions::add_options(CLI::App& app) {
  const std::string group = "Constraint on the answer (one of these)";
  app.add_option("--grammar-regex", regex_, "the whole answer matches this regular expression")
      ->type_name("REGEX")
      ->group(group);
  const auto add = [&](const char* name, std::string& path, const char* help) {
    app.add_option(name, path, help)->type_name("FILE")->group(group);
  };
  add("--json-schema", schema_, "the answer is JSON that this schema allows");
  app.add_flag("--json-object", json_object_, "the answer is a JSON object")->group(group);
  add("--grammar-lark", lark_, "the answer belongs to this Lark grammar");
  add("--grammar-gbnf", gbnf_, "the answer belongs to this grammar in GBNF or EBNF");
  add("--grammar-yacc", yacc_, "the answer belongs to this Yacc grammar");
}

std::optional<Constraint> ConstraintOptions::read() const {
  using Kind = Constraint::Kind;
  const int given = int{regex_.has_value()} + int{!schema_.empty()} + int{json_object_} +
                    int{!lark_.empty()} + int{!gbnf_.empty()} + int{!yacc_.empty()};
  if (given > 1) throw UsageError("expected at most one constraint on the answer");
  if (regex_) return Constraint{.kind = Kind::kRegex, .text = *regex_};
  if (json_object_) return Constraint{.kind = Kind::kJsonObject, .text = {}};
  if (!schema_.empty()) return Constraint{.kind = Kind::kJsonSchema, .text = read_bytes(schema_)};
  if (!lark_.empty()) return Constraint{.kind = Kind::kLark, .text = read_bytes(lark_)};
  if (!gbnf_.empty()) return Constraint{.kind = Kind::kGbnf, .text = read_bytes(gbnf_)};
  if (!yacc_.empty()) return Constraint{.kind = Kind::kYacc, .text = read_bytes(yacc_)};
  return std::nullopt;
}

}  // namespace mistral::cli
