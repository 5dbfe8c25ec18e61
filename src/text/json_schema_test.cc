// JSON Schema: keywords, their combinations, any order of members, refusals by name, limits.
#include "text/json_schema.h"

#include <gtest/gtest.h>

#include <string>

#include "text/grammar_fixture.h"
#include "text/json_schema_document.h"
#include "text/json_schema_number.h"
#include "text/json_schema_values.h"

namespace yunqi {
namespace {

bool allows(std::string_view schema, std::string_view text) {
  return judges(schema_spec(schema), text, /*check_masks=*/false);
}

Status refused(std::string_view schema) {
  return grammar_fixture().compile(schema_spec(schema)).status();
}

TEST(JsonSchema, MembersInAnyOrder) {
  constexpr std::string_view kSchema =
      R"({"type": "object", "properties": {"name": {"type": "string"},
      "n": {"type": "integer"}, "na": {"type": "null"}}, "required": ["name", "n"],
      "additionalProperties": false})";
  for (const bool masks : {false, true}) {
    const GrammarSpec spec = schema_spec(kSchema);
    EXPECT_TRUE(judges(spec, R"({"name": "x", "n": 1})", masks));
    EXPECT_TRUE(judges(spec, R"({"n":1,"na":null,"name":"x"})", masks));
    EXPECT_FALSE(judges(spec, R"({"n": 1})", masks));
    EXPECT_FALSE(judges(spec, R"({"n": 1, "name": "x", "n": 2})", masks));
    EXPECT_FALSE(judges(spec, R"({"n": 1, "name": "x", "other": 2})", masks));
  }
  EXPECT_TRUE(judges(schema_spec(R"({"properties": {"name": {"type": "integer"}}})"),
                     R"({"nam": "x", "names": "y", "name": 1})"));
  EXPECT_FALSE(allows(R"({"properties": {"name": {"type": "integer"}}})", R"({"name": "x"})"));
}

