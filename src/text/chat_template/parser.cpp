#include "text/chat_template/parser.h"

#include <algorithm>
#include <deque>

#include "text/chat_template/unicode.h"

namespace mistral::text::jinja {
namespace {

using Words = std::vector<std::string_view>;

// Chains of operators (a + b + c) make deep trees without deep syntax; they may be this many
// times deeper than nested constructs.
constexpr int kChainFactor = 5;

class Parser {
 public:
  Parser(std::string_view source, int max_depth) : lexer_(source), max_depth_(max_depth) {
    current_ = lexer_.next();
    if (at(TokenKind::kEnd)) current_.position = {};
  }

  Body parse() { return parse_body({}); }

 private:
  // Counts how deep constructs nest while it lives.
  class Nesting {
   public:
    explicit Nesting(Parser& parser) : parser_(parser) {
      if (++parser_.depth_ > parser_.max_depth_) {
        throw TemplateError(
            TemplateErrorKind::kLimit,
            fmt::format("the template nests deeper than {} levels", parser_.max_depth_),
            parser_.current_.position.line, parser_.current_.position.column);
      }
    }
    ~Nesting() { --parser_.depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    Parser& parser_;
  };

  // --- Tokens

  bool at(TokenKind kind) const { return current_.kind == kind; }
  bool at_name(std::string_view word) const {
    return at(TokenKind::kName) && current_.text == word;
  }

  Token advance() {
    Token previous = std::move(current_);
    if (!pushed_.empty()) {
      current_ = std::move(pushed_.front());
      pushed_.pop_front();
    } else {
      current_ = lexer_.next();
      // The end counts as part of the last line that held something.
      if (at(TokenKind::kEnd)) current_.position = previous.position;
    }
    return previous;
  }

  const Token& look() {
    if (pushed_.empty()) {
      pushed_.push_back(lexer_.next());
      if (pushed_.back().kind == TokenKind::kEnd) pushed_.back().position = current_.position;
    }
    return pushed_.front();
  }

  bool skip(TokenKind kind) {
    if (!at(kind)) return false;
    advance();
    return true;
  }

  bool skip_name(std::string_view word) {
    if (!at_name(word)) return false;
    advance();
    return true;
  }

  [[noreturn]] void fail(const std::string& message, Position where) const {
    throw TemplateError(TemplateErrorKind::kSyntax, message, where.line, where.column);
  }
  [[noreturn]] void fail(const std::string& message) const { fail(message, current_.position); }

  [[noreturn]] void fail_expected(const std::string& wanted) const {
    if (at(TokenKind::kEnd)) {
      fail(fmt::format("unexpected end of template, expected '{}'.", wanted));
    }
    fail(fmt::format("expected token '{}', got '{}'", wanted, describe(current_)));
  }

  Token expect(TokenKind kind) {
    if (!at(kind)) fail_expected(describe(kind));
    return advance();
  }

  Token expect_name(std::string_view word) {
    if (!at_name(word)) fail_expected(std::string(word));
    return advance();
  }

  // --- Trees

  template <typename T, typename... Args>
  std::unique_ptr<T> make(Position where, Args&&... args) {
    return std::make_unique<T>(where, std::forward<Args>(args)...);
  }

  // Records how high the tree has grown; bounds the recursion of everything that walks it.
  template <typename T>
  std::unique_ptr<T> grown(std::unique_ptr<T> expr, std::initializer_list<const Expr*> children) {
    for (const Expr* child : children) {
      if (child != nullptr) expr->depth = std::max(expr->depth, child->depth + 1);
    }
    if (expr->depth > max_depth_ * kChainFactor) {
      throw TemplateError(
          TemplateErrorKind::kLimit,
          fmt::format("an expression is deeper than {} levels", max_depth_ * kChainFactor),
          expr->position.line, expr->position.column);
    }
    return expr;
  }

  template <typename T>
  std::unique_ptr<T> grown_over(std::unique_ptr<T> expr, const std::vector<ExprPtr>& children) {
    for (const ExprPtr& child : children) expr = grown(std::move(expr), {child.get()});
    return expr;
  }

