// Pages as integers: handed out once, shared by count, free again at zero.
#include "engine/page_pool.h"

#include <gtest/gtest.h>

#include <set>

namespace yunqi {
namespace {

TEST(PagePoolTest, HandsOutEveryPageOnceThenNone) {
  PagePool pool(3);
  std::set<int32_t> pages;
  for (int i = 0; i < 3; ++i) pages.insert(pool.allocate());
  EXPECT_EQ(pages, (std::set<int32_t>{0, 1, 2}));
  EXPECT_EQ(pool.allocate(), -1);
  EXPECT_EQ(pool.free(), 0);
  EXPECT_EQ(pool.total(), 3);
}

TEST(PagePoolTest, APageIsFreeWhenItsLastHolderLetsGo) {
  PagePool pool(2);
  const int32_t page = pool.allocate();
  pool.add_reference(page);
  pool.release(page);
  EXPECT_EQ(pool.references(page), 1);
  EXPECT_EQ(pool.free(), 1);
  pool.release(page);
  EXPECT_EQ(pool.references(page), 0);
  EXPECT_EQ(pool.free(), 2);
  EXPECT_EQ(pool.allocate(), page);  // the last freed goes first: its memory is warm
}

TEST(PagePoolDeathTest, FreePagesHaveNoHolders) {
  PagePool pool(1);
  EXPECT_DEATH(pool.release(0), "page 0 is free");
  EXPECT_DEATH(pool.add_reference(0), "page 0 is free");
}

}  // namespace
}  // namespace yunqi