TEST(JsonSchema, Strings) {
  EXPECT_TRUE(judges(schema_spec(R"({"type": "string", "minLength": 2, "maxLength": 3})"),
                     R"("中\u00e9\n")"));
  EXPECT_FALSE(allows(R"({"type": "string", "minLength": 2, "maxLength": 3})", R"("中")"));
  EXPECT_FALSE(allows(R"({"type": "string", "minLength": 2, "maxLength": 3})", R"("abcd")"));
  EXPECT_TRUE(judges(schema_spec(R"({"type": "string", "pattern": "^a\"\\n+$"})"), R"("a\"\n\n")"));
  EXPECT_TRUE(allows(R"({"pattern": "b", "maxLength": 3})", R"("abc")"));
  EXPECT_FALSE(allows(R"({"pattern": "b", "maxLength": 3})", R"("abcd")"));
  EXPECT_TRUE(allows(R"({"format": "date"})", R"("2024-02-29")"));
  EXPECT_FALSE(allows(R"({"format": "date"})", R"("2023-02-29")"));
  EXPECT_TRUE(allows(R"({"format": "ipv6"})", R"("1::8")"));
  EXPECT_FALSE(allows(R"({"format": "ipv6"})", R"("1::2::3")"));
  EXPECT_TRUE(allows(R"({"format": "made-up"})", R"("x")"));
}

TEST(JsonSchema, Numbers) {
  constexpr std::string_view kRange =
      R"({"type": "integer", "minimum": -5, "exclusiveMaximum": 120})";
  for (const char* good : {"-5", "0", "119", "99"})
    EXPECT_TRUE(judges(schema_spec(kRange), good)) << good;
  for (const char* bad : {"-6", "120", "1.5", "1e1", "-0", "00"})
    EXPECT_FALSE(allows(kRange, bad)) << bad;
  constexpr std::string_view kReal = R"({"type": "number", "minimum": 0.5, "maximum": 10.25})";
  for (const char* good : {"0.5", "0.50", "10.25", "10", "9.999"})
    EXPECT_TRUE(allows(kReal, good)) << good;
  for (const char* bad : {"0.49", "10.251", "-1", "11"}) EXPECT_FALSE(allows(kReal, bad)) << bad;
  EXPECT_TRUE(allows(R"({"multipleOf": 0.01})", "12.34"));
  EXPECT_FALSE(allows(R"({"multipleOf": 0.01})", "12.345"));
  EXPECT_TRUE(allows(R"({"type": "integer", "multipleOf": 7})", "-1001"));
  EXPECT_FALSE(allows(R"({"type": "integer", "multipleOf": 7})", "1000"));
  EXPECT_FALSE(allows(R"({"not": {"type": "integer"}})", "3"));
  EXPECT_TRUE(allows(R"({"not": {"type": "integer"}})", "3.5"));
  EXPECT_TRUE(allows(R"({"type": "number"})", "-1.5e-300"));
  EXPECT_FALSE(allows(R"({"type": "number"})", "1e309"));
  EXPECT_FALSE(allows(R"({"type": "integer"})", std::string(kMaxWholeDigits + 1, '1')));
  EXPECT_TRUE(allows(R"({"type": "integer"})", std::string(kMaxWholeDigits, '1')));
}

// The reference is plain arithmetic.
TEST(JsonSchema, IntegerRangesAgreeWithArithmetic) {
  for (const auto& [low, high] : {std::pair{-12, 7}, {3, 3}, {-99, -10}, {0, 1000}, {95, 105}}) {
    NumberAtom atom;
    atom.low = Decimal::of(Json(low));
    atom.high = Decimal::of(Json(high));
    atom.whole = NumberAtom::Whole::kWhole;
    atom.multiples.push_back(Decimal::of(Json(3)));
    const Dfa dfa = number_dfa(atom).value();
    for (int i = -120; i <= 1010; ++i) {
      EXPECT_EQ(dfa.matches(std::to_string(i)), i >= low && i <= high && i % 3 == 0) << i;
    }
  }
}

TEST(JsonSchema, Arrays) {
  constexpr std::string_view kTuple = R"({"type": "array", "prefixItems": [{"type": "integer"},
      {"const": "x"}], "items": {"type": "boolean"}, "minItems": 2, "maxItems": 3})";
  EXPECT_TRUE(judges(schema_spec(kTuple), R"([1, "x"])"));
  EXPECT_TRUE(judges(schema_spec(kTuple), R"([1,"x",true])"));
  EXPECT_FALSE(allows(kTuple, "[1]"));
  EXPECT_FALSE(allows(kTuple, R"([1, "x", 3])"));
  EXPECT_FALSE(allows(kTuple, R"([1, "x", true, true])"));
  constexpr std::string_view kContains =
      R"({"items": {"type": "integer"}, "contains": {"minimum": 5},
      "minContains": 2, "maxContains": 2, "maxItems": 3})";
  EXPECT_TRUE(judges(schema_spec(kContains), "[1,5,12]"));
  EXPECT_FALSE(allows(kContains, "[1,5]"));
  EXPECT_FALSE(allows(kContains, "[5,6,7]"));
  EXPECT_TRUE(judges(schema_spec(R"({"items": {"enum": ["a", 1, null]}, "uniqueItems": true})"),
                     R"([1,"a",null])"));
  EXPECT_FALSE(
      allows(R"({"items": {"enum": ["a", 1, null]}, "uniqueItems": true})", R"(["a",1,"a"])"));
  EXPECT_TRUE(judges(schema_spec(R"({"items": {"type": "string"}, "uniqueItems": true})"),
                     R"(["ab","a","b"])"));
  EXPECT_FALSE(
      allows(R"({"items": {"type": "string"}, "uniqueItems": true})", R"(["ab","a","ab"])"));
}

TEST(JsonSchema, Objects) {
  EXPECT_TRUE(
      allows(R"({"patternProperties": {"^n": {"type": "integer"}}, "additionalProperties": false})",
             R"({"n1": 1, "n": 2})"));
  EXPECT_FALSE(
      allows(R"({"patternProperties": {"^n": {"type": "integer"}}, "additionalProperties": false})",
             R"({"m": 1})"));
  EXPECT_FALSE(allows(R"({"propertyNames": {"maxLength": 2}})", R"({"abc": 1})"));
  EXPECT_TRUE(judges(schema_spec(R"({"minProperties": 1, "maxProperties": 2, "required": ["ab"]})"),
                     R"({"a": 1, "ab": 2})"));
  EXPECT_FALSE(allows(R"({"maxProperties": 2, "required": ["ab"]})", R"({"a": 1, "b": 2)"))
      << "no way back to ab";
  EXPECT_FALSE(allows(R"({"minProperties": 1, "maxProperties": 2})", "{}"));
  constexpr std::string_view kCard = R"({"dependentRequired": {"card": ["cvc"]}, "properties":
      {"card": {}, "cvc": {}}, "additionalProperties": false})";
  EXPECT_TRUE(judges(schema_spec(kCard), R"({"cvc": 1, "card": 2})"));
  EXPECT_FALSE(allows(kCard, R"({"card": 2})"));
  EXPECT_TRUE(allows(R"({"const": {"a": [1, {"b": null}], "c": 2}})",
                     R"({"c": 2, "a": [1, {"b": null}]})"));
  EXPECT_FALSE(allows(R"({"const": {"a": 1}})", R"({"a": 1, "b": 2})"));
}