  template <typename T>
  std::unique_ptr<T> grown_over(std::unique_ptr<T> expr, const Arguments& arguments) {
    expr = grown_over(std::move(expr), arguments.positional);
    for (const auto& [key, value] : arguments.keyword) expr = grown(std::move(expr), {value.get()});
    return grown(std::move(expr), {arguments.star.get(), arguments.star_star.get()});
  }

  // --- Statements

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
      const Position where = current_.position;
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
                                                            current_.text) != end_words.end();
        if (ends) {
          end_words_.pop_back();
          return body;
        }
        body.push_back(parse_statement());
        expect(TokenKind::kBlockEnd);
      }
    }
    flush();
    if (!end_words.empty()) fail_unknown_tag(nullptr, current_.position);
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
    const std::string tag = current_.text;
    const Position where = current_.position;
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
    node->function.name = "caller";
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
    node->function.name = "caller";
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

  // --- Targets of assignments

  struct TargetOptions {
    std::string_view end_word = {};
    bool namespaces = false;
  };

  static bool reserved(std::string_view name) {
    return name == "true" || name == "false" || name == "none" || name == "True" ||
           name == "False" || name == "None";
  }

  std::unique_ptr<NameExpr> parse_name_target() {
    Token token = expect(TokenKind::kName);
    if (reserved(token.text)) fail("can't assign to a constant", token.position);
    auto name = make<NameExpr>(token.position, std::move(token.text));
    name->store = true;
    return name;
  }

  ExprPtr parse_target(const TargetOptions& options) {
    ExprPtr target = parse_tuple(
        {.end_word = options.end_word, .primaries = true, .namespaces = options.namespaces});
    mark_stored(*target);
    return target;
  }

  // NOLINTNEXTLINE(misc-no-recursion): bounded by the depth of the tree.
  void mark_stored(Expr& target) {
    if (target.kind == ExprKind::kName) {
      static_cast<NameExpr&>(target).store = true;
    } else if (target.kind == ExprKind::kTuple) {
      for (const ExprPtr& item : static_cast<SequenceExpr&>(target).items) mark_stored(*item);
    } else if (target.kind != ExprKind::kNamespaceRef) {
      fail("can't assign to this expression", target.position);
    }
  }

  // --- Expressions

  struct TupleOptions {
    bool conditional = false;  // a if b else c is allowed at the top
    std::string_view end_word = {};
    bool parenthesized = false;  // () is the empty tuple
    bool primaries = false;      // only names and the like, as in targets
    bool namespaces = false;
  };

  ExprPtr parse_tuple(const TupleOptions& options) {
    Position where = current_.position;
    std::vector<ExprPtr> items;
    bool is_tuple = false;
    for (;;) {
      if (!items.empty()) expect(TokenKind::kComma);
      const bool ends = at(TokenKind::kVariableEnd) || at(TokenKind::kBlockEnd) ||
                        at(TokenKind::kRightParen) ||
                        (!options.end_word.empty() && at_name(options.end_word));
      if (ends) break;
      items.push_back(options.primaries ? parse_primary(options.namespaces)
                                        : parse_expression(options.conditional));
      if (!at(TokenKind::kComma)) break;
      is_tuple = true;
      where = current_.position;
    }
    if (!is_tuple) {
      if (!items.empty()) return std::move(items[0]);
      if (!options.parenthesized) {
        fail(fmt::format("Expected an expression, got '{}'", describe(current_)));
      }
    }
    auto tuple = std::make_unique<SequenceExpr>(ExprKind::kTuple, where, std::move(items));
    const auto& elements = tuple->items;
    return grown_over(std::move(tuple), elements);
  }

  ExprPtr parse_expression(bool conditional) {
    return conditional ? parse_conditional() : parse_or();
  }

