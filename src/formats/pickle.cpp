#include "formats/pickle.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "core/error.h"
#include "formats/byte_reader.h"
#include "formats/printable.h"
#include "formats/torch_objects.h"

namespace mistral::formats {
namespace {

constexpr int kHighestProtocol = 5;

// Names and values: Python's Lib/pickle.py.
enum Opcode : std::uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kEmptyList = ']',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kDict = 'd',
  kAppends = 'e',
  kBinGet = 'h',
  kInst = 'i',
  kLongBinGet = 'j',
  kList = 'l',
  kObj = 'o',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kSetItems = 'u',
  kEmptyTuple = ')',
  kEmptyDict = '}',
  kProto = 0x80,
  kNewObj = 0x81,
  kExt1 = 0x82,
  kExt2 = 0x83,
  kExt4 = 0x84,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kNewObjEx = 0x92,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
  kByteArray8 = 0x96,
};

PickleValue value_of(PickleKind kind, std::int64_t number = 0) {
  PickleValue value;
  value.kind = kind;
  value.number = number;
  return value;
}

// "posix.system", or quoted when it holds anything that a name does not.
std::string dotted(std::string_view module, std::string_view name) {
  const std::string full = fmt::format("{}.{}", module, name);
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
  constexpr std::size_t kLongest = 96;
  const bool plain =
      full.size() <= kLongest && full.find_first_not_of(kAllowed) == std::string::npos;
  return plain ? full : printable(full);
}

class Unpickler {
 public:
  Unpickler(std::span<const std::byte> bytes, std::uint64_t memory)
      : reader_(bytes), budget_(memory, "the pickle") {
    pickle_.bytes = bytes;
  }

  [[nodiscard]] Pickle run() {
    while (step()) {
    }
    pickle_.root = pop();
    pickle_.end = reader_.position();
    return std::move(pickle_);
  }

 private:
  [[nodiscard]] Error broken(std::string_view what) const {
    return make_error(ErrorKind::kInvalidFile, "the pickle at byte {} {}", at_, what);
  }

  void push(const PickleValue& value) {
    if (stack_.size() == highest_) {
      budget_.charge(2 * sizeof(PickleValue));  // the vector doubles
      ++highest_;
    }
    stack_.push_back(value);
  }
  // The last value above the latest mark.
  [[nodiscard]] PickleValue& top() {
    if (stack_.size() <= floor()) throw broken("needs a value that is not there");
    return stack_.back();
  }
  PickleValue pop() {
    const PickleValue value = top();
    stack_.pop_back();
    return value;
  }
  [[nodiscard]] std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  void mark() {
    budget_.charge(2 * sizeof(std::size_t));
    marks_.push_back(stack_.size());
  }
  // Removes the latest mark; the values above it begin at the result and stay on the stack.
  std::size_t unmark() {
    if (marks_.empty()) throw broken("needs a mark that is not there");
    const std::size_t begin = marks_.back();
    marks_.pop_back();
    return begin;
  }
  [[nodiscard]] std::span<const PickleValue> from(std::size_t begin) const {
    return std::span(stack_).subspan(begin);
  }
  void drop_from(std::size_t begin) { stack_.resize(begin); }

  // The last `count` values, or those above the mark, become a container.
  void collect(PickleKind kind, std::size_t begin) {
    if (kind == PickleKind::kDict && (stack_.size() - begin) % 2 != 0) {
      throw broken("makes a dict with a key that has no value");
    }
    const PickleValue container = add_container(pickle_, budget_, kind, from(begin));
    drop_from(begin);
    push(container);
  }
  void make_tuple(std::size_t count) {
    if (stack_.size() - floor() < count) throw broken("needs a value that is not there");
    collect(PickleKind::kTuple, stack_.size() - count);
  }

  // Moves the values from `begin` into the container below them.
  void extend(PickleKind kind, std::size_t begin) {
    if (begin <= floor()) throw broken("adds to a container that is not there");
    const PickleValue& container = stack_[begin - 1];
    // What is not kept (a set, a device) takes anything.
    if (container.kind != PickleKind::kOther) {
      if (container.kind != kind) {
        throw broken(fmt::format("adds to {}; expected {}", name(container.kind), name(kind)));
      }
      const auto values = from(begin);
      if (kind == PickleKind::kDict && values.size() % 2 != 0) {
        throw broken("adds a key that has no value");
      }
      budget_.charge(2 * sizeof(PickleValue) * values.size());
      auto& items = pickle_.containers[container.index()];
      items.insert(items.end(), values.begin(), values.end());
    }
    drop_from(begin);
  }

