// How JSON spells the strings of an automaton.
#include <array>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "text/grammar/dfa_builder.h"
#include "text/grammar/schema_strings.h"

namespace mistral::grammar {
namespace {

constexpr std::array<std::pair<char, char>, 8> kShortEscapes = {{{'"', '"'},
                                                                 {'\\', '\\'},
                                                                 {'/', '/'},
                                                                 {'\b', 'b'},
                                                                 {'\f', 'f'},
                                                                 {'\n', 'n'},
                                                                 {'\r', 'r'},
                                                                 {'\t', 't'}}};
constexpr std::string_view kTold = "\"\\/nrtu0123456789abcdefABCDEF";  // what escapes are made of
constexpr unsigned kControls = 0x20;  // characters below must be escaped
constexpr unsigned kAscii = 0x80;     // characters below are one byte

// What JSON spells is deterministic again: an escape stands for one character. So each state of the
// strings becomes one, with states for the escapes beside it, and nothing has to be searched for.
class Quoter {
 public:
  Quoter(const Dfa& strings, Budget& budget)
      : strings_(strings), budget_(budget), builder_(budget), runs_(class_runs(strings)) {
    append_utf8_sequences(0, kMaxCodePoint, characters_);
    builder_.cut(strings);
    for (const char c : kTold) {
      const auto byte = static_cast<std::uint8_t>(c);
      builder_.cut(byte, byte);
    }
    builder_.cut(0, kControls - 1);
    builder_.finish_classes();
  }

  Dfa run() {
    const StateId start = builder_.add(-1);
    accept_ = builder_.add(0);
    const auto count = static_cast<StateId>(strings_.size());
    for (StateId state = 0; state < count; ++state) std::ignore = builder_.add(-1);
    set(start, '"', inside(strings_.start()));
    for (StateId state = 0; state < count; ++state) {
      budget_.tick();
      add_state(state);
    }
    // What is told apart without quotes is told apart within them; only escapes could be shared.
    constexpr StateId kSmall = 1000;
    return count < kSmall ? builder_.finish(start) : builder_.finish_as_it_is(start);
  }

 private:
  static constexpr StateId kInside = 2;  // the first state of the strings
  static StateId inside(StateId state) { return kInside + state; }

  void set(StateId from, char byte, StateId to) {
    builder_.set(from, builder_.class_of(static_cast<std::uint8_t>(byte)), to);
  }
  // Hexadecimal digits of either case.
  void set_digits(StateId from, unsigned low, unsigned high, StateId to) {
    for (unsigned digit = low; digit <= high; ++digit) {
      set(from, "0123456789abcdef"[digit], to);
      set(from, "0123456789ABCDEF"[digit], to);
    }
  }
  StateId any_digits(unsigned count, StateId to) {
    for (; count > 0; --count) {
      const StateId before = builder_.add(-1);
      set_digits(before, 0, 15, to);
      to = before;
    }
    return to;
  }

  void add_state(StateId state) {
    const StateId from = inside(state);
    if (strings_.accepts(state)) set(from, '"', accept_);
    bool at_character = false;
    for (const ByteRange& run : runs_) {
      at_character = at_character || (run.low < kAscii && strings_.next(state, run.low) != kDead);
    }
    const std::vector<std::uint8_t>& first_bytes = builder_.first_bytes();
    for (std::size_t c = 0; c < first_bytes.size(); ++c) {
      const std::uint8_t byte = first_bytes[c];
      const StateId target = strings_.next(state, byte);
      if (target == kDead || byte < kControls || byte == '"' || byte == '\\') continue;
      builder_.set(from, c, inside(target));
    }
    if (!at_character) return;
    const StateId escape = builder_.add(-1);
    set(from, '\\', escape);
    for (const auto& [character, letter] : kShortEscapes) {
      const StateId target = strings_.next(state, static_cast<std::uint8_t>(character));
      if (target != kDead) set(escape, letter, inside(target));
    }
    const StateId all = target_of_all(state);
    if (all != kDead) {
      set(escape, 'u', any_escape(all));
    } else if (has_controls(state)) {
      set(escape, 'u', control_escapes(state));
    }
  }

