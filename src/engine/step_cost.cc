// See step_cost.h.
#include "engine/step_cost.h"

#include <algorithm>
#include <bit>

namespace yunqi {
namespace {

constexpr double kNewestShare = 1.0 / 8;  // of the mean, once there are as many steps

}  // namespace

size_t StepCost::bucket_of(int32_t rows) {
  const auto r = static_cast<uint32_t>(std::max(rows, 1));
  const int octave = std::bit_width(r) - 1;
  const uint32_t half = octave == 0 ? 0 : (r >> (octave - 1)) & 1;
  return static_cast<size_t>(2 * octave) + half;
}

void StepCost::observe(int32_t rows, int64_t ns) {
  if (rows <= 0 || ns <= 0) return;
  Point& point = points_[bucket_of(rows)];
  const double share = std::max(kNewestShare, 1.0 / static_cast<double>(++point.count));
  point.rows += (rows - point.rows) * share;
  point.ns += (static_cast<double>(ns) - point.ns) * share;
}

double StepCost::ns(int32_t rows) const {
  const Point* below = nullptr;
  const Point* above = nullptr;
  double bound = 0;  // by the smaller sizes in proportion; 0: none
  for (const Point& point : points_) {
    if (point.count == 0) continue;
    if (point.rows > rows) {
      above = &point;
      break;
    }
    below = &point;
    const double scaled = point.ns * rows / point.rows;
    bound = bound == 0 ? scaled : std::min(bound, scaled);
  }
  if (below == nullptr) return above == nullptr ? 0 : above->ns;
  if (above == nullptr) return bound;
  const double between = (rows - below->rows) / (above->rows - below->rows);
  return std::min(bound, below->ns + (above->ns - below->ns) * between);
}

int32_t StepCost::rows_within(double ns_limit, int32_t limit) const {
  int32_t fits = 0, too_many = limit + 1;
  while (too_many - fits > 1) {
    const int32_t middle = fits + (too_many - fits) / 2;
    (ns(middle) <= ns_limit ? fits : too_many) = middle;
  }
  return std::max(fits, 1);
}

}  // namespace yunqi
