#include "text/chat_template/parser.h"

#include <algorithm>

#include "text/chat_template/expression_parser.h"
#include "text/chat_template/unicode.h"

namespace mistral::text::jinja {
namespace {

using Words = std::vector<std::string_view>;

class Parser : private ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Body parse() { return parse_body({}); }

 private:
  [[noreturn]] void fail_unknown_tag(const std::string* name, Position where) const {
    std::string message = name == nullptr ? "Unexpected end of template."
                                          : fmt::format("Encountered unknown tag '{}'.", *name);
    if (!end_words_.empty()) {
      std::string looking;
      for (const std::string_view word : end_words_.back()) {
        looking += fmt::format("{}'{}'", looking.empty() ? "" : " or ", word);
      }
      const bool nested =
          name != nullptr &&
          std::any_of(end_words_.begin(), end_words_.end(), [&](const Words& words) {
            return std::find(words.begin(), words.end(), *name) != words.end();
          });
      message += nested ? fmt::format(
                              " The tags are nested wrongly: this tag ends an outer block, "
                              "but the inner one needs {}.",
                              looking)
                        : fmt::format(" The open block needs {}.", looking);
    }
    if (!tags_.empty()) {
      message += fmt::format(" The innermost block that needs to be closed is '{}'.", tags_.back());
    }
    fail(message, where);
  }

  Body parse_body(const Words& end_words) {
    Body body;
    std::unique_ptr<OutputStmt> output;
    if (!end_words.empty()) end_words_.push_back(end_words);
    const auto flush = [&] {
      if (output != nullptr) body.push_back(std::move(output));
    };
    const auto add = [&](Position where, std::string text, ExprPtr expr) {
      if (output == nullptr) output = make<OutputStmt>(where);
      output->parts.push_back({std::move(text), std::move(expr)});
    };
    while (!at(TokenKind::kEnd)) {
      const Position where = current().position;
      if (at(TokenKind::kData)) {
        add(where, advance().text, nullptr);
      } else if (at(TokenKind::kVariableBegin)) {
        advance();
        ExprPtr expr = parse_tuple({.conditional = true});
        expect(TokenKind::kVariableEnd);
        const Position position = expr->position;
        add(position, {}, std::move(expr));
      } else {
        flush();
        advance();
        const bool ends = at(TokenKind::kName) && std::find(end_words.begin(), end_words.end(),
                                                            current().text) != end_words.end();
        if (ends) {
          end_words_.pop_back();
          return body;
        }
        body.push_back(parse_statement());
        expect(TokenKind::kBlockEnd);
      }
    }
    flush();
    if (!end_words.empty()) fail_unknown_tag(nullptr, current().position);
    return body;
  }

  // The body of a block statement up to one of `end_words`, which stays the current token.
  Body parse_statements(const Words& end_words) {
    skip(TokenKind::kColon);
    expect(TokenKind::kBlockEnd);
    return parse_body(end_words);
  }

  Body parse_statements_to(std::string_view end_word) {
    Body body = parse_statements({end_word});
    advance();
    return body;
  }

  StmtPtr parse_statement() {
    const Nesting nesting(*this);
    if (!at(TokenKind::kName)) fail("tag name expected");
    const std::string tag = current().text;
    const Position where = current().position;
    tags_.push_back(tag);
    StmtPtr statement = dispatch(tag, where);
    tags_.pop_back();
    return statement;
  }

  StmtPtr dispatch(const std::string& tag, Position where) {
    if (tag == "if") return parse_if(where);
    if (tag == "for") return parse_for(where);
    if (tag == "set") return parse_set(where);
    if (tag == "macro") return parse_macro(where);
    if (tag == "call") return parse_call_block(where);
    if (tag == "filter") return parse_filter_block(where);
    if (tag == "with") return parse_with(where);
    if (tag == "print") return parse_print(where);
    if (tag == "block") return parse_block(where);
    if (tag == "autoescape") return parse_autoescape(where);
    if (tag == "generation") return parse_generation(where);
    if (tag == "break" || tag == "continue") {
      advance();
      return make_jump(tag == "break" ? StmtKind::kBreak : StmtKind::kContinue, where);
    }
    if (tag == "include" || tag == "import" || tag == "from" || tag == "extends") {
      return parse_refused(tag, where);
    }
    tags_.pop_back();
    fail_unknown_tag(&tag, where);
  }

  static StmtPtr make_jump(StmtKind kind, Position where) {
    return std::make_unique<JumpStmt>(kind, where);
  }

  StmtPtr parse_set(Position where) {
    advance();
    ExprPtr target = parse_target({.namespaces = true});
    if (skip(TokenKind::kAssign)) {
      return make<SetStmt>(where, std::move(target), parse_tuple({.conditional = true}));
    }
    auto node = make<SetBlockStmt>(where);
    node->target = std::move(target);
    node->filter = parse_filters(nullptr, false);
    node->body = parse_statements_to("endset");
    return node;
  }

  StmtPtr parse_for(Position where) {
    advance();
    auto node = make<ForStmt>(where);
    node->target = parse_target({.end_word = "in"});
    expect_name("in");
    node->iterable = parse_tuple({.end_word = "recursive"});
    if (skip_name("if")) node->test = parse_expression(true);
    node->recursive = skip_name("recursive");
    node->body = parse_statements({"endfor", "else"});
    if (advance().text == "else") node->otherwise = parse_statements_to("endfor");
    return node;
  }

