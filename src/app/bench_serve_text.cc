// See bench_serve_text.h.
#include "app/bench_serve_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numbers>
#include <string_view>
#include <vector>

namespace yunqi {
namespace {

constexpr std::array<std::string_view, 96> kWords = {
    "time",       "people",  "water",    "house",     "light",    "world",     "school",
    "family",     "night",   "river",    "paper",     "music",    "green",     "stone",
    "field",      "story",   "money",    "small",     "large",    "early",     "white",
    "black",      "young",   "sound",    "place",     "point",    "right",     "great",
    "hand",       "high",    "year",     "line",      "work",     "part",      "life",
    "child",      "state",   "group",    "number",    "system",   "program",   "question",
    "government", "company", "problem",  "service",   "party",    "week",      "month",
    "book",       "word",    "business", "issue",     "side",     "kind",      "head",
    "room",       "mother",  "area",     "father",    "hour",     "game",      "end",
    "member",     "law",     "car",      "city",      "name",     "president", "team",
    "minute",     "idea",    "body",     "back",      "face",     "others",    "level",
    "office",     "door",    "health",   "person",    "art",      "war",       "history",
    "result",     "change",  "morning",  "reason",    "research", "girl",      "moment",
    "air",        "teacher", "force",    "education", "street"};

Status wrong_shape(const std::string& text) {
  return error(Code::kInvalidArgument,
               "want a length such as 128, uniform:64:256 or lognormal:128:0.5, at most {}, found "
               "\"{}\"",
               kMaxLoadTokens, text);
}

template <typename Number>
bool read_number(std::string_view text, Number& out) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
  return failed == std::errc() && end == text.data() + text.size();
}

}  // namespace

double LoadRandom::uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }

double LoadRandom::normal() {
  const double radius = std::sqrt(2.0 * exponential());
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

double LoadRandom::exponential() { return -std::log1p(-uniform()); }

Result<LengthDistribution> LengthDistribution::parse(const std::string& text) {
  std::vector<std::string_view> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(':', at), text.size());
    parts.push_back(std::string_view(text).substr(at, end - at));
    at = end + 1;
  }
  LengthDistribution out;
  bool good = false;
  if (parts.size() == 1) {
    good = read_number(parts[0], out.low_);
    out.high_ = out.low_;
  } else if (parts.size() == 3 && parts[0] == "uniform") {
    good = read_number(parts[1], out.low_) && read_number(parts[2], out.high_);
  } else if (parts.size() == 3 && parts[0] == "lognormal") {
    out.lognormal_ = true;
    good = read_number(parts[1], out.low_) && read_number(parts[2], out.sigma_) &&
           out.sigma_ >= 0 && out.sigma_ <= 10;
    out.high_ = out.low_;
  }
  if (!good || out.low_ < 1 || out.high_ < out.low_ || out.high_ > kMaxLoadTokens) {
    return wrong_shape(text);
  }
  return out;
}

int64_t LengthDistribution::draw(LoadRandom& random) const {
  if (!lognormal_) {
    return low_ + static_cast<int64_t>(random.below(static_cast<uint64_t>(high_ - low_ + 1)));
  }
  const double length = static_cast<double>(low_) * std::exp(sigma_ * random.normal());
  return static_cast<int64_t>(
      std::clamp(std::round(length), 1.0, static_cast<double>(kMaxLoadTokens)));
}

std::string make_words(LoadRandom& random, int64_t words) {
  std::string out;
  for (int64_t i = 0; i < words; ++i) {
    if (i > 0) out += ' ';
    out += kWords[random.below(kWords.size())];
  }
  return out;
}

std::string make_text(LoadRandom& random, int64_t tokens, double tokens_per_word) {
  const double words = std::round(static_cast<double>(tokens) / tokens_per_word);
  return make_words(random, std::max<int64_t>(1, static_cast<int64_t>(words)));
}

}  // namespace yunqi
