#include "formats/pickle.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "error_of.h"
#include "torch_bytes.h"

namespace mistral::formats {
namespace {

using namespace std::string_literals;
using test::as_bytes;
using test::error_of;
using test::little;
using testing::AllOf;
using testing::HasSubstr;
namespace py = test::py;

constexpr std::uint64_t kMemory = std::uint64_t{1} << 20;

Error error_with(const std::string& value) {
  const std::string bytes = py::pickle(value);
  return error_of([&] { return read_pickle(as_bytes(bytes), kMemory); });
}

TEST(Pickle, ReadsPlainValues) {
  const std::string bytes =
      py::pickle(py::dict({py::text("a"), py::integer(-5), py::text("b"), "\x88"s, py::text("c"),
                           py::tuple({"N"s, "K\x07"s, "M\x01\x02"s, "J\xff\xff\xff\xff"s})}));
  const Pickle pickle = read_pickle(as_bytes(bytes), kMemory);
  EXPECT_EQ(pickle.end, bytes.size());
  ASSERT_EQ(pickle.root.kind, PickleKind::kDict);
  const auto& items = pickle.items(pickle.root);
  ASSERT_EQ(items.size(), 6U);
  EXPECT_EQ(pickle.text(items[0]), "a");
  EXPECT_EQ(items[1].number, -5);
  EXPECT_EQ(items[3].kind, PickleKind::kBool);
  const auto& tuple = pickle.items(items[5]);
  ASSERT_EQ(tuple.size(), 4U);
  EXPECT_EQ(tuple[0].kind, PickleKind::kNone);
  EXPECT_EQ(tuple[1].number, 7);
  EXPECT_EQ(tuple[2].number, 513);
  EXPECT_EQ(tuple[3].number, -1);
}

TEST(Pickle, ReadsIntegersOfAnyWidth) {
  const auto number = [](const std::string& digits) {
    const std::string bytes = py::pickle("\x8a"s + static_cast<char>(digits.size()) + digits);
    return read_pickle(as_bytes(bytes), kMemory).root;
  };
  EXPECT_EQ(number("").number, 0);
  EXPECT_EQ(number("\x7f").number, 127);
  EXPECT_EQ(number("\xff").number, -1);
  EXPECT_EQ(number("\xff\x00"s).number, 255);
  EXPECT_EQ(number("\x00\x80"s).number, -32768);
  EXPECT_EQ(number("\x00\x00\x00\x00\x00\x00\x00\x80"s).number, INT64_MIN);
  EXPECT_EQ(number("\x00\x00\x00\x00\x00\x00\x00\x80\x00"s).kind, PickleKind::kBigInt);
}

// What an attacker would write: each is refused by its name, and nothing is called.
TEST(Pickle, RefusesEveryOtherNameByName) {
  const auto refused = [](const std::string& value, const std::string& name) {
    const Error error = error_with(value);
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported) << name;
    EXPECT_THAT(error.what(), AllOf(HasSubstr("refused to"), HasSubstr(name)));
  };
  const std::string arguments = py::tuple({py::text("true")});
  for (const auto& [module, name] : {std::pair{"posix", "system"},
                                     {"os", "system"},
                                     {"nt", "system"},
                                     {"builtins", "eval"},
                                     {"builtins", "getattr"},
                                     {"__builtin__", "exec"},
                                     {"subprocess", "Popen"},
                                     {"torch", "load"},
                                     {"torch", "_utils._rebuild_tensor_v2"},
                                     {"torch.hub", "load"},
                                     {"collections", "OrderedDict.fromkeys"},
                                     {"torch.storage", "_load_from_bytes"},
                                     {"", "OrderedDict"},
                                     {"torch", ""},
                                     {"numpy.core.multiarray", "_reconstruct"}}) {
    const std::string full = std::string(module) + "." + name;
    refused(py::global(module, name) + arguments + "R", full);
    refused(py::text(module) + py::text(name) + "\x93" + arguments + "R", full);
    refused("i" + std::string(module) + "\n" + name + "\n", full);
  }
  refused(py::global("a\x1b[2J", "b"), "\\x1b");  // nothing that a terminal would obey
  refused(py::global("m", std::string(100000, 'x')), "...");
}

TEST(Pickle, RefusesToMakeObjects) {
  const std::string known = py::global("collections", "OrderedDict");
  for (const std::string& value :
       {known + ")\x81", "(" + known + "o", known + ")}\x92", "\x82\x01"s, "\x83\x01\x01"s,
        "\x84\x01\x01\x01\x01"s, "icollections\nOrderedDict\n"s}) {
    const Error error = error_with(value);
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported) << value;
    EXPECT_THAT(error.what(), HasSubstr("refused to make an object"));
  }
  EXPECT_THAT(error_with(py::global("torch.nn.parameter", "Parameter") + ")R").what(),
              HasSubstr("refused to call"));
  EXPECT_THAT(error_with(py::text("x") + ")R").what(), HasSubstr("the pickle calls a string"));
  EXPECT_THAT(error_with(py::global("torch", "float32") + ")R").what(),
              HasSubstr("refused to call a dtype"));
}

