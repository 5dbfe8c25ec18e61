// Ranges merge and complement rightly; a damaged state file is refused.
#include "hub/part_state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace yunqi {
namespace {

using Ranges = std::vector<RangeSet::Range>;

TEST(RangeSet, MergesNeighbours) {
  RangeSet set;
  set.add(10, 20);
  set.add(30, 40);
  set.add(20, 30);
  EXPECT_EQ(set.ranges(), (Ranges{{10, 40}}));
  set.add(50, 50);
  EXPECT_EQ(set.total(), 30u);
  set.add(0, 5);
  set.add(2, 60);
  EXPECT_EQ(set.ranges(), (Ranges{{0, 60}}));
}

TEST(RangeSet, MissingIsCutIntoPieces) {
  RangeSet set;
  EXPECT_EQ(set.missing(25, 10), (Ranges{{0, 10}, {10, 20}, {20, 25}}));
  set.add(5, 12);
  EXPECT_EQ(set.missing(25, 10), (Ranges{{0, 5}, {12, 22}, {22, 25}}));
  set.add(0, 25);
  EXPECT_TRUE(set.missing(25, 10).empty());
  EXPECT_TRUE(RangeSet().missing(0, 10).empty());
}

TEST(RangeSet, AgreesWithABitmap) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    RangeSet set;
    std::vector<bool> bits(100);
    for (int i = 0; i < 12; ++i) {
      const uint64_t begin = random() % 100;
      const uint64_t end = begin + random() % (101 - begin);
      set.add(begin, end);
      for (uint64_t at = begin; at < end; ++at) bits[at] = true;
    }
    for (const auto& [begin, end] : set.missing(100, 7)) {
      EXPECT_LE(end - begin, 7u);
      for (uint64_t at = begin; at < end; ++at) {
        EXPECT_FALSE(bits[at]);
        bits[at] = true;
      }
    }
    EXPECT_EQ(std::count(bits.begin(), bits.end(), false), 0);
    for (size_t i = 1; i < set.ranges().size(); ++i) {
      EXPECT_GT(set.ranges()[i].first, set.ranges()[i - 1].second);
    }
  }
}

TEST(PartState, RoundTripAndDamage) {
  const Path path = Path(testing::TempDir()) / "yunqi-part-state.json";
  PartState state{"https://h/f", 100, std::string(64, 'a'), "\"etag\"", {}};
  state.done.add(3, 9);
  state.done.add(20, 100);
  ASSERT_TRUE(save_part_state(path, state).is_ok());
  const Result<PartState> loaded = load_part_state(path);
  ASSERT_TRUE(loaded.is_ok()) << loaded.status().to_string();
  EXPECT_EQ(loaded->url, state.url);
  EXPECT_EQ(loaded->size, 100u);
  EXPECT_EQ(loaded->validator, "\"etag\"");
  EXPECT_EQ(loaded->done.ranges(), state.done.ranges());

  const std::string good = *read_file(path);
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"[3,9]", "[9,3]"},
                                 {"[3,9]", "[-1,9]"},
                                 {"[3,9]", "[3,101]"},
                                 {"[3,9]", "[3]"},
                                 {"[3,9]", "7"},
                                 {"\"version\":1", "\"version\":2"},
                                 {"\"size\":100", "\"size\":\"100\""},
                                 {"\"url\"", "\"uri\""}}) {
    std::string bad = good;
    ASSERT_NE(bad.find(from), std::string::npos) << bad;
    bad.replace(bad.find(from), from.size(), to);
    ASSERT_TRUE(write_file_atomically(path, bad).is_ok());
    EXPECT_EQ(load_part_state(path).status().code(), Code::kBadFile) << bad;
  }
  std::filesystem::remove(path);
  EXPECT_EQ(load_part_state(path).status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace yunqi