TEST(JsonSchema, Combinations) {
  EXPECT_FALSE(allows(
      R"({"oneOf": [{"multipleOf": 3, "type": "integer"}, {"multipleOf": 5, "type": "integer"}]})",
      "15"));
  EXPECT_TRUE(allows(
      R"({"oneOf": [{"multipleOf": 3, "type": "integer"}, {"multipleOf": 5, "type": "integer"}]})",
      "10"));
  constexpr std::string_view kIf = R"({"if": {"properties": {"k": {"const": 1}}, "required": ["k"]},
      "then": {"required": ["a"]}, "else": {"required": ["b"]}})";
  EXPECT_TRUE(allows(kIf, R"({"a": 0, "k": 1})"));
  EXPECT_FALSE(allows(kIf, R"({"b": 0, "k": 1})"));
  EXPECT_TRUE(allows(kIf, R"({"b": 0, "k": 2})"));
  EXPECT_FALSE(allows(R"({"not": {"required": ["a"]}})", R"({"a": 1})"));
  constexpr std::string_view kClosed =
      R"({"allOf": [{"properties": {"a": {}}}], "properties": {"b": {}},
      "unevaluatedProperties": false})";
  EXPECT_TRUE(allows(kClosed, R"({"b": 1, "a": 2})"));
  EXPECT_FALSE(allows(kClosed, R"({"c": 1})"));
}

