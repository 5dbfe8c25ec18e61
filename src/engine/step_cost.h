// What a step costs by its number of rows, learnt from the steps that ran: the ground on which
// prompt chunks and draft depths are chosen. Arithmetic only. Owned by the engine thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace yunqi {

class StepCost {
 public:
  // A step of `rows` rows took `ns`.
  void observe(int32_t rows, int64_t ns);

  // Expected ns of a step: between measured sizes by straight lines, beyond them in proportion, and
  // never more than a smaller size in proportion, since rows share the reading of weights. 0 when
  // nothing is known.
  double ns(int32_t rows) const;
  // Whether steps of about that many rows ran.
  bool measured(int32_t rows) const { return points_[bucket_of(rows)].count > 0; }
  // The most rows, up to `limit`, of a step expected to take at most `ns`; at least 1. `limit` when
  // nothing is known.
  int32_t rows_within(double ns, int32_t limit) const;

 private:
  static constexpr size_t kBuckets = 64;  // two per doubling of rows
  static size_t bucket_of(int32_t rows);

  // Means over the last few steps of a bucket.
  struct Point {
    double rows = 0, ns = 0;
    int64_t count = 0;
  };
  std::array<Point, kBuckets> points_;
};

}  // namespace yunqi
