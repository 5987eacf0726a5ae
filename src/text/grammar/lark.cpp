#include "text/grammar/lark.h"

#include <cctype>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/error.h"
#include "text/grammar/lark_parser.h"
#include "text/grammar/regex.h"
#include "text/grammar/regex_parser.h"
#include "text/grammar/text_place.h"

namespace mistral::grammar {
namespace {

using Kind = LarkNode::Kind;

class Compiler {
 public:
  Compiler(std::string_view text, const LarkSource& source, GrammarBuilder& builder)
      : text_(text), source_(source), builder_(builder), budget_(builder.budget()) {}

  std::uint32_t compile() {
    const auto start = source_.definitions.find("start");
    if (start == source_.definitions.end()) fail("the rule 'start' is not defined", 0);
    if (!start->second.parameters.empty()) fail("'start' has parameters", start->second.at);
    if (!source_.ignored.empty()) make_ignored();
    const std::uint32_t rule = instance("start", start->second, {}, start->second.at);
    while (!waiting_.empty()) {
      const Instance next = std::move(waiting_.back());
      waiting_.pop_back();
      make_rule(next);
    }
    if (!ignored_) return rule;
    const std::uint32_t outer = builder_.add_rule();
    std::vector<Expression> parts = {};
    parts.push_back(rule_reference(*ignored_));
    parts.push_back(rule_reference(rule));
    builder_.set_body(outer, sequence(std::move(parts)));
    return outer;
  }

 private:
  // A rule whose body is not made yet.
  struct Instance {
    std::uint32_t rule = 0;
    std::string name = {};
    const LarkDefinition* definition = nullptr;
    std::vector<LarkNode> arguments = {};
    std::size_t at = 0;
  };

  [[noreturn]] void fail(std::string_view what, std::size_t at) const {
    throw make_error(ErrorKind::kInvalidArgument, "grammar: {}: {}", place_in(text_, at), what);
  }

  // Any number of ignored terminals; follows every terminal.
  void make_ignored() {
    std::vector<Expression> parts = {};
    for (const LarkNode& node : source_.ignored) parts.push_back(regular(terminal_of(node)));
    const std::uint32_t rule = builder_.add_rule();
    builder_.set_body(rule, repeat(choice(std::move(parts)), 0, Expression::kUnbounded));
    ignored_ = rule;
  }

  Expression token(Dfa dfa) {
    if (!ignored_) return regular(std::move(dfa));
    std::vector<Expression> parts = {};
    parts.push_back(regular(std::move(dfa)));
    parts.push_back(rule_reference(*ignored_));
    return sequence(std::move(parts));
  }

  // The rule for a definition with these arguments.
  std::uint32_t instance(const std::string& name, const LarkDefinition& definition,
                         const std::vector<LarkNode>& arguments, std::size_t at) {
    std::string key = name;
    for (const LarkNode& argument : arguments) {
      key += '|';
      spell(argument, key);
    }
    const auto known = rules_.find(key);
    if (known != rules_.end()) return known->second;
    const std::uint32_t rule = builder_.add_rule();
    rules_.emplace(std::move(key), rule);
    budget_.add_states(1);
    waiting_.push_back(
        {.rule = rule, .name = name, .definition = &definition, .arguments = arguments, .at = at});
    return rule;
  }

  void make_rule(const Instance& made) {
    const LarkDefinition& definition = *made.definition;
    if (is_lark_terminal(made.name)) {
      builder_.set_body(made.rule, token(terminal(made.name, definition, made.at)));
      return;
    }
    LarkNode body = definition.body;
    if (!definition.parameters.empty()) {
      std::map<std::string, const LarkNode*> values;
      for (std::size_t i = 0; i < made.arguments.size(); ++i) {
        values[definition.parameters[i]] = &made.arguments[i];
      }
      substitute(body, values);
    }
    builder_.set_body(made.rule, expression(body));
  }

  void substitute(LarkNode& node, const std::map<std::string, const LarkNode*>& values) {
    budget_.add_states(1);
    for (LarkNode& child : node.children) substitute(child, values);
    if (node.kind != Kind::kName || !node.children.empty()) return;
    const auto found = values.find(node.text);
    if (found != values.end()) node = *found->second;
  }

  // A text that equal nodes share.
  void spell(const LarkNode& node, std::string& out) {
    budget_.tick();
    // The argument, the body that gets it, and the expression that is made of it.
    constexpr std::size_t kCopies = 3;
    const std::size_t before = out.size();
    out += fmt::format("({}:{}:{}:{}:{}:{}", static_cast<int>(node.kind), node.text, node.text_to,
                       node.flags, node.least, node.most);
    budget_.add_bytes(kCopies * sizeof(LarkNode) + out.size() - before + 1);
    for (const LarkNode& child : node.children) spell(child, out);
    out += ')';
  }

  Expression expression(const LarkNode& node) {
    budget_.tick();
    switch (node.kind) {
      case Kind::kString:
      case Kind::kRegex:
      case Kind::kRange:
        return token(terminal_of(node));
      case Kind::kName:
        return named(node);
      case Kind::kRepeat:
        return repeat(expression(node.children.front()), node.least, node.most);
      case Kind::kSequence:
      case Kind::kChoice:
        break;
    }
    std::vector<Expression> parts = {};
    for (const LarkNode& child : node.children) parts.push_back(expression(child));
    return node.kind == Kind::kChoice ? choice(std::move(parts)) : sequence(std::move(parts));
  }

  const LarkDefinition& definition_of(const LarkNode& node) const {
    const auto found = source_.definitions.find(node.text);
    if (found == source_.definitions.end()) {
      fail(fmt::format("'{}' is not defined", node.text), node.at);
    }
    if (found->second.parameters.size() != node.children.size()) {
      fail(fmt::format("'{}' has {} parameters, but gets {}", node.text,
                       found->second.parameters.size(), node.children.size()),
           node.at);
    }
    return found->second;
  }

