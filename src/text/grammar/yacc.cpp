#include "text/grammar/yacc.h"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "text/grammar/regex.h"
#include "text/grammar/regex_parser.h"
#include "text/grammar/text_place.h"

namespace mistral::grammar {
namespace {

constexpr std::string_view kSkipRule = "SKIP";

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.';
}
bool is_name(char c) {
  return is_name_start(c) || (c >= '0' && c <= '9');
}

bool is_expression(std::string_view text) {
  return text.size() > 2 && text.front() == '/' && text.back() == '/';
}

// A grammar as it is written.
struct Source {
  struct Symbol {
    bool is_terminal = false;
    std::uint32_t index = 0;
    std::size_t at = 0;
  };
  struct Alternative {
    std::vector<Symbol> symbols = {};
    std::optional<std::uint32_t> precedence_of = {};  // a terminal
  };
  struct Rule {
    std::string name = {};
    std::vector<Alternative> alternatives = {};
    std::size_t used_at = 0;
    bool defined = false;
  };
  struct Terminal {
    std::string text = {};
    std::size_t at = 0;  // of its first use
    std::optional<LrGrammar::Precedence> precedence = {};
  };
  std::vector<Rule> rules = {};
  std::vector<Terminal> terminals = {};
  std::optional<std::uint32_t> start = {};
};

class Parser {
 public:
  Parser(std::string_view text, Budget& budget) : text_(text), budget_(budget) {}

  Source parse() {
    declarations();
    std::optional<std::uint32_t> first = {};
    for (skip(); at_ < text_.size() && !take("%%"); skip()) {
      const std::uint32_t rule = rule_definition();
      if (!first && source_.rules[rule].name != kSkipRule) first = rule;
    }
    if (!source_.start) source_.start = first;
    if (!source_.start) fail("there is no rule", text_.size());
    for (const Source::Rule& rule : source_.rules) {
      if (!rule.defined) fail(fmt::format("the rule '{}' is not defined", rule.name), rule.used_at);
    }
    return std::move(source_);
  }

 private:
  [[noreturn]] void fail(std::string_view what, std::size_t at) const {
    throw make_error(ErrorKind::kInvalidArgument, "grammar: {}: {}", place_in(text_, at), what);
  }
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  void skip() {
    while (at_ < text_.size()) {
      const char c = peek();
      if (c == ' ' || (c >= '\t' && c <= '\r')) {
        ++at_;
      } else if (take("//")) {
        while (at_ < text_.size() && peek() != '\n') ++at_;
      } else if (take("/*")) {
        const std::size_t end = text_.find("*/", at_);
        if (end == std::string_view::npos) fail("the comment has no end", at_ - 2);
        at_ = end + 2;
      } else {
        return;
      }
    }
  }

  std::string_view name(std::string_view what) {
    const std::size_t start = at_;
    if (!is_name_start(peek())) fail(fmt::format("expected {}", what), at_);
    while (at_ < text_.size() && is_name(text_[at_])) ++at_;
    return text_.substr(start, at_ - start);
  }

  std::uint32_t rule_named(std::string_view name, std::size_t at) {
    const auto [found, added] = rule_index_.try_emplace(
        std::string(name), static_cast<std::uint32_t>(source_.rules.size()));
    if (added) {
      budget_.add_states(1);
      source_.rules.push_back({.name = std::string(name), .used_at = at});
    }
    return found->second;
  }

  std::uint32_t terminal() {
    const std::size_t start = at_;
    const char quote = text_[at_++];
    const std::size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) fail("the terminal has no closing quote", start);
    const std::string_view text = text_.substr(at_, end - at_);
    if (text.empty()) fail("a terminal is empty", start);
    at_ = end + 1;
    const auto [found, added] = terminal_index_.try_emplace(
        std::string(text), static_cast<std::uint32_t>(source_.terminals.size()));
    if (added) {
      budget_.add_states(1);
      source_.terminals.push_back({.text = std::string(text), .at = start, .precedence = {}});
    }
    return found->second;
  }

  [[nodiscard]] bool at_quote() const { return peek() == '"' || peek() == '\''; }

