#include "server/api/json_body.h"

#include <gtest/gtest.h>

#include "server/api/error.h"

namespace mistral::server {
namespace {

std::string problem_of(const std::string& text) {
  try {
    (void)parse_body(text);
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status(), 400);
    return error.what();
  }
  return "";
}

TEST(JsonBody, KeepsValuesAndTheOrderOfKeys) {
  const std::string text = R"({"b":[1,-2,3.5,true,null,"x"],"a":{"c":{}},"":[]})";
  EXPECT_EQ(parse_body(text).dump(), text);
}

TEST(JsonBody, TheLastOfEqualKeysCountsAtThePlaceOfTheFirst) {
  EXPECT_EQ(parse_body(R"({"a":1,"b":2,"a":3})").dump(), R"({"a":3,"b":2})");
  std::string many = "{\"k0\":0";
  for (int i = 1; i < 100; ++i) many += ",\"k" + std::to_string(i % 50) + "\":" + std::to_string(i);
  const Json json = parse_body(many + "}");
  EXPECT_EQ(json.size(), 50U);
  EXPECT_EQ(json.begin().key(), "k0");
  EXPECT_EQ(json["k0"], 50);
  EXPECT_EQ(json["k49"], 99);
}

TEST(JsonBody, SaysWhereTheTextIsBroken) {
  EXPECT_NE(problem_of("{\"a\": }").find("byte 7"), std::string::npos);
  EXPECT_NE(problem_of("").find("not valid JSON"), std::string::npos);
  EXPECT_NE(problem_of("{} x").find("not valid JSON"), std::string::npos);
  EXPECT_NE(problem_of("{\"a\": NaN}").find("not valid JSON"), std::string::npos);
  EXPECT_NE(problem_of("{\"a\": \"\xff\"}").find("not valid JSON"), std::string::npos);
  EXPECT_NE(problem_of(std::string("{}\0{}", 5)).find("byte 3"), std::string::npos);
  EXPECT_NE(problem_of("{\"a\": 1e999}").find("out of range"), std::string::npos);
}

TEST(JsonBody, NamesTheFieldOfNumbersBeyondAllBounds) {
  const auto field_of = [](const std::string& text) {
    try {
      (void)parse_body(text);
    } catch (const ApiError& error) {
      return error.param();
    }
    return std::string("none");
  };
  const std::string huge = "1" + std::string(400, '0');
  for (const std::string& number :
       {huge, "-" + huge, std::string("1e400"), std::string("-1e400"), std::string("NaN"),
        std::string("Infinity"), std::string("-Infinity")}) {
    EXPECT_EQ(field_of("{\"a\":[{}],\"seed\": " + number + "}"), "seed") << number;
    EXPECT_EQ(field_of(R"({"a":[1,{"b":2,"c":{"d":)" + number + "}}]}"), "a[1].c.d") << number;
    EXPECT_EQ(field_of("{\"prompt\":[1, 2, " + number + "]}"), "prompt[2]") << number;
    EXPECT_EQ(field_of("{\"a\":1, " + number + ":2}"), "") << number;
  }
  EXPECT_EQ(field_of("{\"a\": Nan}"), "");
  EXPECT_EQ(field_of("{\"" + std::string(1000, 'a') + "\": NaN}"), "");
  EXPECT_EQ(field_of("{\"a\": nul}"), "");
  const std::string deep = std::string(10'000, '[');
  EXPECT_EQ(field_of("{\"x\":1,\"messages\":" + deep + "}"), "messages");
  EXPECT_EQ(field_of("{\"x\":1,\"messages\":{\"a\":" + deep + "}}"), "messages");
}

TEST(JsonBody, ExpectsAnObject) {
  for (const char* text : {"[]", "1", "\"x\"", "null"}) {
    EXPECT_NE(problem_of(text).find("expected an object"), std::string::npos) << text;
  }
}

TEST(JsonBody, LimitsDepthAndNumberOfValues) {
  const auto nested = [](int depth) {
    return "{\"a\":" + std::string(static_cast<std::size_t>(depth), '[') +
           std::string(static_cast<std::size_t>(depth), ']') + "}";
  };
  EXPECT_EQ(problem_of(nested(99)), "");
  EXPECT_NE(problem_of(nested(100)).find("nested more than 100 deep"), std::string::npos);
  EXPECT_NE(problem_of(nested(10'000)).find("nested more than 100 deep"), std::string::npos);
  EXPECT_NE(problem_of("{\"a\":" + std::string(1'000'000, '[')).find("nested"), std::string::npos);
  std::string many = "{\"a\":[0";
  for (int i = 0; i < 100; ++i) many += ",0";
  EXPECT_THROW((void)parse_body(many + "]}", {.depth = 10, .values = 50}), ApiError);
}

// Inserting into an object looks through all its keys: this took hours if that were done.
TEST(JsonBody, ManyKeysTakeNoSquareOfTheirNumber) {
  std::string text = "{\"logit_bias\":{\"0\":0";
  for (int i = 1; i < 500'000; ++i) text += ",\"" + std::to_string(i) + "\":0";
  EXPECT_EQ(parse_body(text + "}}")["logit_bias"].size(), 500'000U);
}

}  // namespace
}  // namespace mistral::server