  // Where all characters lead from a state, when that is one state.
  [[nodiscard]] StateId target_of_all(StateId state) const {
    const StateId target = strings_.next(state, ' ');
    if (target == kDead) return kDead;
    for (const ByteSequence& sequence : characters_) {
      if (!all_lead_to(state, sequence, 0, target)) return kDead;
    }
    return target;
  }
  [[nodiscard]] bool all_lead_to(StateId state, const ByteSequence& sequence, std::size_t depth,
                                 StateId target) const {
    if (depth == sequence.size()) return state == target;
    StateId last = kDead;
    for (const ByteRange& run : runs_) {
      if (run.high < sequence[depth].low || run.low > sequence[depth].high) continue;
      const StateId next = strings_.next(state, run.low);
      if (next == kDead) return false;
      if (next != last && !all_lead_to(next, sequence, depth + 1, target)) return false;
      last = next;
    }
    return true;
  }

  // Behind \u: any four digits that stand for a character, or two surrogates, and then the state.
  StateId any_escape(StateId target) {
    const auto [found, added] = any_escapes_.try_emplace(target, kDead);
    if (!added) return found->second;
    const StateId one = any_digits(1, inside(target));
    const StateId two = any_digits(1, one);
    const StateId three = any_digits(1, two);
    // DC00 to DFFF.
    const StateId low = builder_.add(-1);
    set_digits(low, 12, 15, two);
    const StateId low_d = builder_.add(-1);
    set_digits(low_d, 13, 13, low);
    const StateId letter = builder_.add(-1);
    set(letter, 'u', low_d);
    const StateId backslash = builder_.add(-1);
    set(backslash, '\\', letter);
    // D800 to DBFF, or less than that.
    const StateId d = builder_.add(-1);
    set_digits(d, 0, 7, two);
    set_digits(d, 8, 11, any_digits(2, backslash));
    const StateId start = builder_.add(-1);
    set_digits(start, 0, 12, three);
    set_digits(start, 13, 13, d);
    set_digits(start, 14, 15, three);
    return found->second = start;
  }

  [[nodiscard]] bool has_controls(StateId state) const {
    for (unsigned control = 0; control < kControls; ++control) {
      if (strings_.next(state, static_cast<std::uint8_t>(control)) != kDead) return true;
    }
    return false;
  }
  // Behind \u: the digits of the control characters that the state takes.
  StateId control_escapes(StateId state) {
    const std::array<StateId, 2> last = {builder_.add(-1), builder_.add(-1)};
    for (unsigned control = 0; control < kControls; ++control) {
      const StateId target = strings_.next(state, static_cast<std::uint8_t>(control));
      if (target == kDead) continue;
      set_digits(last[control >> 4U], control & 15U, control & 15U, inside(target));
    }
    const StateId third = builder_.add(-1);
    set_digits(third, 0, 0, last[0]);
    set_digits(third, 1, 1, last[1]);
    const StateId second = builder_.add(-1);
    set_digits(second, 0, 0, third);
    const StateId first = builder_.add(-1);
    set_digits(first, 0, 0, second);
    return first;
  }

  const Dfa& strings_;
  Budget& budget_;
  DfaBuilder builder_;
  std::vector<ByteRange> runs_;           // bytes that the strings do not tell apart
  std::vector<ByteSequence> characters_;  // all of them
  std::map<StateId, StateId> any_escapes_;
  StateId accept_ = kDead;
};

}  // namespace

Dfa quoted(const Dfa& strings, Budget& budget) {
  return strings.empty() ? strings : Quoter(strings, budget).run();
}

}  // namespace mistral::grammar
