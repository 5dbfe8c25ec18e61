// Virtual token counters: shares by weight, and where newcomers start.
#include "engine/flow_table.h"

#include <gtest/gtest.h>

namespace yunqi {
namespace {

TEST(FlowTableTest, ChargesByWeight) {
  FlowTable flows;
  FlowAccount* light = flows.join(1, 1);
  FlowAccount* heavy = flows.join(2, 4);
  light->charge(100);
  heavy->charge(100);
  EXPECT_EQ(light->service, 100);
  EXPECT_EQ(heavy->service, 25);
  EXPECT_EQ(flows.join(3, 0)->weight, 1u);
}

TEST(FlowTableTest, NewcomersStartAtTheLeastOfThoseHere) {
  FlowTable flows;
  flows.join(1, 1)->charge(100);
  flows.join(2, 1)->charge(70);
  EXPECT_EQ(flows.join(3, 1)->service, 100);  // the second started at 100 as well
}

TEST(FlowTableTest, GoingAwayAndComingBackGainsNothing) {
  FlowTable flows;
  FlowAccount* busy = flows.join(1, 1);
  FlowAccount* clever = flows.join(2, 1);
  busy->charge(50);
  clever->charge(500);
  flows.leave(clever);
  EXPECT_EQ(flows.join(2, 1)->service, 500);
  busy->charge(1000);
  flows.leave(flows.join(2, 1));
  EXPECT_EQ(flows.join(2, 1)->service, 500);  // it never left: one sequence stayed
}

TEST(FlowTableTest, RemembersABoundedNumberOfIdleFlows) {
  FlowTable flows;
  flows.join(0, 1);
  for (uint64_t id = 1; id <= kMaxIdleFlows; ++id) {
    FlowAccount* account = flows.join(id, 1);
    account->charge(10);
    flows.leave(account);
  }
  EXPECT_EQ(flows.size(), kMaxIdleFlows + 1);
  flows.join(kMaxIdleFlows + 1, 1);
  EXPECT_LE(flows.size(), kMaxIdleFlows + 1);
  EXPECT_EQ(flows.join(0, 1)->sequences, 2);  // those that are here stay
}

}  // namespace
}  // namespace yunqi