  void declarations() {
    for (skip(); !take("%%"); skip()) {
      const std::size_t start = at_;
      if (at_ >= text_.size()) fail("expected '%%' before the rules", at_);
      if (!take("%")) fail("expected a declaration such as %start, or '%%'", at_);
      const std::string_view kind = name("the name of a declaration");
      if (kind == "start") {
        skip();
        const std::size_t at = at_;
        source_.start = rule_named(name("the name of the start rule"), at);
      } else if (kind == "left" || kind == "right" || kind == "nonassoc") {
        const auto side = kind == "left"    ? LrGrammar::Side::kLeft
                          : kind == "right" ? LrGrammar::Side::kRight
                                            : LrGrammar::Side::kNone;
        precedence({.level = ++levels_, .side = side});
      } else if (kind == "token") {
        for (skip(); at_quote(); skip()) std::ignore = terminal();
      } else {
        fail("unknown declaration; expected %start, %left, %right, %nonassoc or %token", start);
      }
    }
  }

  void precedence(LrGrammar::Precedence level) {
    for (skip(); at_quote(); skip()) {
      const std::size_t start = at_;
      auto& known = source_.terminals[terminal()].precedence;
      if (known) fail("the terminal has a precedence already", start);
      known = level;
    }
  }

  std::uint32_t rule_definition() {
    const std::size_t start = at_;
    const std::uint32_t index = rule_named(name("the name of a rule"), start);
    skip();
    if (!take(":")) fail("expected ':' after the name of the rule", at_);
    source_.rules[index].defined = true;
    do {
      Source::Alternative made = alternative();
      source_.rules[index].alternatives.push_back(std::move(made));
    } while (take("|"));
    if (!take(";")) fail("expected a symbol, '|' or ';'", at_);
    return index;
  }

  Source::Alternative alternative() {
    Source::Alternative out;
    while (true) {
      skip();
      budget_.tick();
      const std::size_t start = at_;
      if (at_quote()) {
        const std::uint32_t index = terminal();
        out.symbols.push_back({.is_terminal = true, .index = index, .at = start});
      } else if (take("%prec")) {
        skip();
        if (!at_quote()) fail("expected a terminal after %prec", at_);
        out.precedence_of = terminal();
      } else if (take("%empty")) {
        continue;
      } else if (is_name_start(peek())) {
        const std::uint32_t index = rule_named(name("a rule"), start);
        out.symbols.push_back({.is_terminal = false, .index = index, .at = start});
      } else {
        return out;
      }
    }
  }

  std::string_view text_;
  Budget& budget_;
  std::size_t at_ = 0;
  std::uint32_t levels_ = 0;
  Source source_;
  std::unordered_map<std::string, std::uint32_t> rule_index_;
  std::unordered_map<std::string, std::uint32_t> terminal_index_;
};

// The number of each terminal in the order of preference.
std::vector<std::uint32_t> preference(const std::vector<Source::Terminal>& terminals) {
  std::vector<std::uint32_t> order(terminals.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    const std::string& x = terminals[a].text;
    const std::string& y = terminals[b].text;
    if (is_expression(x) != is_expression(y)) return is_expression(y);
    return x.size() > y.size();
  });
  std::vector<std::uint32_t> number(terminals.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) number[order[i]] = i;
  return number;
}

Dfa make_lexer(std::string_view text, const std::vector<Source::Terminal>& terminals,
               const std::vector<std::uint32_t>& number, Budget& budget) {
  Nfa nfa(budget);
  const StateId start = nfa.add_state();
  std::vector<StateId> accepting(terminals.size());
  for (std::size_t i = 0; i < terminals.size(); ++i) {
    const std::string& spelled = terminals[i].text;
    const StateId end = nfa.add_state();
    accepting[number[i]] = end;
    Dfa dfa = {};
    if (is_expression(spelled)) {
      try {
        dfa = regex_dfa(std::string_view(spelled).substr(1, spelled.size() - 2), {.bytes = true},
                        budget);
      } catch (Error& error) {
        throw error.add_context("grammar: the expression at " + place_in(text, terminals[i].at));
      }
    } else {
      dfa = literal_dfa(spelled, budget);
    }
    embed(dfa, nfa, start, end);
  }
  return determinise(nfa, start, accepting, budget);
}

