#include "text/chat_template/expression_parser.h"

namespace mistral::text::jinja {

ExprPtr ExpressionParser::parse_tuple(const TupleOptions& options) {
  Position where = current().position;
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
    where = current().position;
  }
  if (!is_tuple) {
    if (!items.empty()) return std::move(items[0]);
    if (!options.parenthesized) {
      fail(fmt::format("Expected an expression, got '{}'", describe(current())));
    }
  }
  auto tuple = std::make_unique<SequenceExpr>(ExprKind::kTuple, where, std::move(items));
  const auto& elements = tuple->items;
  return grown_over(std::move(tuple), elements);
}

ExprPtr ExpressionParser::parse_expression(bool conditional) {
  return conditional ? parse_conditional() : parse_or();
}

ExprPtr ExpressionParser::parse_conditional() {
  Position where = current().position;
  ExprPtr expr = parse_or();
  while (skip_name("if")) {
    ExprPtr test = parse_or();
    ExprPtr otherwise;
    if (skip_name("else")) {
      const Nesting nesting(*this);
      otherwise = parse_conditional();
    }
    const Expr* children[] = {expr.get(), test.get(), otherwise.get()};
    expr =
        grown(make<ConditionalExpr>(where, std::move(test), std::move(expr), std::move(otherwise)),
              {children[0], children[1], children[2]});
    where = current().position;
  }
  return expr;
}

ExprPtr ExpressionParser::combine(ExprKind kind, Position where, BinaryOp op, ExprPtr left,
                                  ExprPtr right) {
  const Expr* a = left.get();
  const Expr* b = right.get();
  return grown(std::make_unique<BinaryExpr>(kind, where, op, std::move(left), std::move(right)),
               {a, b});
}

ExprPtr ExpressionParser::parse_or() {
  ExprPtr left = parse_and();
  while (at_name("or")) {
    const Position where = advance().position;
    left = combine(ExprKind::kOr, where, BinaryOp::kAdd, std::move(left), parse_and());
  }
  return left;
}

ExprPtr ExpressionParser::parse_and() {
  ExprPtr left = parse_not();
  while (at_name("and")) {
    const Position where = advance().position;
    left = combine(ExprKind::kAnd, where, BinaryOp::kAdd, std::move(left), parse_not());
  }
  return left;
}

ExprPtr ExpressionParser::parse_not() {
  if (!at_name("not")) return parse_compare();
  const Nesting nesting(*this);
  const Position where = advance().position;
  ExprPtr operand = parse_not();
  const Expr* child = operand.get();
  return grown(make<UnaryExpr>(where, UnaryOp::kNot, std::move(operand)), {child});
}