  ExprPtr parse_conditional() {
    Position where = current_.position;
    ExprPtr expr = parse_or();
    while (skip_name("if")) {
      ExprPtr test = parse_or();
      ExprPtr otherwise;
      if (skip_name("else")) {
        const Nesting nesting(*this);
        otherwise = parse_conditional();
      }
      const Expr* children[] = {expr.get(), test.get(), otherwise.get()};
      expr = grown(
          make<ConditionalExpr>(where, std::move(test), std::move(expr), std::move(otherwise)),
          {children[0], children[1], children[2]});
      where = current_.position;
    }
    return expr;
  }

  ExprPtr combine(ExprKind kind, Position where, BinaryOp op, ExprPtr left, ExprPtr right) {
    const Expr* a = left.get();
    const Expr* b = right.get();
    return grown(std::make_unique<BinaryExpr>(kind, where, op, std::move(left), std::move(right)),
                 {a, b});
  }

  ExprPtr parse_or() {
    ExprPtr left = parse_and();
    while (at_name("or")) {
      const Position where = advance().position;
      left = combine(ExprKind::kOr, where, BinaryOp::kAdd, std::move(left), parse_and());
    }
    return left;
  }

  ExprPtr parse_and() {
    ExprPtr left = parse_not();
    while (at_name("and")) {
      const Position where = advance().position;
      left = combine(ExprKind::kAnd, where, BinaryOp::kAdd, std::move(left), parse_not());
    }
    return left;
  }

  ExprPtr parse_not() {
    if (!at_name("not")) return parse_compare();
    const Nesting nesting(*this);
    const Position where = advance().position;
    ExprPtr operand = parse_not();
    const Expr* child = operand.get();
    return grown(make<UnaryExpr>(where, UnaryOp::kNot, std::move(operand)), {child});
  }

  std::optional<CompareOp> compare_operator() {
    switch (current_.kind) {
      case TokenKind::kEq:
        return CompareOp::kEq;
      case TokenKind::kNe:
        return CompareOp::kNe;
      case TokenKind::kLt:
        return CompareOp::kLt;
      case TokenKind::kLe:
        return CompareOp::kLe;
      case TokenKind::kGt:
        return CompareOp::kGt;
      case TokenKind::kGe:
        return CompareOp::kGe;
      default:
        break;
    }
    if (at_name("in")) return CompareOp::kIn;
    if (at_name("not") && look().kind == TokenKind::kName && look().text == "in") {
      advance();
      return CompareOp::kNotIn;
    }
    return std::nullopt;
  }

  ExprPtr parse_compare() {
    ExprPtr first = parse_sum();
    std::unique_ptr<CompareExpr> node;
    while (const auto op = compare_operator()) {
      const Position where = advance().position;
      if (node == nullptr) {
        const Expr* child = first.get();
        node = grown(make<CompareExpr>(where, std::move(first)), {child});
      }
      node->rest.emplace_back(*op, parse_sum());
      const Expr* child = node->rest.back().second.get();
      node = grown(std::move(node), {child});
    }
    if (node != nullptr) return node;
    return first;
  }

  ExprPtr parse_sum() {
    ExprPtr left = parse_concat();
    while (at(TokenKind::kAdd) || at(TokenKind::kSub)) {
      const BinaryOp op = at(TokenKind::kAdd) ? BinaryOp::kAdd : BinaryOp::kSub;
      const Position where = advance().position;
      left = combine(ExprKind::kBinary, where, op, std::move(left), parse_concat());
    }
    return left;
  }

  ExprPtr parse_concat() {
    const Position where = current_.position;
    std::vector<ExprPtr> parts;
    parts.push_back(parse_product());
    while (skip(TokenKind::kTilde)) parts.push_back(parse_product());
    if (parts.size() == 1) return std::move(parts[0]);
    auto node = make<ConcatExpr>(where, std::move(parts));
    const auto& items = node->items;
    return grown_over(std::move(node), items);
  }