  Expression named(const LarkNode& node) {
    return rule_reference(instance(node.text, definition_of(node), node.children, node.at));
  }

  // Terminals are regular: those that they use become part of them.
  const Dfa& terminal(const std::string& name, const LarkDefinition& definition, std::size_t at) {
    const auto [found, added] = terminals_.try_emplace(name);
    if (!added) {
      if (!found->second) fail(fmt::format("the terminal '{}' uses itself", name), at);
      return *found->second;
    }
    Dfa made = terminal_of(definition.body);
    std::optional<Dfa>& slot = terminals_[name];
    slot = std::move(made);
    return *slot;
  }

  Dfa terminal_of(const LarkNode& node) {
    Nfa nfa(budget_);
    const StateId from = nfa.add_state();
    const StateId to = nfa.add_state();
    add_terminal(node, nfa, from, to);
    return determinise(nfa, from, {to}, budget_);
  }

  void add_terminal(const LarkNode& node, Nfa& nfa, StateId from, StateId to) {
    if (++depth_ > budget_.limits().nesting) fail("terminals nest too deep", node.at);
    switch (node.kind) {
      case Kind::kString:
        add_string(node, nfa, from, to);
        break;
      case Kind::kRegex:
        embed(expression_dfa(node), nfa, from, to);
        break;
      case Kind::kRange:
        add_range(node, nfa, from, to);
        break;
      case Kind::kName:
        if (!is_lark_terminal(node.text)) fail("a terminal cannot use a rule", node.at);
        embed(terminal(node.text, definition_of(node), node.at), nfa, from, to);
        break;
      case Kind::kChoice:
        for (const LarkNode& child : node.children) add_terminal(child, nfa, from, to);
        break;
      case Kind::kSequence: {
        StateId at = from;
        for (const LarkNode& child : node.children) {
          const StateId next = nfa.add_state();
          add_terminal(child, nfa, at, next);
          at = next;
        }
        nfa.add_free_edge(at, to);
        break;
      }
      case Kind::kRepeat:
        add_repeat(node, nfa, from, to);
        break;
    }
    --depth_;
  }

  void add_repeat(const LarkNode& node, Nfa& nfa, StateId from, StateId to) {
    const Dfa body = terminal_of(node.children.front());
    StateId at = nfa.add_state();
    nfa.add_free_edge(from, at);
    for (std::uint32_t i = 0; i < node.least; ++i) {
      const StateId next = nfa.add_state();
      embed(body, nfa, at, next);
      at = next;
    }
    nfa.add_free_edge(at, to);
    if (node.most == LarkNode::kUnbounded) {
      const StateId again = nfa.add_state();
      nfa.add_free_edge(at, again);
      embed(body, nfa, again, again);
      nfa.add_free_edge(again, to);
      return;
    }
    for (std::uint32_t i = node.least; i < node.most; ++i) {
      const StateId next = nfa.add_state();
      embed(body, nfa, at, next);
      nfa.add_free_edge(next, to);
      at = next;
    }
  }

  void add_string(const LarkNode& node, Nfa& nfa, StateId from, StateId to) {
    if (node.flags.empty()) {
      embed(literal_dfa(node.text, budget_), nfa, from, to);
      return;
    }
    std::string pattern = {};
    for (const char c : node.text) {
      if (static_cast<unsigned char>(c) < 0x80 &&
          std::ispunct(static_cast<unsigned char>(c)) != 0) {
        pattern += '\\';
      }
      pattern += c;
    }
    embed(regex_dfa(pattern, {.ignore_case = true}, budget_), nfa, from, to);
  }

  Dfa expression_dfa(const LarkNode& node) {
    RegexOptions options;
    options.ignore_case = node.flags.find('i') != std::string::npos;
    options.dot_all = node.flags.find('s') != std::string::npos;
    const bool verbose = node.flags.find('x') != std::string::npos;
    try {
      return regex_dfa(verbose ? "(?x)" + node.text : node.text, options, budget_);
    } catch (Error& error) {
      throw error.add_context("grammar: the expression at " + place_in(text_, node.at));
    }
  }

  void add_range(const LarkNode& node, Nfa& nfa, StateId from, StateId to) {
    std::size_t low_end = 0;
    std::size_t high_end = 0;
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    if (!read_utf8(node.text, low_end, low) || low_end != node.text.size() ||
        !read_utf8(node.text_to, high_end, high) || high_end != node.text_to.size()) {
      fail("a range goes from one character to another", node.at);
    }
    if (low > high) fail("the ends of the range are in the wrong order", node.at);
    CodePointSet set = {};
    set.add(low, high);
    add_characters(nfa, from, to, set, /*bytes=*/false);
  }

  std::string_view text_;
  const LarkSource& source_;
  GrammarBuilder& builder_;
  Budget& budget_;
  int depth_ = 0;
  std::unordered_map<std::string, std::uint32_t> rules_;
  std::vector<Instance> waiting_;
  std::map<std::string, std::optional<Dfa>> terminals_;
  std::optional<std::uint32_t> ignored_;
};

}  // namespace

std::shared_ptr<const Grammar> compile_lark(std::string_view text,
                                            const ConstraintVocabulary& vocabulary,
                                            Budget& budget) {
  const LarkSource source = parse_lark(text, budget);
  GrammarBuilder builder(vocabulary, budget, /*fold=*/true);
  const std::uint32_t start = Compiler(text, source, builder).compile();
  return builder.build(start);
}

}  // namespace mistral::grammar