  void remember(std::uint64_t index) {
    // A writer numbers what it remembers, so no number exceeds the bytes that came before it.
    if (index >= reader_.position()) throw broken("numbers a value far beyond those before it");
    if (index >= memo_.size()) {
      budget_.charge(2 * sizeof(PickleValue) * (index + 1 - memo_.size()));
      memo_.resize(static_cast<std::size_t>(index) + 1, value_of(PickleKind::kNothing));
    }
    memo_[static_cast<std::size_t>(index)] = top();
  }
  void recall(std::uint64_t index) {
    if (index >= memo_.size() ||
        memo_[static_cast<std::size_t>(index)].kind == PickleKind::kNothing) {
      throw broken(fmt::format("recalls value {}, which was not remembered", index));
    }
    push(memo_[static_cast<std::size_t>(index)]);
  }

  void push_text(PickleKind kind, std::uint64_t length) {
    if (length > std::numeric_limits<std::uint32_t>::max()) {
      throw broken(fmt::format("holds a text of {} bytes", length));
    }
    const std::size_t begin = reader_.position();
    (void)reader_.take(length, "a text in the pickle");
    PickleValue value = value_of(kind, static_cast<std::int64_t>(begin));
    value.length = static_cast<std::uint32_t>(length);
    push(value);
  }

  void push_long(std::uint64_t length) {
    if (length > sizeof(std::int64_t)) return push_text(PickleKind::kBigInt, length);
    const auto part = reader_.take(length, "an integer in the pickle");
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < part.size(); ++i) {
      number |= std::to_integer<std::uint64_t>(part[i]) << (8 * i);
    }
    // The highest bit that is there is the sign.
    if (!part.empty() && part.size() < sizeof(number) &&
        (part.back() & std::byte{0x80}) != std::byte{0}) {
      number |= ~std::uint64_t{0} << (8 * part.size());
    }
    push(value_of(PickleKind::kInt, static_cast<std::int64_t>(number)));
  }

  [[nodiscard]] std::string_view line() {
    const auto rest = pickle_.bytes.subspan(reader_.position());
    const auto end = std::find(rest.begin(), rest.end(), std::byte{'\n'});
    if (end == rest.end()) throw broken("holds a name that does not end");
    const auto text =
        reader_.text(static_cast<std::uint64_t>(end - rest.begin()), "a name in the pickle");
    (void)reader_.take(1, "the end of a name in the pickle");
    return text;
  }

  void push_global(std::string_view module, std::string_view name) {
    const auto found = find_torch_global(module, name);
    if (!found) {
      throw make_error(ErrorKind::kUnsupported,
                       "refused to call {}: a checkpoint is read without running code, and only "
                       "tensors and containers are known",
                       dotted(module, name));
    }
    PickleValue value = value_of(PickleKind::kGlobal);
    value.global = found->global;
    value.element = found->element;
    push(value);
  }
  void stack_global() {
    const PickleValue name = pop();
    const PickleValue module = pop();
    if (name.kind != PickleKind::kText || module.kind != PickleKind::kText) {
      throw broken("names a class or function by something other than strings");
    }
    push_global(pickle_.text(module), pickle_.text(name));
  }

  void reduce() {
    const PickleValue arguments = pop();
    const PickleValue callable = pop();
    push(call_torch_global(pickle_, budget_, callable, arguments));
  }

  // Reads one opcode; false at the end of the pickle.
  bool step();
  void step_simple(std::uint8_t opcode);
  void step_sized(std::uint8_t opcode);

  ByteReader reader_;
  MemoryBudget budget_;
  Pickle pickle_;
  std::vector<PickleValue> stack_;
  std::vector<std::size_t> marks_;  // heights of the stack
  std::vector<PickleValue> memo_;
  std::size_t highest_ = 0;
  std::size_t at_ = 0;  // where the opcode stands
};

bool Unpickler::step() {
  at_ = reader_.position();
  const auto opcode = reader_.number<std::uint8_t>("the pickle");
  switch (opcode) {
    case kStop:
      if (!marks_.empty()) throw broken("ends inside of a container");
      return false;
    case kProto:
      if (const int protocol = reader_.number<std::uint8_t>("the protocol of the pickle");
          protocol > kHighestProtocol) {
        throw make_error(ErrorKind::kUnsupported, "pickle protocol {}; expected at most {}",
                         protocol, kHighestProtocol);
      }
      return true;
    case kFrame:  // frames only group what follows
      (void)reader_.number<std::uint64_t>("a frame of the pickle");
      return true;
    case kGlobal: {
      const std::string_view module = line();
      push_global(module, line());
      return true;
    }
    case kStackGlobal:
      stack_global();
      return true;
    case kReduce:
      reduce();
      return true;
    case kBinPersId:
      push(storage_of_persistent_id(pickle_, budget_, pop()));
      return true;
    case kBuild:  // attributes (the versions of modules, say) are no part of weights
      (void)pop();
      (void)top();
      return true;
    case kInst: {
      const std::string_view module = line();
      push_global(module, line());  // refuses what is not known by its name
      throw make_error(ErrorKind::kUnsupported, "refused to make an object at byte {}", at_);
    }
    case kObj:
    case kNewObj:
    case kNewObjEx:
    case kExt1:
    case kExt2:
    case kExt4:
      throw make_error(ErrorKind::kUnsupported,
                       "refused to make an object by opcode 0x{:02x} at byte {} of the pickle: "
                       "expected tensors and containers",
                       opcode, at_);
    default:
      step_simple(opcode);
      return true;
  }
}