  ExprPtr parse_product() {
    ExprPtr left = parse_power();
    for (;;) {
      BinaryOp op = BinaryOp::kMul;
      if (at(TokenKind::kDiv)) {
        op = BinaryOp::kDiv;
      } else if (at(TokenKind::kFloorDiv)) {
        op = BinaryOp::kFloorDiv;
      } else if (at(TokenKind::kMod)) {
        op = BinaryOp::kMod;
      } else if (!at(TokenKind::kMul)) {
        return left;
      }
      const Position where = advance().position;
      left = combine(ExprKind::kBinary, where, op, std::move(left), parse_power());
    }
  }

  ExprPtr parse_power() {
    ExprPtr left = parse_unary(true);
    while (at(TokenKind::kPow)) {
      const Position where = advance().position;
      left = combine(ExprKind::kBinary, where, BinaryOp::kPow, std::move(left), parse_unary(true));
    }
    return left;
  }

  ExprPtr parse_unary(bool with_filters) {
    const Nesting nesting(*this);
    ExprPtr node;
    if (at(TokenKind::kSub) || at(TokenKind::kAdd)) {
      const UnaryOp op = at(TokenKind::kSub) ? UnaryOp::kNegate : UnaryOp::kPlus;
      const Position where = advance().position;
      ExprPtr operand = parse_unary(false);
      const Expr* child = operand.get();
      node = grown(make<UnaryExpr>(where, op, std::move(operand)), {child});
    } else {
      node = parse_primary(false);
    }
    node = parse_postfix(std::move(node));
    return with_filters ? parse_filter_expr(std::move(node)) : std::move(node);
  }

  ExprPtr constant(Position where, Value value) {
    return make<ConstantExpr>(where, std::move(value));
  }

  ExprPtr parse_primary(bool namespaces) {
    const Position where = current_.position;
    switch (current_.kind) {
      case TokenKind::kName: {
        std::string name = advance().text;
        if (name == "true" || name == "True") return constant(where, Value::boolean(true));
        if (name == "false" || name == "False") return constant(where, Value::boolean(false));
        if (name == "none" || name == "None") return constant(where, Value::none());
        if (namespaces && skip(TokenKind::kDot)) {
          return make<NamespaceRefExpr>(where, std::move(name), expect(TokenKind::kName).text);
        }
        return make<NameExpr>(where, std::move(name));
      }
      case TokenKind::kString: {
        std::string text = advance().text;
        while (at(TokenKind::kString)) text += advance().text;
        return constant(where, Value::string(std::move(text)));
      }
      case TokenKind::kInteger:
      case TokenKind::kFloat:
        return constant(where, advance().number);
      case TokenKind::kLeftParen: {
        advance();
        ExprPtr expr = parse_tuple({.conditional = true, .parenthesized = true});
        expect(TokenKind::kRightParen);
        return expr;
      }
      case TokenKind::kLeftBracket:
        return parse_list();
      case TokenKind::kLeftBrace:
        return parse_dict();
      default:
        fail(fmt::format("unexpected '{}'", describe(current_)));
    }
  }

  ExprPtr parse_list() {
    const Position where = expect(TokenKind::kLeftBracket).position;
    std::vector<ExprPtr> items;
    while (!at(TokenKind::kRightBracket)) {
      if (!items.empty()) expect(TokenKind::kComma);
      if (at(TokenKind::kRightBracket)) break;
      items.push_back(parse_expression(true));
    }
    expect(TokenKind::kRightBracket);
    auto list = std::make_unique<SequenceExpr>(ExprKind::kList, where, std::move(items));
    const auto& elements = list->items;
    return grown_over(std::move(list), elements);
  }

  ExprPtr parse_dict() {
    auto node = make<DictExpr>(expect(TokenKind::kLeftBrace).position);
    while (!at(TokenKind::kRightBrace)) {
      if (!node->items.empty()) expect(TokenKind::kComma);
      if (at(TokenKind::kRightBrace)) break;
      ExprPtr key = parse_expression(true);
      expect(TokenKind::kColon);
      ExprPtr value = parse_expression(true);
      node->items.emplace_back(std::move(key), std::move(value));
      const auto& [last_key, last_value] = node->items.back();
      const Expr* children[] = {last_key.get(), last_value.get()};
      node = grown(std::move(node), {children[0], children[1]});
    }
    expect(TokenKind::kRightBrace);
    return node;
  }

