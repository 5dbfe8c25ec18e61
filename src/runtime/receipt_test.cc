// Receipts: what they hash, their JSON both ways, and that each difference is told.
#include "runtime/receipt.h"

#include <gtest/gtest.h>

namespace yunqi {
namespace {

Receipt example() {
  EngineRequest request;
  request.sampling.temperature = 0.7f;
  request.sampling.logit_bias = {{5, -1.5f}};
  request.max_tokens = 12;
  request.stop_ids = {7};
  Receipt out;
  out.fingerprint = "fp_a";
  out.model = "tiny";
  out.seed = 99;
  out.sampling = sampling_json(request, std::vector<std::string>{"end"});
  out.outputs.push_back({0, 0, 3, 2, hash_ids(std::vector<TokenId>{1, 2, 3}),
                         hash_ids(std::vector<TokenId>{4, 5}), "stop"});
  return out;
}

TEST(Receipt, IdsAreHashedAsLittleEndianWords) {
  // printf '\x01\x00\x00\x00\x00\x01\x00\x00' | sha256sum
  EXPECT_EQ(hash_ids(std::vector<TokenId>{1, 256}),
            to_hex(sha256(std::string_view("\1\0\0\0\0\1\0\0", 8))));
  EXPECT_NE(hash_ids(std::vector<TokenId>{1, 2}), hash_ids(std::vector<TokenId>{2, 1}));
  EXPECT_EQ(hash_ids({}), to_hex(sha256("")));
}

TEST(Receipt, JsonGoesBothWays) {
  const Receipt want = example();
  const Json json = receipt_json(want);
  EXPECT_EQ(json.find("sampling")->find("temperature")->dump(), "0.7");
  EXPECT_EQ(json.find("sampling")->find("logit_bias")->dump(), R"({"5":-1.5})");
  const Receipt found = parse_receipt(parse_json(json.dump()).value()).value();
  EXPECT_EQ(receipt_json(found), json);
  EXPECT_TRUE(receipt_differences(want, found).empty());
  // A whole reply will do.
  const Json reply = Json::object({{"id", "x"}, {"x_receipt", json}});
  EXPECT_EQ(receipt_json(parse_receipt(reply).value()), json);
}

TEST(Receipt, EachDifferenceIsOneLine) {
  const Receipt want = example();
  const auto lines = [&](auto&& change) {
    Receipt found = want;
    change(found);
    return receipt_differences(want, found);
  };
  EXPECT_EQ(lines([](Receipt& r) { r.fingerprint = "fp_b"; }).size(), 1u);
  EXPECT_EQ(lines([](Receipt& r) { r.seed = 1; }).size(), 1u);
  EXPECT_EQ(lines([](Receipt& r) { r.model = "other"; }).size(), 0u) << "a name proves nothing";
  EXPECT_EQ(lines([](Receipt& r) { r.sampling.set("top_k", Json(3)); }).size(), 1u);
  EXPECT_EQ(lines([](Receipt& r) { r.sampling.set("new", Json(3)); }).size(), 1u);
  EXPECT_EQ(lines([](Receipt& r) { r.outputs[0].prompt_sha256 = "x"; }).size(), 1u);
  EXPECT_EQ(lines([](Receipt& r) { r.outputs[0].finish_reason = "length"; }).size(), 1u);
  EXPECT_EQ(lines([](Receipt& r) { r.outputs.clear(); }).size(), 1u);
  const auto output = lines([](Receipt& r) { r.outputs[0].output_sha256 = "x"; });
  ASSERT_EQ(output.size(), 1u);
  EXPECT_NE(output[0].find("choice 0: output ids"), std::string::npos) << output[0];
}

TEST(Receipt, WhatIsNoReceiptIsRefused) {
  const auto refused = [](const char* text) {
    return parse_receipt(parse_json(text).value()).status().message();
  };
  EXPECT_NE(refused("{}").find("version"), std::string::npos);
  EXPECT_NE(refused("[]").find("version"), std::string::npos);
  EXPECT_NE(refused(R"({"version": 2})").find("found 2"), std::string::npos);
  EXPECT_NE(refused(R"({"version": 1})").find("system_fingerprint"), std::string::npos);
  for (const char* name : {"system_fingerprint", "model", "seed", "sampling", "outputs"}) {
    Json json = receipt_json(example());
    json.set(name, Json(true));
    EXPECT_NE(parse_receipt(json).status().message().find(name), std::string::npos) << name;
  }
  for (const char* name : {"index", "choice", "prompt_tokens", "prompt_sha256", "output_tokens",
                           "output_sha256", "finish_reason"}) {
    Json json = receipt_json(example());
    json.find("outputs")->as_array()[0].set(name, Json(-1));
    EXPECT_NE(parse_receipt(json).status().message().find(name), std::string::npos) << name;
  }
}

TEST(Receipt, HasALimitOfOutputs) {
  Receipt receipt = example();
  receipt.outputs.resize(kMaxReceiptOutputs, receipt.outputs[0]);
  EXPECT_TRUE(parse_receipt(receipt_json(receipt)).is_ok());
  receipt.outputs.push_back(receipt.outputs[0]);
  EXPECT_FALSE(parse_receipt(receipt_json(receipt)).is_ok());
}

TEST(Receipt, FurtherPromptsAreNumberedOn) {
  Receipt receipt = example();
  append_outputs(receipt, example());
  ASSERT_EQ(receipt.outputs.size(), 2u);
  EXPECT_EQ(receipt.outputs[1].index, 1);
  EXPECT_EQ(receipt.outputs[1].choice, 0);
}

}  // namespace
}  // namespace yunqi
