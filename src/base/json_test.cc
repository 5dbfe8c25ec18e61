// Tests of json.h: the grammar's edges, every limit at and one over it, and round trips.
#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <random>

#include "base/utf8.h"

namespace yunqi {
namespace {

using testing::HasSubstr;
using testing::Not;

Json parsed(std::string_view text) {
  Result<Json> json = parse_json(text);
  EXPECT_TRUE(json.is_ok()) << text.substr(0, 80) << " -> " << json.status().to_string();
  return json.is_ok() ? *json : Json("did not parse");
}

// Expects an error about `text` and returns its message.
std::string refused(std::string_view text) {
  const Result<Json> json = parse_json(text);
  EXPECT_FALSE(json.is_ok()) << "accepted: " << text.substr(0, 80);
  if (json.is_ok()) return {};
  EXPECT_EQ(json.status().code(), Code::kInvalidArgument);
  EXPECT_THAT(json.status().message(), Not(HasSubstr("\n")));
  return json.status().message();
}

TEST(Json, ReadsEveryKindOfValue) {
  EXPECT_TRUE(parsed("null").is_null());
  EXPECT_EQ(parsed("true"), Json(true));
  EXPECT_EQ(parsed(" \t\r\n false \n"), Json(false));
  EXPECT_EQ(parsed("\"\""), Json(""));
  EXPECT_EQ(parsed("[]"), Json::array());
  EXPECT_EQ(parsed("{}"), Json::object());
  EXPECT_EQ(
      parsed(R"({"a": [1, -2.5, {"b": null}], "": "x"})"),
      Json::object({{"a", Json::array({1, -2.5, Json::object({{"b", nullptr}})})}, {"", "x"}}));
}

TEST(Json, KeepsTheOrderOfMembers) {
  const Json json = parsed(R"({"z":1,"a":2,"m":3})");
  EXPECT_EQ(json.as_object()[0].first, "z");
  EXPECT_EQ(json.as_object()[1].first, "a");
  EXPECT_EQ(json.as_object()[2].first, "m");
  EXPECT_EQ(json.dump(), R"({"z":1,"a":2,"m":3})");
}

TEST(Json, ReadsIntegersUpToTheirLimits) {
  EXPECT_EQ(parsed("9223372036854775807").as_int(), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(parsed("-9223372036854775808").as_int(), std::numeric_limits<int64_t>::min());
  const Json first_unsigned = parsed("9223372036854775808");
  EXPECT_TRUE(first_unsigned.is_uint());
  EXPECT_FALSE(first_unsigned.is_int());
  EXPECT_EQ(first_unsigned.as_uint(), uint64_t{1} << 63);
  EXPECT_EQ(parsed("18446744073709551615").as_uint(), std::numeric_limits<uint64_t>::max());
  EXPECT_THAT(refused("18446744073709551616"), HasSubstr("at most 64 bits"));
  EXPECT_THAT(refused("-9223372036854775809"), HasSubstr("at most 64 bits"));
  EXPECT_THAT(refused("[" + std::string(5000, '9') + "]"), HasSubstr("at most 64 bits"));
}

TEST(Json, MinusZeroIsAnIntegerUnlessItHasAPoint) {
  EXPECT_TRUE(parsed("-0").is_int());
  EXPECT_EQ(parsed("-0").as_int(), 0);
  EXPECT_TRUE(parsed("-0.0").is_double());
  EXPECT_TRUE(std::signbit(parsed("-0.0").as_double()));
  EXPECT_EQ(parsed("-0.0").dump(), "-0.0");
}

TEST(Json, ReadsDecimalsExactlyFromTheirText) {
  EXPECT_EQ(parsed("0.1").as_double(), 0.1);
  EXPECT_EQ(parsed("1e2").as_double(), 100.0);
  EXPECT_TRUE(parsed("1e2").is_double());
  EXPECT_EQ(parsed("7.2057594037927933e16").as_double(), 72057594037927936.0);
  EXPECT_EQ(parsed("9007199254740993.0").as_double(), 9007199254740992.0);
  EXPECT_EQ(parsed("2.2250738585072011e-308").as_double(), 2.2250738585072011e-308);
  EXPECT_EQ(parsed("5e-324").as_double(), std::numeric_limits<double>::denorm_min());
  EXPECT_EQ(parsed("1.7976931348623157e308").as_double(), std::numeric_limits<double>::max());
  EXPECT_EQ(parsed("123456789012345678901234567890.5").as_double(),
            123456789012345678901234567890.5);
}

TEST(Json, RefusesOverflowAndRoundsUnderflowToZero) {
  EXPECT_THAT(refused("1e400"), HasSubstr("range"));
  EXPECT_THAT(refused("-1e400"), HasSubstr("range"));
  EXPECT_THAT(refused("1.8e308"), HasSubstr("range"));
  EXPECT_THAT(refused(std::string(400, '9') + ".0"), HasSubstr("range"));
  EXPECT_THAT(refused("1e99999999999999999999"), HasSubstr("range"));
  EXPECT_THAT(refused("0." + std::string(300, '0') + "1e700"), HasSubstr("range"));
  EXPECT_EQ(parsed("1e-400").as_double(), 0.0);
  EXPECT_TRUE(std::signbit(parsed("-1e-400").as_double()));
  EXPECT_EQ(parsed("0e400").as_double(), 0.0);
  EXPECT_EQ(parsed("0.0000e+999").as_double(), 0.0);
  EXPECT_EQ(parsed(std::string(300, '9') + "e-700").as_double(), 0.0);
}

TEST(Json, RefusesWhatJsonIsNot) {
  for (const std::string_view text : {"",
                                      " ",
                                      "nul",
                                      "tru",
                                      "NaN",
                                      "Infinity",
                                      "-Infinity",
                                      "+1",
                                      "01",
                                      "-",
                                      "1.",
                                      ".5",
                                      "1e",
                                      "1e+",
                                      "0x10",
                                      "1_000",
                                      "'a'",
                                      "\"a",
                                      "[",
                                      "[1",
                                      "[1,",
                                      "[1,]",
                                      "[,1]",
                                      "{",
                                      "{\"a\"",
                                      "{\"a\":",
                                      "{\"a\":1",
                                      "{\"a\":1,}",
                                      "{a:1}",
                                      "{1:2}",
                                      "]",
                                      "1 2",
                                      "[] []",
                                      "{}x",
                                      "/*c*/1",
                                      "1//c",
                                      "\xef\xbb\xbf{}",
                                      "\"\t\"",
                                      "\"a\nb\"",
                                      "\"\\x41\"",
                                      "\"\\u12G4\"",
                                      "\"\\\"",
                                      "nullx"}) {
    refused(text);
  }
  refused(std::string_view("\0", 1));
  refused(std::string_view("1\0", 2));
  refused(std::string_view("\"a\0b\"", 5));
}

TEST(Json, ErrorsNameTheByteAndWhatWasFound) {
  EXPECT_EQ(refused("[1, 2 3]"), "JSON: byte 6: want valid JSON, found '3'");
  EXPECT_EQ(refused("[1, 2"),
            "JSON: byte 5: want the rest of the value, found the end of the text");
  EXPECT_EQ(refused("1 2"), "JSON: byte 2: want nothing after the value, found '2'");
}

TEST(Json, ReadsEscapes) {
  EXPECT_EQ(parsed(R"("\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC")").as_string(),
            "\"\\/\b\f\n\r\tA\xC3\xA9\xE2\x82\xAC");
  EXPECT_EQ(parsed(R"("\ud83d\ude00")").as_string(), "\xF0\x9F\x98\x80");
  EXPECT_EQ(parsed(R"("\u0000")").as_string(), std::string(1, '\0'));
  EXPECT_EQ(parsed(R"({"\u0061b":1})").as_object()[0].first, "ab");
}

TEST(Json, RefusesLoneSurrogates) {
  for (const std::string_view text :
       {R"("\ud800")", R"("\udc00")", R"("\ud800x")", R"("\ud800\n")", R"("\ud800\u0041")",
        R"("\ud800\ud800")", R"("\udc00\ud800")", R"({"\ud800":1})"}) {
    refused(text);
  }
}

TEST(Json, RefusesInvalidUtf8) {
  for (const std::string_view bytes :
       {"\x80", "\xC3", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFE", "\xFF", "\xE2\x82"}) {
    refused(fmt::format("\"{}\"", bytes));
    refused(fmt::format("{{\"{}\":1}}", bytes));
  }
  EXPECT_EQ(parsed("\"\xF4\x8F\xBF\xBF\"").as_string(), "\xF4\x8F\xBF\xBF");
}

TEST(Json, RefusesDuplicateKeysAndTellsCasesApart) {
  EXPECT_THAT(refused(R"({"a":1,"b":2,"a":3})"), HasSubstr("found \"a\" twice"));
  EXPECT_THAT(refused(R"({"a":1,"\u0061":3})"), HasSubstr("found \"a\" twice"));
  EXPECT_THAT(refused(R"([{"x":{"k":1,"k":1}}])"), HasSubstr("found \"k\" twice"));
  EXPECT_THAT(refused(R"({"":1,"":2})"), HasSubstr("found \"\" twice"));
  EXPECT_THAT(refused(R"({"a\nb":1,"a\nb":2})"), HasSubstr(R"(found "a\nb" twice)"));
  EXPECT_EQ(parsed(R"({"model":1,"Model":2})").find("Model")->as_int(), 2);
  EXPECT_EQ(parsed(R"([{"a":1},{"a":2}])").as_array().size(), 2u);
}

TEST(Json, DepthAtTheLimitAndOneOver) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(parse_json(nested(64)).is_ok());
  EXPECT_THAT(refused(nested(65)), HasSubstr("at most 64 levels"));
  EXPECT_THAT(refused(std::string(100000, '[')), HasSubstr("at most 64 levels"));
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  EXPECT_THAT(refused(objects), HasSubstr("at most 64 levels"));
  JsonLimits limits;
  limits.max_depth = 2;
  EXPECT_TRUE(parse_json("[[1],[2]]", limits).is_ok());
  EXPECT_FALSE(parse_json("[[[]]]", limits).is_ok());
}

TEST(Json, MembersAtTheLimitAndOneOver) {
  JsonLimits limits;
  limits.max_members = 4;
  EXPECT_TRUE(parse_json(R"({"a":[1,2],"b":3})", limits).is_ok());
  const Result<Json> over = parse_json(R"({"a":[1,2],"b":3,"c":4})", limits);
  ASSERT_FALSE(over.is_ok());
  EXPECT_EQ(over.status().code(), Code::kTooLarge);
}

TEST(Json, ReadsAMillionKeysAndFindsTheOneThatIsTwice) {
  std::string text = "{";
  for (int i = 0; i < 1'000'000; ++i) text += fmt::format("\"k{}\":{},", i * 7919LL % 1'000'000, i);
  EXPECT_EQ(parsed(text + "\"last\":1}").as_object().size(), 1'000'001u);
  EXPECT_THAT(refused(text + "\"k77\":1}"), HasSubstr("\"k77\" twice"));
}

TEST(Json, AccessAndBuilding) {
  Json json;
  json.set("a", 1).set("b", nullptr).set("a", 2u);
  json.find("b")->push_back("x");
  json.find("b")->push_back(uint64_t{5});
  EXPECT_EQ(json.dump(), R"({"a":2,"b":["x",5]})");
  EXPECT_EQ(json.find("c"), nullptr);
  EXPECT_EQ(Json(3).find("a"), nullptr);
  EXPECT_TRUE(Json(uint64_t{5}).is_int());
  EXPECT_TRUE(Json(uint64_t{1} << 63).is_uint());
  EXPECT_EQ(Json(uint64_t{1} << 63).as_double(), 9223372036854775808.0);
  EXPECT_EQ(Json(5).as_uint(), 5u);
}

TEST(Json, EqualityIsDeepAndTyped) {
  EXPECT_EQ(parsed(R"({"a":[1,{"b":2}]})"), parsed(R"({ "a" : [ 1, { "b" : 2 } ] })"));
  EXPECT_FALSE(Json(1) == Json(1.0));
  EXPECT_FALSE(parsed(R"({"a":1,"b":2})") == parsed(R"({"b":2,"a":1})"));
  EXPECT_FALSE(Json("1") == Json(1));
  EXPECT_FALSE(Json() == Json(false));
}

TEST(Json, TypeNamesForMessages) {
  EXPECT_EQ(Json().type_name(), "null");
  EXPECT_EQ(Json(true).type_name(), "boolean");
  EXPECT_EQ(Json(1).type_name(), "integer");
  EXPECT_EQ(Json(uint64_t{1} << 63).type_name(), "integer");
  EXPECT_EQ(Json(1.5).type_name(), "number");
  EXPECT_EQ(Json("x").type_name(), "string");
  EXPECT_EQ(Json::array().type_name(), "array");
  EXPECT_EQ(Json::object().type_name(), "object");
}

TEST(JsonDeathTest, AskingForAnotherTypeIsABug) {
  EXPECT_DEATH(Json("x").as_int(), "want an integer.*found string");
  EXPECT_DEATH(Json(-1).as_uint(), "want a non-negative integer");
  EXPECT_DEATH(Json(1).as_object(), "want an object, found integer");
}

TEST(Json, WritesValidJsonWhateverItHolds) {
  EXPECT_EQ(Json(std::numeric_limits<double>::quiet_NaN()).dump(), "null");
  EXPECT_EQ(Json(-std::numeric_limits<double>::infinity()).dump(), "null");
  EXPECT_EQ(Json("a\xFF"
                 "b")
                .dump(),
            "\"a\xEF\xBF\xBD"
            "b\"");
  EXPECT_EQ(Json(std::string_view("\"\\\b\f\n\r\t\x01\x1f\x7f\0", 11)).dump(),
            "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\\u0000\"");
}

TEST(Json, WritesIndentedForPeople) {
  const Json json = Json::object({{"a", Json::array({1, Json::object()})},
                                  {"b", Json::array()},
                                  {"c", Json::object({{"d", 2}})}});
  EXPECT_EQ(json.dump_pretty(), R"({
  "a": [
    1,
    {}
  ],
  "b": [],
  "c": {
    "d": 2
  }
})");
  EXPECT_EQ(parsed(json.dump_pretty()), json);
}

// The right column was printed by Python 3's repr.
TEST(FormatDouble, WritesWhatPythonWrites) {
  const std::pair<double, std::string_view> kCases[] = {
      {0.0, "0.0"},
      {-0.0, "-0.0"},
      {1.0, "1.0"},
      {-1.0, "-1.0"},
      {0.1, "0.1"},
      {0.5, "0.5"},
      {1.5, "1.5"},
      {100.0, "100.0"},
      {123456.789, "123456.789"},
      {1000000000000000.0, "1000000000000000.0"},
      {9007199254740992.0, "9007199254740992.0"},
      {1e+16, "1e+16"},
      {1.5e+16, "1.5e+16"},
      {1.2345678901234568e+16, "1.2345678901234568e+16"},
      {1e+17, "1e+17"},
      {1e+22, "1e+22"},
      {1e+23, "1e+23"},
      {1e+100, "1e+100"},
      {1e+308, "1e+308"},
      {1.7976931348623157e+308, "1.7976931348623157e+308"},
      {0.001, "0.001"},
      {0.0001, "0.0001"},
      {0.00012345, "0.00012345"},
      {1e-05, "1e-05"},
      {1.5e-05, "1.5e-05"},
      {1e-07, "1e-07"},
      {1e-10, "1e-10"},
      {2.2250738585072014e-308, "2.2250738585072014e-308"},
      {5e-324, "5e-324"},
      {3.141592653589793, "3.141592653589793"},
      {0.30000000000000004, "0.30000000000000004"},
      {2.5e-09, "2.5e-09"},
      {999999999999999.9, "999999999999999.9"},
      {9999999999999998.0, "9999999999999998.0"},
      {1234.5, "1234.5"},
      {-2.5e-07, "-2.5e-07"},
      {4294967296.0, "4294967296.0"},
      {1e-100, "1e-100"},
  };
  for (const auto& [value, text] : kCases) EXPECT_EQ(format_double(value), text);
  EXPECT_EQ(format_double(std::numeric_limits<double>::quiet_NaN()), "nan");
  EXPECT_EQ(format_double(-std::numeric_limits<double>::infinity()), "-inf");
}

TEST(FormatDouble, RoundTripsRandomBits) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100000; ++i) {
    const auto value = std::bit_cast<double>(random());
    if (!std::isfinite(value)) continue;
    const std::string text = format_double(value);
    double back = 0;
    std::from_chars(text.data(), text.data() + text.size(), back);
    ASSERT_EQ(std::bit_cast<uint64_t>(back), std::bit_cast<uint64_t>(value)) << text;
  }
}

