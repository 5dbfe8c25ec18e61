// Views: a pointer, dimensions and row stride over memory someone else owns. Trivially copyable,
// passed by value; the last dimension is contiguous.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"

namespace yunqi {

// Rank-2 view: rows x columns with `stride` elements between rows.
template <typename T>
struct Matrix {
  T* data = nullptr;
  int64_t rows = 0, columns = 0, stride = 0;

  Matrix() = default;
  Matrix(T* data_in, int64_t rows_in, int64_t columns_in)
      : Matrix(data_in, rows_in, columns_in, columns_in) {}
  Matrix(T* data_in, int64_t rows_in, int64_t columns_in, int64_t stride_in)
      : data(data_in), rows(rows_in), columns(columns_in), stride(stride_in) {}

  T* row(int64_t r) const {
    YQ_DCHECK(r >= 0 && r < rows, "row {} of {}", r, rows);
    return data + r * stride;
  }
  std::span<T> row_span(int64_t r) const { return {row(r), static_cast<size_t>(columns)}; }
  // Rows [begin, begin + count).
  Matrix slice_rows(int64_t begin, int64_t count) const {
    YQ_DCHECK(begin >= 0 && count >= 0 && begin + count <= rows);
    return Matrix(data + begin * stride, count, columns, stride);
  }
  // Columns [begin, begin + count).
  Matrix slice_columns(int64_t begin, int64_t count) const {
    YQ_DCHECK(begin >= 0 && count >= 0 && begin + count <= columns);
    return Matrix(data + begin, rows, count, stride);
  }
  operator Matrix<const T>() const { return Matrix<const T>(data, rows, columns, stride); }
};

}  // namespace yunqi
