// Prices: equal to an independent decimal model, parts add up, dearer with every token, and no
// usage costs more than what is reserved for it.
#include "tenancy/price_book.h"

#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "tenancy/timestamp.h"

namespace yunqi {
namespace {

Json json_of(const std::string& text) {
  auto json = parse_json(text);
  EXPECT_TRUE(json.is_ok()) << json.status().to_string() << text;
  return json.is_ok() ? *json : Json();
}

Result<PriceBook> book_of(const std::string& price) {
  return PriceBook::parse(json_of(R"({"currency":"EUR","models":{"m":)" + price + "}}"));
}

template <typename Unit>
PerPart<Unit> parts_of(const Json& json) {
  return {json.find("input")->as_int(), json.find("cached_input")->as_int(),
          json.find("cache_creation")->as_int(), json.find("output")->as_int(),
          json.find("thinking")->as_int()};
}

TEST(PriceBook, EqualsTheDecimalModelInEveryCase) {
  std::ifstream file(YUNQI_SOURCE_DIR "/tests/store/price_cases.jsonl");
  std::string line;
  int cases = 0;
  while (std::getline(file, line)) {
    const Json json = json_of(line);
    const auto book = book_of(json.find("price")->dump());
    ASSERT_TRUE(book.is_ok()) << book.status().to_string() << "\n" << line;
    const auto cost = price_usage(*book->find("m"), parts_of<Tokens>(*json.find("usage")),
                                  json.find("batch")->as_bool());
    ASSERT_TRUE(cost.is_ok()) << line;
    EXPECT_EQ(*cost, parts_of<NanoUnits>(*json.find("cost"))) << line;
    ++cases;
  }
  EXPECT_EQ(cases, 600);
}

ModelPrice random_price(std::mt19937_64& random) {
  ModelPrice price;
  Rates rates;
  int64_t end = 0;
  const auto tiers = 1 + random() % 4;
  for (uint64_t i = 0; i < tiers; ++i) {
    for (auto rate : {&Rates::input, &Rates::cached_input, &Rates::cache_creation, &Rates::output,
                      &Rates::thinking}) {
      rates.*rate += static_cast<int64_t>(random() % 3'000'000'000);
    }
    end += 1 + static_cast<int64_t>(random() % 1000);
    price.tiers.push_back({i + 1 == tiers ? INT64_MAX : end, rates});
  }
  price.batch_ppm = static_cast<int64_t>(random() % 2'000'000);
  return price;
}

Usage random_usage(std::mt19937_64& random, uint64_t most) {
  const auto count = [&] { return static_cast<int64_t>(random() % most); };
  return {count(), count(), count(), count(), count()};
}

TEST(PriceBook, MonotoneAddsUpAndStaysBelowWhatIsReserved) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const ModelPrice price = random_price(random);
    const Usage usage = random_usage(random, 1 + random() % 3000);
    const bool is_batch = random() % 2 == 0;
    const auto cost = price_usage(price, usage, is_batch);
    ASSERT_TRUE(cost.is_ok());
    const int64_t total = *cost->sum();
    for (auto part : {&Usage::input, &Usage::cached_input, &Usage::cache_creation, &Usage::output,
                      &Usage::thinking}) {
      Usage more = usage;
      more.*part += 1;
      ASSERT_GE(*price_usage(price, more, is_batch)->sum(), total);
    }
    // The same tokens in any parts, and fewer of them, cost no more than the most.
    const Usage most{.input = usage.input + usage.cached_input + usage.cache_creation,
                     .output = usage.output + usage.thinking};
    ASSERT_LE(total, *most_cost(price, most, is_batch));
  }
}

TEST(PriceBook, WhatDoesNotFitIsAnErrorNeverAWrap) {
  const auto book = book_of(R"({"input":"1000000","output":"1000000","batch_factor":10})");
  ASSERT_TRUE(book.is_ok()) << book.status().to_string();
  const ModelPrice& price = *book->find("m");
  const Usage most{.input = kMaxUsageTokens};
  EXPECT_EQ(price_usage(price, most, false).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(most_cost(price, most, true).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(price_usage(price, {.input = kMaxUsageTokens + 1}, false).status().code(),
            Code::kInvalidArgument);
  EXPECT_EQ(price_usage(price, {.output = -1}, false).status().code(), Code::kInvalidArgument);
  // 9.2 * 10^18 nano-units at a unit a token: the largest that fits, and one token over.
  EXPECT_EQ(*price_usage(price, {.output = 9'223'372'036}, false)->sum(),
            9'223'372'036'000'000'000);
  EXPECT_FALSE(price_usage(price, {.output = 9'223'372'037}, false).is_ok());
  // Parts that fit while their sum does not.
  EXPECT_FALSE(
      price_usage(price, {.output = 9'000'000'000, .thinking = 9'000'000'000}, false).is_ok());
}

TEST(PriceBook, AbsentRatesFollowTheirKindAndTheStarIsForTheRest) {
  const auto book = PriceBook::parse(json_of(
      R"({"currency":"CNY","valid_from":"2026-01-01T00:00:00Z",
          "models":{"a":{"input":1,"output":2.5},"*":{"input":"0.1","output":"0.2"}}})"));
  ASSERT_TRUE(book.is_ok()) << book.status().to_string();
  EXPECT_EQ(book->valid_from(), 1'767'225'600);
  const Rates& rates = book->find("a")->tiers.front().rates;
  EXPECT_EQ(rates,
            (Rates{1'000'000'000, 1'000'000'000, 1'000'000'000, 2'500'000'000, 2'500'000'000}));
  EXPECT_EQ(book->find("other")->tiers.front().rates.input, 100'000'000);
  EXPECT_EQ(book_of(R"({"input":1,"output":1})")->find("other"), nullptr);
}

TEST(PriceBook, EveryFaultIsNamed) {
  const std::string bad[] = {
      R"({"output":1})",
      R"({"input":1})",
      R"({"input":-1,"output":1})",
      R"({"input":"1,5","output":1})",
      R"({"input":"","output":1})",
      R"({"input":".5","output":1})",
      R"({"input":"1e400","output":1})",
      R"({"input":"0.0000000001","output":1})",
      R"({"input":"1000000.000000001","output":1})",
      R"({"input":true,"output":1})",
      R"({"input":1,"output":1,"outptu":1})",
      R"({"input":1,"output":1,"batch_factor":"10.000001"})",
      R"({"input":1,"output":1,"tiers":[{"input":1,"output":1}]})",
      R"({"tiers":[]})",
      R"({"tiers":[{"up_to_input":5,"input":1,"output":1}]})",
      R"({"tiers":[{"input":1,"output":1},{"input":1,"output":1}]})",
      R"({"tiers":[{"up_to_input":0,"input":1,"output":1},{"input":1,"output":1}]})",
      R"({"tiers":[{"up_to_input":5,"input":2,"output":1},{"input":1,"output":1}]})",
  };
  for (const std::string& price : bad) {
    const auto book = book_of(price);
    EXPECT_EQ(book.status().code(), Code::kInvalidArgument) << price;
    EXPECT_EQ(book.status().field(), "models.m") << price;
  }
  EXPECT_FALSE(PriceBook::parse(json_of(R"({"currency":"EUR"})")).is_ok());
  EXPECT_FALSE(PriceBook::parse(json_of(R"({"currency":"euro","models":{}})")).is_ok());
  EXPECT_FALSE(PriceBook::parse(json_of(R"({"models":{}})")).is_ok());
  EXPECT_FALSE(PriceBook::parse(json_of(R"({"currency":"EUR","models":{},"x":1})")).is_ok());
  EXPECT_FALSE(PriceBook::parse(json_of("[]")).is_ok());
}

TEST(PriceBook, TiersAndModelsHaveTheirLimits) {
  const auto tiers_of = [](size_t count) {
    std::string out = R"({"tiers":[)";
    for (size_t i = 1; i < count; ++i) {
      out += R"({"input":1,"output":1,"up_to_input":)" + std::to_string(i) + "},";
    }
    return out + R"({"input":1,"output":1}]})";
  };
  EXPECT_TRUE(book_of(tiers_of(kMaxPriceTiers)).is_ok());
  EXPECT_FALSE(book_of(tiers_of(kMaxPriceTiers + 1)).is_ok());
  Json models = Json::object();
  for (size_t i = 0; i < kMaxPricedModels; ++i) {
    models.as_object().emplace_back(std::to_string(i), json_of(R"({"input":1,"output":1})"));
  }
  Json book = Json::object({{"currency", "EUR"}, {"models", models}});
  EXPECT_TRUE(PriceBook::parse(book).is_ok());
  book.find("models")->as_object().emplace_back("x", json_of(R"({"input":1,"output":1})"));
  EXPECT_FALSE(PriceBook::parse(book).is_ok());
}

TEST(Nano, DecimalsAreExactBothWays) {
  EXPECT_EQ(*parse_nano("0.15"), 150'000'000);
  EXPECT_EQ(*parse_nano("1.5e-05"), 15'000);
  EXPECT_EQ(*parse_nano("2E3"), 2'000'000'000'000);
  EXPECT_EQ(*parse_nano("9223372036.854775807"), INT64_MAX);
  EXPECT_FALSE(parse_nano("9223372036.854775808").is_ok());
  EXPECT_FALSE(parse_nano("1e-10").is_ok());
  EXPECT_EQ(format_nano(150'000'000), "0.15");
  EXPECT_EQ(format_nano(-1), "-0.000000001");
  EXPECT_EQ(format_nano(INT64_MIN), "-9223372036.854775808");
  EXPECT_EQ(format_nano(3'000'000'000), "3");
}

TEST(Timestamp, ReadsWritesAndKnowsMonths) {
  EXPECT_EQ(*parse_timestamp("2024-02-29"), 1'709'164'800);
  EXPECT_EQ(format_timestamp(1'709'164'800 + 86'399), "2024-02-29T23:59:59Z");
  EXPECT_EQ(month_start(1'709'164'800), *parse_timestamp("2024-02-01"));
  EXPECT_EQ(next_month_start(*parse_timestamp("2024-12-31")), *parse_timestamp("2025-01-01"));
  for (const std::string bad : {"2023-02-29", "2024-13-01", "1969-01-01", "2024-01-01T24:00:00Z",
                                "2024-01-01T00:00:00", "2024-01-01 00:00:00Z", "", "x"}) {
    EXPECT_FALSE(parse_timestamp(bad).is_ok()) << bad;
  }
  EXPECT_FALSE(read_timestamp(Json(-1)).is_ok());
  EXPECT_TRUE(read_timestamp(Json(kMaxTimestamp)).is_ok());
  EXPECT_FALSE(read_timestamp(Json(kMaxTimestamp + 1)).is_ok());
}

}  // namespace
}  // namespace yunqi