// Opcodes that arrange values.
void Unpickler::step_simple(std::uint8_t opcode) {
  switch (opcode) {
    case kMark:
      return mark();
    case kPop:
      // As Python has it: without a value above the mark, the mark itself goes.
      if (!marks_.empty() && stack_.size() == marks_.back()) {
        marks_.pop_back();
      } else {
        (void)pop();
      }
      return;
    case kPopMark:
      return drop_from(unmark());
    case kDup:
      return push(PickleValue(top()));
    case kNone:
      return push(value_of(PickleKind::kNone));
    case kNewTrue:
    case kNewFalse:
      return push(value_of(PickleKind::kBool, opcode == kNewTrue ? 1 : 0));
    case kEmptyTuple:
      return collect(PickleKind::kTuple, stack_.size());
    case kEmptyList:
      return collect(PickleKind::kList, stack_.size());
    case kEmptyDict:
      return collect(PickleKind::kDict, stack_.size());
    case kTuple:
      return collect(PickleKind::kTuple, unmark());
    case kList:
      return collect(PickleKind::kList, unmark());
    case kDict:
      return collect(PickleKind::kDict, unmark());
    case kTuple1:
      return make_tuple(1);
    case kTuple2:
      return make_tuple(2);
    case kTuple3:
      return make_tuple(3);
    case kAppend:
      (void)top();
      return extend(PickleKind::kList, stack_.size() - 1);
    case kAppends:
      return extend(PickleKind::kList, unmark());
    case kSetItem:
      if (stack_.size() - floor() < 2) throw broken("needs a value that is not there");
      return extend(PickleKind::kDict, stack_.size() - 2);
    case kSetItems:
      return extend(PickleKind::kDict, unmark());
    case kEmptySet:
      return push(value_of(PickleKind::kOther));
    case kAddItems:
      return extend(PickleKind::kOther, unmark());
    case kFrozenSet:
      drop_from(unmark());
      return push(value_of(PickleKind::kOther));
    case kMemoize:
      return remember(memo_.size());
    default:
      step_sized(opcode);
  }
}

// Opcodes with an operand.
void Unpickler::step_sized(std::uint8_t opcode) {
  constexpr std::string_view kOperand = "an operand in the pickle";
  const auto u8 = [&] { return reader_.number<std::uint8_t>(kOperand); };
  const auto u16 = [&] { return reader_.number<std::uint16_t>(kOperand); };
  const auto u32 = [&] { return reader_.number<std::uint32_t>(kOperand); };
  const auto u64 = [&] { return reader_.number<std::uint64_t>(kOperand); };
  switch (opcode) {
    case kBinInt1:
      return push(value_of(PickleKind::kInt, u8()));
    case kBinInt2:
      return push(value_of(PickleKind::kInt, u16()));
    case kBinInt:
      return push(value_of(PickleKind::kInt, reader_.number<std::int32_t>(kOperand)));
    case kLong1:
      return push_long(u8());
    case kLong4:  // a negative length becomes one beyond the file
      return push_long(u32());
    case kBinFloat:
      (void)u64();
      return push(value_of(PickleKind::kOther));
    case kShortBinString:
    case kShortBinUnicode:
      return push_text(PickleKind::kText, u8());
    case kBinString:
    case kBinUnicode:
      return push_text(PickleKind::kText, u32());
    case kBinUnicode8:
      return push_text(PickleKind::kText, u64());
    case kShortBinBytes:
      return push_text(PickleKind::kBytes, u8());
    case kBinBytes:
      return push_text(PickleKind::kBytes, u32());
    case kBinBytes8:
    case kByteArray8:
      return push_text(PickleKind::kBytes, u64());
    case kBinPut:
      return remember(u8());
    case kLongBinPut:
      return remember(u32());
    case kBinGet:
      return recall(u8());
    case kLongBinGet:
      return recall(u32());
    default:
      throw make_error(ErrorKind::kUnsupported,
                       "opcode 0x{:02x} at byte {} of the pickle is not one of those that "
                       "checkpoints consist of",
                       opcode, at_);
  }
}

}  // namespace

Pickle read_pickle(std::span<const std::byte> bytes, std::uint64_t memory) {
  return Unpickler(bytes, memory).run();
}

}  // namespace mistral::formats