  ExprPtr parse_postfix(ExprPtr node) {
    for (;;) {
      if (at(TokenKind::kDot) || at(TokenKind::kLeftBracket)) {
        node = parse_subscript(std::move(node));
      } else if (at(TokenKind::kLeftParen)) {
        node = parse_call(std::move(node));
      } else {
        return node;
      }
    }
  }

  ExprPtr parse_filter_expr(ExprPtr node) {
    for (;;) {
      if (at(TokenKind::kPipe)) {
        node = parse_filters(std::move(node), false);
      } else if (at_name("is")) {
        node = parse_test(std::move(node));
      } else if (at(TokenKind::kLeftParen)) {
        node = parse_call(std::move(node));
      } else {
        return node;
      }
    }
  }

  ExprPtr item(Position where, ExprPtr object, ExprPtr key) {
    const Expr* a = object.get();
    const Expr* b = key.get();
    return grown(make<ItemExpr>(where, std::move(object), std::move(key)), {a, b});
  }

  ExprPtr parse_subscript(ExprPtr object) {
    const Token token = advance();
    if (token.kind == TokenKind::kDot) {
      Token name = advance();
      if (name.kind == TokenKind::kName) {
        const Expr* child = object.get();
        return grown(make<AttributeExpr>(token.position, std::move(object), std::move(name.text)),
                     {child});
      }
      if (name.kind != TokenKind::kInteger) fail("expected name or number", name.position);
      return item(token.position, std::move(object), constant(name.position, name.number));
    }
    std::vector<ExprPtr> keys;
    while (!at(TokenKind::kRightBracket)) {
      if (!keys.empty()) expect(TokenKind::kComma);
      keys.push_back(parse_key());
    }
    expect(TokenKind::kRightBracket);
    if (keys.size() == 1) return item(token.position, std::move(object), std::move(keys[0]));
    for (const ExprPtr& key : keys) {
      if (key->kind == ExprKind::kSlice) fail("a slice inside a tuple", key->position);
    }
    auto tuple = std::make_unique<SequenceExpr>(ExprKind::kTuple, token.position, std::move(keys));
    const auto& elements = tuple->items;
    return item(token.position, std::move(object), grown_over(std::move(tuple), elements));
  }

  // An index or a slice.
  ExprPtr parse_key() {
    const Position where = current_.position;
    ExprPtr start;
    if (!at(TokenKind::kColon)) {
      start = parse_expression(true);
      if (!at(TokenKind::kColon)) return start;
    }
    advance();
    const auto bound = [&]() -> ExprPtr {
      if (at(TokenKind::kColon) || at(TokenKind::kRightBracket) || at(TokenKind::kComma)) {
        return nullptr;
      }
      return parse_expression(true);
    };
    auto node = make<SliceExpr>(where);
    node->start = std::move(start);
    node->stop = bound();
    if (skip(TokenKind::kColon)) node->step = bound();
    const Expr* children[] = {node->start.get(), node->stop.get(), node->step.get()};
    return grown(std::move(node), {children[0], children[1], children[2]});
  }