  StmtPtr parse_if(Position where) {
    advance();
    auto node = make<IfStmt>(where);
    for (;;) {
      ExprPtr test = parse_tuple({});
      Body body = parse_statements({"elif", "else", "endif"});
      node->branches.push_back({std::move(test), std::move(body)});
      const std::string word = advance().text;
      if (word == "elif") continue;
      if (word == "else") node->otherwise = parse_statements_to("endif");
      return node;
    }
  }

  StmtPtr parse_with(Position where) {
    advance();
    auto node = make<WithStmt>(where);
    while (!at(TokenKind::kBlockEnd)) {
      if (!node->assignments.empty()) expect(TokenKind::kComma);
      ExprPtr target = parse_target({});
      expect(TokenKind::kAssign);
      ExprPtr value = parse_expression(true);
      node->assignments.emplace_back(std::move(target), std::move(value));
    }
    node->body = parse_statements_to("endwith");
    return node;
  }

  StmtPtr parse_autoescape(Position where) {
    advance();
    auto node = make<AutoescapeStmt>(where);
    node->enabled = parse_expression(true);
    node->body = parse_statements_to("endautoescape");
    return node;
  }

  StmtPtr parse_block(Position where) {
    advance();
    auto node = make<BlockStmt>(where);
    node->name = expect(TokenKind::kName).text;
    node->scoped = skip_name("scoped");
    node->required = skip_name("required");
    if (at(TokenKind::kSub)) fail("the name of a block must be an identifier without hyphens");
    node->body = parse_statements_to("endblock");
    if (node->required) {
      for (const StmtPtr& statement : node->body) {
        const auto* output = statement->kind == StmtKind::kOutput
                                 ? static_cast<const OutputStmt*>(statement.get())
                                 : nullptr;
        const bool blank =
            output != nullptr &&
            std::all_of(output->parts.begin(), output->parts.end(), [](const auto& part) {
              return part.expr == nullptr && strip_space(part.text, StripSide::kBoth).empty();
            });
        if (!blank) fail("Required blocks can only contain comments or whitespace");
      }
    }
    skip_name(node->name);
    return node;
  }

  StmtPtr parse_refused(const std::string& tag, Position where) {
    advance();
    auto node = make<RefusedStmt>(where, tag);
    node->source = parse_expression(true);
    const auto context = [&] {
      if ((at_name("with") || at_name("without")) && look().kind == TokenKind::kName &&
          look().text == "context") {
        advance();
        advance();
        return true;
      }
      return false;
    };
    const auto name = [&] { node->names.push_back(parse_name_target()); };
    if (tag == "include") {
      if (at_name("ignore") && look().kind == TokenKind::kName && look().text == "missing") {
        advance();
        advance();
      }
      context();
    } else if (tag == "import") {
      expect_name("as");
      name();
      context();
    } else if (tag == "from") {
      expect_name("import");
      for (bool first = true;; first = false) {
        if (!first) expect(TokenKind::kComma);
        if (!at(TokenKind::kName)) expect(TokenKind::kName);
        if (context()) break;
        name();
        if (node->names.back()->name.starts_with('_')) {
          fail("names starting with an underline can not be imported");
        }
        if (skip_name("as")) {
          node->names.pop_back();
          name();
        }
        if (context() || !at(TokenKind::kComma)) break;
      }
    }
    return node;
  }

  void parse_signature(MacroFunction& function) {
    expect(TokenKind::kLeftParen);
    while (!at(TokenKind::kRightParen)) {
      if (!function.parameters.empty()) expect(TokenKind::kComma);
      auto parameter = parse_name_target();
      const bool repeated =
          std::any_of(function.parameters.begin(), function.parameters.end(),
                      [&](const auto& other) { return other->name == parameter->name; });
      if (repeated) fail(fmt::format("duplicate argument '{}'", parameter->name));
      if (skip(TokenKind::kAssign)) {
        function.defaults.push_back(parse_expression(true));
      } else if (!function.defaults.empty()) {
        fail("non-default argument follows default argument");
      }
      function.parameters.push_back(std::move(parameter));
    }
    expect(TokenKind::kRightParen);
  }

  StmtPtr parse_macro(Position where) {
    advance();
    auto node = make<MacroStmt>(where);
    node->target = parse_name_target();
    node->function.name = node->target->name;
    node->function.position = where;
    parse_signature(node->function);
    node->function.body = parse_statements_to("endmacro");
    return node;
  }

  StmtPtr parse_call_block(Position where) {
    advance();
    auto node = make<CallBlockStmt>(where);
    node->function.position = where;
    if (at(TokenKind::kLeftParen)) parse_signature(node->function);
    node->call = parse_expression(true);
    if (node->call->kind != ExprKind::kCall) fail("expected call", where);
    node->function.body = parse_statements_to("endcall");
    return node;
  }

  StmtPtr parse_generation(Position where) {
    advance();
    auto node = make<CallBlockStmt>(where);
    node->function.position = where;
    node->function.body = parse_statements_to("endgeneration");
    return node;
  }

  StmtPtr parse_filter_block(Position where) {
    advance();
    auto node = make<FilterBlockStmt>(where);
    node->filter = parse_filters(nullptr, true);
    node->body = parse_statements_to("endfilter");
    return node;
  }

  StmtPtr parse_print(Position where) {
    advance();
    auto node = make<OutputStmt>(where);
    while (!at(TokenKind::kBlockEnd)) {
      if (!node->parts.empty()) expect(TokenKind::kComma);
      node->parts.push_back({{}, parse_expression(true)});
    }
    return node;
  }

  std::vector<std::string> tags_;
  std::vector<Words> end_words_;
};

}  // namespace

Body parse_template(std::string_view source, int max_depth) {
  return Parser(source, max_depth).parse();
}

}  // namespace mistral::text::jinja