TEST(Pickle, RefusesWhatItDoesNotKnow) {
  for (const char opcode :
       {'P', 'I', 'L', 'S', 'V', 'F', 'g', 'p', '\x97', '\x98', '\xff', '\0', 'Z'}) {
    EXPECT_EQ(error_with(std::string(1, opcode) + "1\n").kind(), ErrorKind::kUnsupported) << opcode;
  }
  const std::string six = "\x80\x06N.";
  EXPECT_THAT(error_of([&] { return read_pickle(as_bytes(six), kMemory); }).what(),
              HasSubstr("protocol 6"));
}

TEST(Pickle, NestsAsDeepAsItsMemoryLasts) {
  // Nothing recurses, so that depth alone costs only memory.
  const std::string nested = py::pickle("N" + std::string(1000, '\x85'));
  EXPECT_EQ(read_pickle(as_bytes(nested), kMemory).root.kind, PickleKind::kTuple);
  for (const std::string& deep :
       {std::string("N") + std::string(1'000'000, '\x85'), std::string(1'000'000, ']'),
        std::string(1'000'000, '('), std::string(1'000'000, '}')}) {
    const Error error = error_with(deep);
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidFile);
    EXPECT_THAT(error.what(), HasSubstr("needs more than 1048576 bytes of memory"));
  }
}

