// Keys, the heap of leaves, the tree of pages, and the states that hang on it.
#include "engine/prefix_cache.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "engine/state_slots.h"

namespace yunqi {
namespace {

TEST(PrefixKeyTest, SipHashGivesThePublishedVectors) {
  // Key 00 01 .. 0f, input 00 01 .. of each length, from the authors' reference vectors.
  PrefixKey key;
  std::vector<std::byte> bytes(64);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i);
  for (uint64_t i = 0; i < 8; ++i) {
    key.low |= i << (8 * i);
    key.high |= (i + 8) << (8 * i);
  }
  EXPECT_EQ(siphash_128(key, std::span(bytes).first(0)),
            (PrefixKey{0xe6a825ba047f81a3u, 0x930255c71472f66du}));
  EXPECT_EQ(siphash_128(key, std::span(bytes).first(1)),
            (PrefixKey{0x44af996bd8c187dau, 0x45fc229b11597634u}));
}

TEST(PrefixKeyTest, KeysDependOnIdentitySaltOrderAndEveryToken) {
  const std::vector<int32_t> a = {1, 2, 3}, b = {1, 2, 4};
  const PrefixKey root = root_key("model", 0);
  EXPECT_EQ(root, root_key("model", 0));
  EXPECT_NE(root, root_key("model", 1));
  EXPECT_NE(root, root_key("other", 0));
  EXPECT_NE(child_key(root, a), child_key(root, b));
  EXPECT_NE(child_key(child_key(root, a), b), child_key(child_key(root, b), a));
  EXPECT_EQ(child_key(root, a).to_hex().size(), 32u);
}

TEST(PageHeapTest, GivesTheCheapestAndForgetsAny) {
  std::mt19937 random(5);
  PageHeap heap(50);
  std::vector<std::pair<double, int32_t>> want;
  for (int32_t page = 0; page < 50; ++page) {
    const auto cost = static_cast<double>(random() % 10);
    heap.push(page, cost, static_cast<uint64_t>(page));
    if (page % 3 != 0) want.emplace_back(cost, page);
  }
  for (int32_t page = 0; page < 50; page += 3) heap.remove(page);
  std::sort(want.begin(), want.end());
  for (const auto& next : want) {
    EXPECT_EQ(heap.pop(), next.second);
    EXPECT_FALSE(heap.contains(next.second));
  }
  EXPECT_TRUE(heap.empty());
}

// Four tokens a page; a prompt is a list of pages' first tokens.
class PrefixCacheTest : public testing::Test {
 protected:
  static constexpr int32_t kWidth = 4;
  PagePool pool_{6};
  PrefixCache cache_{pool_, kWidth, true};

  static std::vector<int32_t> tokens(int32_t first) { return {first, first + 1, first + 2, 7}; }