  Arguments parse_arguments() {
    const Position where = expect(TokenKind::kLeftParen).position;
    Arguments arguments;
    const auto ensure = [&](bool valid) {
      if (!valid) fail("invalid syntax for function call expression", where);
    };
    bool first = true;
    while (!at(TokenKind::kRightParen)) {
      if (!first) {
        expect(TokenKind::kComma);
        if (at(TokenKind::kRightParen)) break;
      }
      first = false;
      if (at(TokenKind::kMul)) {
        ensure(arguments.star == nullptr && arguments.star_star == nullptr);
        advance();
        arguments.star = parse_expression(true);
      } else if (at(TokenKind::kPow)) {
        ensure(arguments.star_star == nullptr);
        advance();
        arguments.star_star = parse_expression(true);
      } else if (at(TokenKind::kName) && look().kind == TokenKind::kAssign) {
        ensure(arguments.star_star == nullptr);
        std::string name = advance().text;
        advance();
        for (const auto& [key, value] : arguments.keyword) {
          if (key.text() == name) fail(fmt::format("keyword argument repeated: {}", name));
        }
        ExprPtr value = parse_expression(true);
        arguments.keyword.emplace_back(Value::string(std::move(name)), std::move(value));
      } else {
        ensure(arguments.star == nullptr && arguments.star_star == nullptr &&
               arguments.keyword.empty());
        arguments.positional.push_back(parse_expression(true));
      }
    }
    expect(TokenKind::kRightParen);
    return arguments;
  }

  ExprPtr parse_call(ExprPtr callee) {
    const Position where = current_.position;
    const Expr* child = callee.get();
    auto node = make<CallExpr>(where, std::move(callee), parse_arguments());
    node = grown(std::move(node), {child});
    const Arguments& arguments = node->arguments;
    return grown_over(std::move(node), arguments);
  }

  // a.b, as names of filters and tests may be written.
  std::string dotted_name() {
    std::string name = expect(TokenKind::kName).text;
    while (skip(TokenKind::kDot)) name += "." + expect(TokenKind::kName).text;
    return name;
  }

  ExprPtr filter_node(ExprKind kind, Position where, ExprPtr operand, std::string name,
                      Arguments arguments) {
    const Expr* child = operand.get();
    auto node = std::make_unique<FilterExpr>(kind, where, std::move(operand), std::move(name),
                                             std::move(arguments));
    node = grown(std::move(node), {child});
    const Arguments& stored = node->arguments;
    return grown_over(std::move(node), stored);
  }

  // A chain of filters; `start_inline` when the first one has no pipe in front.
  ExprPtr parse_filters(ExprPtr node, bool start_inline) {
    while (at(TokenKind::kPipe) || start_inline) {
      if (!start_inline) advance();
      start_inline = false;
      const Position where = current_.position;
      std::string name = dotted_name();
      Arguments arguments;
      if (at(TokenKind::kLeftParen)) arguments = parse_arguments();
      node = filter_node(ExprKind::kFilter, where, std::move(node), std::move(name),
                         std::move(arguments));
    }
    return node;
  }

  bool starts_test_argument() const {
    switch (current_.kind) {
      case TokenKind::kName:
        return !at_name("else") && !at_name("or") && !at_name("and");
      case TokenKind::kString:
      case TokenKind::kInteger:
      case TokenKind::kFloat:
      case TokenKind::kLeftParen:
      case TokenKind::kLeftBracket:
      case TokenKind::kLeftBrace:
        return true;
      default:
        return false;
    }
  }

  ExprPtr parse_test(ExprPtr node) {
    const Position where = advance().position;
    const bool negated = skip_name("not");
    std::string name = dotted_name();
    Arguments arguments;
    if (at(TokenKind::kLeftParen)) {
      arguments = parse_arguments();
    } else if (starts_test_argument()) {
      if (at_name("is")) fail("You cannot chain multiple tests with is");
      const Nesting nesting(*this);
      arguments.positional.push_back(parse_postfix(parse_primary(false)));
    }
    ExprPtr test =
        filter_node(ExprKind::kTest, where, std::move(node), std::move(name), std::move(arguments));
    if (!negated) return test;
    const Expr* child = test.get();
    return grown(make<UnaryExpr>(where, UnaryOp::kNot, std::move(test)), {child});
  }

  Lexer lexer_;
  Token current_;
  std::deque<Token> pushed_;
  const int max_depth_;
  int depth_ = 0;
  std::vector<std::string> tags_;
  std::vector<Words> end_words_;
};

}  // namespace

Body parse_template(std::string_view source, int max_depth) {
  return Parser(source, max_depth).parse();
}

}  // namespace mistral::text::jinja
