// Names of loaded models: ids, aliases, clashes, and what an unknown name is told.
#include "runtime/model_pool.h"

#include <gtest/gtest.h>

namespace yunqi {
namespace {

std::shared_ptr<LoadedModel> model(std::string id) {
  LoadedModel::Parts parts;
  parts.id = std::move(id);
  return std::make_shared<LoadedModel>(std::move(parts));
}

TEST(ModelPool, FindsByIdAndAliasAndTheFirstWithoutAName) {
  ModelPool pool;
  EXPECT_EQ(pool.find("").status().code(), Code::kNotFound);
  const auto first = model("a"), second = model("b");
  ASSERT_TRUE(pool.add(first, {"gpt", "small"}).is_ok());
  ASSERT_TRUE(pool.add(second).is_ok());
  EXPECT_EQ(pool.find("").value(), first);
  EXPECT_EQ(pool.find("a").value(), first);
  EXPECT_EQ(pool.find("small").value(), first);
  EXPECT_EQ(pool.find("b").value(), second);
  ASSERT_EQ(pool.entries().size(), 2u);
  EXPECT_EQ(pool.entries()[0].aliases, (std::vector<std::string>{"gpt", "small"}));
}

TEST(ModelPool, AnUnknownNameIsToldWhatThereIs) {
  ModelPool pool;
  ASSERT_TRUE(pool.add(model("a"), {"gpt"}).is_ok());
  const Status status = pool.find("A").status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_EQ(status.field(), "model");
  EXPECT_NE(status.message().find("a, gpt"), std::string::npos) << status.message();
}

TEST(ModelPool, ANameIsTakenOnce) {
  ModelPool pool;
  ASSERT_TRUE(pool.add(model("a"), {"gpt"}).is_ok());
  EXPECT_EQ(pool.add(model("a")).code(), Code::kInvalidArgument);
  EXPECT_EQ(pool.add(model("gpt")).code(), Code::kInvalidArgument);
  EXPECT_EQ(pool.add(model("b"), {"a"}).code(), Code::kInvalidArgument);
  EXPECT_EQ(pool.add(model("b"), {"b"}).code(), Code::kInvalidArgument);
  EXPECT_EQ(pool.add(model("b"), {"c", "c"}).code(), Code::kInvalidArgument);
  EXPECT_EQ(pool.add(model("b"), {""}).code(), Code::kInvalidArgument);
  EXPECT_EQ(pool.entries().size(), 1u);
  EXPECT_TRUE(pool.add(model("b")).is_ok());
}

}  // namespace
}  // namespace yunqi