std::vector<TerminalSet> find_reach(const Dfa& lexer, std::size_t words, Budget& budget) {
  budget.add_bytes(lexer.size() * (words * sizeof(std::uint64_t) + sizeof(TerminalSet)));
  std::vector<TerminalSet> reach(lexer.size(), TerminalSet(words, 0));
  std::vector<std::vector<StateId>> from(lexer.size());
  std::vector<StateId> work = {};
  for (StateId state = 0; state < lexer.size(); ++state) {
    for (std::size_t c = 0; c < lexer.class_count(); ++c) {
      const StateId next = lexer.next_of_class(state, c);
      if (next != kDead && (from[next].empty() || from[next].back() != state)) {
        from[next].push_back(state);
      }
    }
    const std::int32_t label = lexer.label(state);
    if (label < 0) continue;
    const auto terminal = static_cast<std::size_t>(label);
    reach[state][terminal / 64] |= std::uint64_t{1} << (terminal % 64);
    work.push_back(state);
  }
  while (!work.empty()) {
    budget.tick();
    const StateId state = work.back();
    work.pop_back();
    for (const StateId before : from[state]) {
      bool changed = false;
      for (std::size_t w = 0; w < words; ++w) {
        const std::uint64_t old = reach[before][w];
        reach[before][w] |= reach[state][w];
        changed = changed || reach[before][w] != old;
      }
      if (changed) work.push_back(before);
    }
  }
  return reach;
}

// Rules that have texts; others, and alternatives that use them, do not exist for the parser.
std::vector<bool> find_productive(const Source& source, Budget& budget) {
  std::vector<bool> productive(source.rules.size(), false);
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = source.rules.size(); i-- > 0;) {
      budget.tick();
      if (productive[i]) continue;
      for (const Source::Alternative& alternative : source.rules[i].alternatives) {
        const bool all = std::all_of(
            alternative.symbols.begin(), alternative.symbols.end(),
            [&](const auto& symbol) { return symbol.is_terminal || productive[symbol.index]; });
        if (!all) continue;
        productive[i] = true;
        changed = true;
        break;
      }
    }
  }
  return productive;
}

LrGrammar make_grammar(const Source& source, const std::vector<std::uint32_t>& number,
                       Budget& budget) {
  LrGrammar out;
  out.terminal_count = static_cast<std::uint32_t>(source.terminals.size());
  out.rule_count = static_cast<std::uint32_t>(source.rules.size());
  out.start_rule = *source.start;
  out.precedence.resize(source.terminals.size());
  for (std::size_t i = 0; i < source.terminals.size(); ++i) {
    out.precedence[number[i]] = source.terminals[i].precedence;
  }
  const std::vector<bool> productive = find_productive(source, budget);
  if (!productive[out.start_rule]) {
    throw make_error(ErrorKind::kInvalidArgument, "grammar: the rule '{}' has no texts at all",
                     source.rules[out.start_rule].name);
  }
  for (std::uint32_t r = 0; r < source.rules.size(); ++r) {
    for (const Source::Alternative& alternative : source.rules[r].alternatives) {
      LrGrammar::Production production{.rule = r, .symbols = {}, .precedence = std::nullopt};
      bool usable = true;
      for (const Source::Symbol& symbol : alternative.symbols) {
        if (!symbol.is_terminal) {
          usable = usable && productive[symbol.index];
          production.symbols.push_back(out.terminal_count + 1 + symbol.index);
          continue;
        }
        production.symbols.push_back(number[symbol.index]);
        // As in yacc: that of the last terminal that has one.
        const auto& precedence = source.terminals[symbol.index].precedence;
        if (precedence) production.precedence = precedence;
      }
      if (alternative.precedence_of) {
        production.precedence = source.terminals[*alternative.precedence_of].precedence;
      }
      if (usable) out.productions.push_back(std::move(production));
    }
  }
  return out;
}

}  // namespace

std::shared_ptr<const YaccTables> compile_yacc(std::string_view text, Budget& budget) {
  budget.check_text(text.size());
  const Source source = Parser(text, budget).parse();
  const std::vector<std::uint32_t> number = preference(source.terminals);
  const std::size_t words = source.terminals.size() / 64 + 1;
  auto tables = std::make_shared<YaccTables>();
  tables->parser = make_lr_table(make_grammar(source, number, budget), budget);
  tables->lexer = make_lexer(text, source.terminals, number, budget);
  tables->reach = find_reach(tables->lexer, words, budget);
  tables->ends = LrEnds(tables->parser, tables->lexer, budget);
  tables->skipped.assign(words, 0);
  for (const Source::Rule& rule : source.rules) {
    if (rule.name != kSkipRule) continue;
    for (const Source::Alternative& alternative : rule.alternatives) {
      if (alternative.symbols.size() != 1 || !alternative.symbols[0].is_terminal) continue;
      const std::uint32_t terminal = number[alternative.symbols[0].index];
      tables->skipped[terminal / 64] |= std::uint64_t{1} << (terminal % 64);
    }
  }
  return tables;
}

}  // namespace mistral::grammar