TEST(Pickle, StopsBombs) {
  // A list that is appended to itself again and again: doubled 40 times it would have 2^40 items.
  std::string doubling = "](NNNNNNNNe";
  doubling += "q"s + '\0';
  for (int i = 0; i < 40; ++i) doubling += "(" + "h\0"s + std::string(1000, '2') + "e";
  EXPECT_THAT(error_with("N" + doubling + std::string(100'000, '2')).what(), HasSubstr("memory"));
  // A memo that is said to be larger than the file.
  EXPECT_THAT(error_with("Nr\xff\xff\xff\xff").what(), HasSubstr("numbers a value far beyond"));
  EXPECT_THAT(error_with("Nr\xff\xff\xff\x7f").what(), HasSubstr("numbers a value far beyond"));
  // Pairs that are taken over from one remembered list by many calls.
  std::string pairs = "](";
  for (int i = 0; i < 1000; ++i) pairs += "NN\x86";
  pairs += "eq"s + '\0' + "0(";
  for (int i = 0; i < 1000; ++i) pairs += py::global("collections", "OrderedDict") + "h\0\x85R"s;
  EXPECT_THAT(error_with(pairs + "t").what(), HasSubstr("memory"));
}

TEST(Pickle, MayHoldItself) {
  const std::string bytes = py::pickle("]q\0h\0a"s);
  const Pickle pickle = read_pickle(as_bytes(bytes), kMemory);
  ASSERT_EQ(pickle.items(pickle.root).size(), 1U);
  EXPECT_EQ(pickle.items(pickle.root)[0].index(), pickle.root.index());
}

TEST(Pickle, RefusesClaimsBeyondTheFile) {
  for (const std::string& value :
       {"X\xff\xff\xff\x7f"s, "T\xff\xff\xff\xff"s, "B\xff\xff\xff\xff"s, "U\xff"s, "C\xff"s,
        "\x8c\xff"s, "\x8d\xff\xff\xff\xff\xff\xff\xff\xff"s,
        "\x8e\xff\xff\xff\xff\xff\xff\xff\x7f"s, "\x96\x00\x00\x00\x00\x01\x00\x00\x00"s,
        "\x8a\xff"s, "\x8b\xff\xff\xff\xff"s, "\x8b\xff\xff\xff\x7f"s, "cposix"s}) {
    EXPECT_EQ(error_with(value).kind(), ErrorKind::kInvalidFile) << value;
  }
}

TEST(Pickle, RefusesOpcodesWithoutTheirValues) {
  for (const std::string& value :
       {""s,      "0"s,      "1"s,      "2"s,    "t"s,    "l"s,   "d"s,    "e"s,
        "u"s,     "a"s,      "s"s,      "b"s,    "R"s,    "Q"s,   "\x93"s, "\x85"s,
        "N\x86"s, "NN\x87"s, "\x90"s,   "\x91"s, "\x94"s, "q\1"s, "h\1"s,  "j\1\0\0\0"s,
        "Na"s,    "NNa"s,    "}Na"s,    "]NNs"s, "}(Nu"s, "(Nd"s, "(N"s,   "(a"s,
        "](Na"s,  "(0a"s,    "N(\x85"s, "}N(s"s, "NNb0"s}) {
    const Error error = error_with(value);
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidFile) << value;
  }
}

TEST(Pickle, RefusesEveryPrefix) {
  const std::string value =
      py::dict({py::text("w"), py::tensor(py::storage("0", 6), 0, {2, 3}, {3, 1}), py::text("n"),
                "]N\x85"
                "a"s});
  const std::string bytes = py::pickle(value);
  EXPECT_EQ(read_pickle(as_bytes(bytes), kMemory).tensors.size(), 1U);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::string_view part(bytes.data(), size);
    EXPECT_EQ(error_of([&] { return read_pickle(as_bytes(part), kMemory); }).kind(),
              ErrorKind::kInvalidFile)
        << size;
  }
}

TEST(Pickle, ChecksTheArgumentsOfTensors) {
  const std::string rebuild = py::global("torch._utils", "_rebuild_tensor_v2");
  const std::string storage = py::storage("0", 6);
  for (const std::string& arguments :
       {py::tuple({}), py::tuple({storage}), py::tuple({"N", "N", "N", "N"}),
        py::tuple({storage, py::text("0"), py::integers({1}), py::integers({1})}),
        py::tuple({storage, py::integer(0), "]"s, py::integers({1})}),
        py::tuple({storage, py::integer(0), py::tuple({py::text("1")}), py::integers({1})}),
        py::tuple({storage, py::integer(0), py::integers(std::vector<std::int64_t>(17, 1)),
                   py::integers(std::vector<std::int64_t>(17, 1))}),
        "]"s}) {
    EXPECT_EQ(error_with(rebuild + arguments + "R").kind(), ErrorKind::kInvalidFile) << arguments;
  }
  const std::string from_type = py::global("torch._tensor", "_rebuild_from_type_v2");
  EXPECT_THAT(error_with(from_type + py::tuple({from_type, "N", ")"}) + "R").what(),
              HasSubstr("is given itself"));
  for (const std::string& id :
       {"N"s, py::tuple({}), py::tuple({py::text("module"), "N", "N", "N", "N"}),
        py::tuple({py::text("storage"), "N", py::text("0"), "N", py::integer(1)}),
        py::tuple(
            {py::text("storage"), py::global("torch", "FloatStorage"), "N", "N", py::integer(1)}),
        py::tuple({py::text("storage"), py::global("torch", "FloatStorage"), py::text("0"), "N",
                   py::integer(-1)}),
        py::tuple(
            {py::text("storage"), py::global("torch", "FloatStorage"), py::text("0"), "N"})}) {
    EXPECT_THAT(error_with(id + "Q").what(), HasSubstr("a persistent id")) << id;
  }
}

}  // namespace
}  // namespace mistral::formats