TEST(JsonSchema, References) {
  constexpr std::string_view kTree =
      R"({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object",
      "properties": {"v": {"type": "integer"}, "kids": {"type": "array",
      "items": {"$ref": "#/$defs/node"}}}, "required": ["v"], "additionalProperties": false}}})";
  EXPECT_TRUE(
      allows(kTree, R"({"v": 1, "kids": [{"v": 2, "kids": []}, {"kids": [{"v": 3}], "v": 4}]})"));
  EXPECT_FALSE(allows(kTree, R"({"v": 1, "kids": [{"kids": []}]})"));
  EXPECT_EQ(refused(R"({"$ref": "#"})").field(), "schema");
  EXPECT_EQ(refused(R"({"$ref": "#/$defs/none"})").field(), "schema.$ref");
  EXPECT_EQ(refused(R"({"$ref": "http://example.com/x"})").code(), Code::kInvalidArgument);
  EXPECT_FALSE(
      refused(R"({"properties": {"a": {"$ref": "#"}}, "required": ["a"], "type": "object"})")
          .is_ok())
      << "endless";
  EXPECT_EQ(resolve_uri("http://a/b/c?q", "../d/./e"), "http://a/d/e");
  EXPECT_EQ(resolve_uri("urn:x:y", "#f"), "urn:x:y");
}

TEST(JsonSchema, RefusalsNameKeywordAndPath) {
  const auto field = [](std::string_view schema) { return refused(schema).field(); };
  EXPECT_EQ(field(R"j({"properties": {"x": {"pattern": "("}}})j"), "schema.properties.x.pattern");
  EXPECT_EQ(field(R"j({"properties": {"x": {"pattern": "a(?=b)"}}})j"),
            "schema.properties.x.pattern");
  EXPECT_EQ(refused(R"j({"pattern": "a(?=b)"})j").code(), Code::kUnsupported);
  EXPECT_EQ(field(R"({"items": {"type": "text"}})"), "schema.items.type");
  EXPECT_EQ(field(R"({"minLength": -1})"), "schema.minLength");
  EXPECT_EQ(field(R"({"maxLength": 1.5})"), "schema.maxLength");
  EXPECT_EQ(field(R"({"multipleOf": 0})"), "schema.multipleOf");
  EXPECT_EQ(field(R"({"properties": []})"), "schema.properties");
  EXPECT_EQ(field(R"({"properties": {"a": 3}})"), "schema.properties.a");
  EXPECT_EQ(field(R"({"required": "a"})"), "schema.required");
  EXPECT_EQ(field(R"({"enum": 3})"), "schema.enum");
  EXPECT_EQ(field(R"({"allOf": {}})"), "schema.allOf");
  EXPECT_EQ(field(R"({"items": [{}]})"), "schema.items");
  EXPECT_EQ(field(R"({"$schema": "http://json-schema.org/draft-04/schema#"})"), "schema.$schema");
  EXPECT_EQ(field(R"({"uniqueItems": true})"), "schema");
  EXPECT_EQ(refused(R"({"uniqueItems": true})").message().substr(0, 20), "schema: uniqueItems:");
}

TEST(JsonSchema, NothingSatisfies) {
  for (const char* schema :
       {"false", R"({"not": {}})", R"({"allOf": [{"type": "string"}, {"type": "null"}]})",
        R"({"type": "integer", "minimum": 5, "maximum": 4})", R"({"enum": []})",
        R"({"type": "object", "properties": {"a": false}, "required": ["a"]})",
        R"({"type": "array", "items": false, "minItems": 1})",
        R"({"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": true, "minItems": 3})",
        R"({"type": "string", "pattern": "^[0-9]+$", "enum": ["x"]})",
        R"({"type": "integer", "minimum": 4, "maximum": 5, "multipleOf": 7})",
        R"({"type": "object", "required": ["a", "b"], "maxProperties": 1})"}) {
    const Status status = refused(schema);
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << schema;
    EXPECT_EQ(status.message(), "schema: no value satisfies it") << schema;
  }
}

TEST(JsonSchema, Limits) {
  const auto named = [](size_t count) {
    std::string out = R"({"type": "object", "additionalProperties": false, "properties": {)";
    for (size_t i = 0; i < count; ++i) {
      out += (i ? ", \"k" : "\"k") + std::to_string(i) + "\": {\"type\": \"null\"}";
    }
    return out + "}}";
  };
  EXPECT_TRUE(refused(named(kMaxObjectNames)).is_ok());
  EXPECT_EQ(refused(named(kMaxObjectNames + 1)).code(), Code::kInvalidArgument);
  const auto with = [](std::string_view keyword, size_t value) {
    return "{\"" + std::string(keyword) + "\": " + std::to_string(value) + "}";
  };
  EXPECT_TRUE(refused(with("minItems", kMaxSchemaCount)).is_ok());
  EXPECT_EQ(refused(with("minItems", kMaxSchemaCount + 1)).field(), "schema.minItems");
  EXPECT_TRUE(refused(with("minProperties", kMaxMinProperties)).is_ok());
  EXPECT_EQ(refused(with("minProperties", kMaxMinProperties + 1)).field(), "schema.minProperties");
  EXPECT_TRUE(refused(with("maxLength", 1000000000000)).is_ok());
  EXPECT_TRUE(
      allows(R"({"type": "string", "maxLength": 5000})", '"' + std::string(5000, 'x') + '"'));
  EXPECT_FALSE(
      allows(R"({"type": "string", "maxLength": 5000})", '"' + std::string(5001, 'x') + '"'));
  EXPECT_EQ(refused("{\"const\": \"" + std::string(kMaxGrammarBytes, 'x') + "\"}").code(),
            Code::kInvalidArgument);
}

TEST(JsonSchema, HostileCombinationsEndInAnError) {
  // Every branch overlaps every other: the exact answer has 2^24 cases.
  std::string branches;
  for (int i = 0; i < 24; ++i) {
    branches += (i ? ", {" : "{") + std::string("\"properties\": {\"a") + std::to_string(i) +
                "\": {\"type\": \"integer\"}, \"b" + std::to_string(i) +
                "\": {\"type\": \"string\"}}}";
  }
  for (const char* keyword : {"oneOf", "anyOf"}) {
    const Status status = refused("{\"" + std::string(keyword) + "\": [" + branches +
                                  "], \"unevaluatedProperties\": false}");
    EXPECT_EQ(status.code(), Code::kUnsupported) << keyword << ": " << status.to_string();
  }
}

}  // namespace
}  // namespace yunqi