std::optional<CompareOp> ExpressionParser::compare_operator() {
  switch (current().kind) {
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

ExprPtr ExpressionParser::parse_compare() {
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

ExprPtr ExpressionParser::parse_sum() {
  ExprPtr left = parse_concat();
  while (at(TokenKind::kAdd) || at(TokenKind::kSub)) {
    const BinaryOp op = at(TokenKind::kAdd) ? BinaryOp::kAdd : BinaryOp::kSub;
    const Position where = advance().position;
    left = combine(ExprKind::kBinary, where, op, std::move(left), parse_concat());
  }
  return left;
}

ExprPtr ExpressionParser::parse_concat() {
  const Position where = current().position;
  std::vector<ExprPtr> parts;
  parts.push_back(parse_product());
  while (skip(TokenKind::kTilde)) parts.push_back(parse_product());
  if (parts.size() == 1) return std::move(parts[0]);
  auto node = make<ConcatExpr>(where, std::move(parts));
  const auto& items = node->items;
  return grown_over(std::move(node), items);
}

ExprPtr ExpressionParser::parse_product() {
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

ExprPtr ExpressionParser::parse_power() {
  ExprPtr left = parse_unary(true);
  while (at(TokenKind::kPow)) {
    const Position where = advance().position;
    left = combine(ExprKind::kBinary, where, BinaryOp::kPow, std::move(left), parse_unary(true));
  }
  return left;
}

ExprPtr ExpressionParser::parse_unary(bool with_filters) {
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

ExprPtr ExpressionParser::constant(Position where, Value value) {
  return make<ConstantExpr>(where, std::move(value));
}

ExprPtr ExpressionParser::parse_primary(bool namespaces) {
  const Position where = current().position;
  switch (current().kind) {
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
      fail(fmt::format("unexpected '{}'", describe(current())));
  }
}

ExprPtr ExpressionParser::parse_list() {
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

ExprPtr ExpressionParser::parse_dict() {
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

ExprPtr ExpressionParser::parse_postfix(ExprPtr node) {
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

ExprPtr ExpressionParser::parse_filter_expr(ExprPtr node) {
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

ExprPtr ExpressionParser::item(Position where, ExprPtr object, ExprPtr key) {
  const Expr* a = object.get();
  const Expr* b = key.get();
  return grown(make<ItemExpr>(where, std::move(object), std::move(key)), {a, b});
}

ExprPtr ExpressionParser::parse_subscript(ExprPtr object) {
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

ExprPtr ExpressionParser::parse_key() {
  const Position where = current().position;
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

Arguments ExpressionParser::parse_arguments() {
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

ExprPtr ExpressionParser::parse_call(ExprPtr callee) {
  const Position where = current().position;
  const Expr* child = callee.get();
  auto node = make<CallExpr>(where, std::move(callee), parse_arguments());
  node = grown(std::move(node), {child});
  const Arguments& arguments = node->arguments;
  return grown_over(std::move(node), arguments);
}

std::string ExpressionParser::dotted_name() {
  std::string name = expect(TokenKind::kName).text;
  while (skip(TokenKind::kDot)) name += "." + expect(TokenKind::kName).text;
  return name;
}

ExprPtr ExpressionParser::filter_node(ExprKind kind, Position where, ExprPtr operand,
                                      std::string name, Arguments arguments) {
  const Expr* child = operand.get();
  auto node = std::make_unique<FilterExpr>(kind, where, std::move(operand), std::move(name),
                                           std::move(arguments));
  node = grown(std::move(node), {child});
  const Arguments& stored = node->arguments;
  return grown_over(std::move(node), stored);
}

ExprPtr ExpressionParser::parse_filters(ExprPtr node, bool start_inline) {
  while (at(TokenKind::kPipe) || start_inline) {
    if (!start_inline) advance();
    start_inline = false;
    const Position where = current().position;
    std::string name = dotted_name();
    Arguments arguments;
    if (at(TokenKind::kLeftParen)) arguments = parse_arguments();
    node = filter_node(ExprKind::kFilter, where, std::move(node), std::move(name),
                       std::move(arguments));
  }
  return node;
}

bool ExpressionParser::starts_test_argument() const {
  switch (current().kind) {
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

ExprPtr ExpressionParser::parse_test(ExprPtr node) {
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

bool ExpressionParser::reserved(std::string_view name) {
  return name == "true" || name == "false" || name == "none" || name == "True" || name == "False" ||
         name == "None";
}

std::unique_ptr<NameExpr> ExpressionParser::parse_name_target() {
  Token token = expect(TokenKind::kName);
  if (reserved(token.text)) fail("can't assign to a constant", token.position);
  auto name = make<NameExpr>(token.position, std::move(token.text));
  name->store = true;
  return name;
}

ExprPtr ExpressionParser::parse_target(const TargetOptions& options) {
  ExprPtr target = parse_tuple(
      {.end_word = options.end_word, .primaries = true, .namespaces = options.namespaces});
  mark_stored(*target);
  return target;
}

// NOLINTNEXTLINE(misc-no-recursion): bounded by the depth of the tree.
void ExpressionParser::mark_stored(Expr& target) {
  if (target.kind == ExprKind::kName) {
    static_cast<NameExpr&>(target).store = true;
  } else if (target.kind == ExprKind::kTuple) {
    for (const ExprPtr& item : static_cast<SequenceExpr&>(target).items) mark_stored(*item);
  } else if (target.kind != ExprKind::kNamespaceRef) {
    fail("can't assign to this expression", target.position);
  }
}

}  // namespace mistral::text::jinja