  // Computes or finds every page of the prompt, holding them; the number found comes first.
  std::pair<int, std::vector<int32_t>> run(const std::vector<int32_t>& prompt, uint64_t salt = 0) {
    std::pair<int, std::vector<int32_t>> out;
    PrefixKey key = root_key("m", salt);
    for (const int32_t first : prompt) {
      const int32_t parent = out.second.empty() ? -1 : out.second.back();
      key = child_key(key, tokens(first));
      int32_t page = cache_.find(parent, key, tokens(first));
      if (page >= 0) {
        ++out.first;
        cache_.hold(page);
      } else {
        page = cache_.insert(parent, key, tokens(first), cache_.allocate());
      }
      out.second.push_back(page);
    }
    EXPECT_TRUE(cache_.consistent());
    return out;
  }
  void let_go(const std::vector<int32_t>& pages) {
    for (const int32_t page : pages) cache_.release(page);
    EXPECT_TRUE(cache_.consistent());
  }
};

TEST_F(PrefixCacheTest, FindsTheLongestSharedPrefix) {
  const auto a = run({10, 20, 30});
  EXPECT_EQ(a.first, 0);
  const auto b = run({10, 20, 40});
  EXPECT_EQ(b.first, 2);
  EXPECT_EQ(b.second[1], a.second[1]);
  EXPECT_NE(b.second[2], a.second[2]);
  EXPECT_EQ(pool_.references(a.second[0]), 3);  // two sequences and the tree
  const auto c = run({20});                     // the same tokens elsewhere are another page
  EXPECT_EQ(c.first, 0);
}

TEST_F(PrefixCacheTest, SaltsKeepFlowsApart) {
  const auto a = run({10, 20}, 1);
  EXPECT_EQ(run({10, 20}, 2).first, 0);
  EXPECT_EQ(run({10, 20}, 1).first, 2);
}

TEST_F(PrefixCacheTest, APageComputedTwiceIsKeptOnce) {
  const PrefixKey key = child_key(root_key("m", 0), tokens(10));
  const int32_t first = cache_.allocate(), twin = cache_.allocate();
  EXPECT_EQ(cache_.insert(-1, key, tokens(10), first), first);
  EXPECT_EQ(cache_.insert(-1, key, tokens(10), twin), first);
  EXPECT_EQ(pool_.references(twin), 0);
  EXPECT_EQ(pool_.references(first), 3);
}

TEST_F(PrefixCacheTest, AnEqualKeyWithOtherTokensIsNoHit) {
  const PrefixKey key = child_key(root_key("m", 0), tokens(10));
  const int32_t page = cache_.allocate(), other = cache_.allocate();
  ASSERT_EQ(cache_.insert(-1, key, tokens(10), page), page);
  EXPECT_EQ(cache_.find(-1, key, tokens(50)), -1);
  EXPECT_EQ(cache_.find(3, key, tokens(10)), -1);  // nor after another page
  EXPECT_EQ(cache_.insert(-1, key, tokens(50), other), -1);
  EXPECT_EQ(pool_.references(other), 1);  // still the caller's
}

TEST_F(PrefixCacheTest, UnusedLeavesGoFirstAndOldestFirst) {
  const auto old = run({10, 20});
  const auto used = run({30, 40, 50});
  let_go(old.second);
  EXPECT_EQ(cache_.available(), 3);  // one never used, two idle
  run({60});
  const auto more = run({70});  // takes the leaf of the old branch
  EXPECT_EQ(more.second[0], old.second[1]);
  EXPECT_EQ(cache_.stats().evicted, 1u);
  EXPECT_EQ(run({10}).first, 1);
  EXPECT_EQ(cache_.allocate(), -1);  // everything is in use now
  let_go(used.second);
  EXPECT_EQ(cache_.available(), 3);
}

TEST_F(PrefixCacheTest, WhatIsUsedAgainOutlivesWhatIsNot) {
  const auto a = run({10}), b = run({20}), c = run({30});
  let_go(a.second);
  let_go(b.second);
  let_go(c.second);
  for (int round = 0; round < 20; ++round) {
    let_go(run({10}).second);  // once more in every round
    let_go(run({1000 + round * 10}).second);
  }
  EXPECT_EQ(run({10}).first, 1);
  EXPECT_EQ(run({20}).first, 0);
}

TEST_F(PrefixCacheTest, OffFindsAndKeepsNothing) {
  PrefixCache off(pool_, kWidth, false);
  const PrefixKey key = child_key(root_key("m", 0), tokens(10));
  const int32_t page = off.allocate();
  EXPECT_EQ(off.insert(-1, key, tokens(10), page), -1);
  EXPECT_EQ(off.find(-1, key, tokens(10)), -1);
  off.release(page);
  EXPECT_EQ(pool_.free(), pool_.total());
}

TEST_F(PrefixCacheTest, RandomTrafficKeepsTheTreeWhole) {
  std::mt19937 random(9);
  std::vector<std::vector<int32_t>> held;
  for (int i = 0; i < 3000; ++i) {
    std::vector<int32_t> prompt(1 + random() % 3);
    for (int32_t& first : prompt) first = static_cast<int32_t>(random() % 3) * 10;
    if (cache_.available() >= static_cast<int32_t>(prompt.size())) {
      held.push_back(run(prompt).second);
    }
    if (!held.empty() && (random() % 2 == 0 || held.size() > 2)) {
      std::swap(held[random() % held.size()], held.back());
      let_go(held.back());
      held.pop_back();
    }
  }
  EXPECT_GT(cache_.stats().evicted, 100u);
}

TEST(StateSlotsTest, KeptStatesGiveWayToWorkOldestFirst) {
  StateSlots states(3, 10);
  const int32_t work = states.allocate();
  EXPECT_GE(states.keep(4), 0);
  EXPECT_GE(states.keep(5), 0);
  EXPECT_EQ(states.available(), 2);
  states.touch(4);
  const int32_t more = states.allocate();
  EXPECT_GE(more, 0);
  EXPECT_EQ(states.kept(5), -1);
  EXPECT_GE(states.kept(4), 0);
  states.page_evicted(4);
  EXPECT_EQ(states.free(), 1);
  EXPECT_GE(states.allocate(), 0);
  EXPECT_EQ(states.keep(6), -1);  // all are worked in
  states.release(work);
  EXPECT_EQ(states.free(), 1);
}

}  // namespace
}  // namespace yunqi