std::string random_string(std::mt19937_64& random) {
  std::string out;
  for (uint64_t left = random() % 12; left > 0; --left) {
    auto code_point = static_cast<char32_t>(random() % (random() % 2 == 0 ? 0x80 : 0x110000));
    if (code_point >= 0xD800 && code_point < 0xE000) code_point = '"';
    append_utf8(out, code_point);
  }
  return out;
}

Json random_value(std::mt19937_64& random, int depth) {
  switch (random() % (depth > 0 ? 9 : 7)) {
    case 0:
      return Json();
    case 1:
      return Json(random() % 2 == 0);
    case 2:
      return Json(static_cast<int64_t>(random()));
    case 3:
      return Json(random());
    case 4:
      return Json(static_cast<int64_t>(random() % 200) - 100);
    case 5: {
      const auto value = std::bit_cast<double>(random());
      return std::isfinite(value) ? Json(value) : Json(0.5);
    }
    case 6:
      return Json(random_string(random));
    case 7: {
      Json out = Json::array();
      for (uint64_t n = random() % 6; n > 0; --n) out.push_back(random_value(random, depth - 1));
      return out;
    }
    default: {
      Json out = Json::object();
      for (uint64_t n = random() % 6; n > 0; --n) {
        out.set(random_string(random), random_value(random, depth - 1));
      }
      return out;
    }
  }
}

TEST(Json, RandomValuesRoundTrip) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 20000; ++i) {
    const Json value = random_value(random, 5);
    ASSERT_EQ(parsed(value.dump()), value) << value.dump();
    ASSERT_EQ(parsed(value.dump_pretty()), value);
  }
}

// Any prefix or one-byte change of a good text must answer, whatever the answer is.
TEST(Json, DamagedTextsAnswer) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 2000; ++i) {
    std::string text = random_value(random, 4).dump();
    text.resize(random() % (text.size() + 1));
    if (!text.empty()) text[random() % text.size()] = static_cast<char>(random());
    const Result<Json> json = parse_json(text);
    if (json.is_ok()) {
      ASSERT_EQ(parsed(json->dump()), *json);
    }
  }
}

}  // namespace
}  // namespace yunqi
