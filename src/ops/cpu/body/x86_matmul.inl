// x86: picks the matmul for a format and a number of rows.

// One definition for any number of rows: integer dots are exact, and every output adds its blocks
// in the order of K with the same rounding.
template <KernelFormat kFormat>
void matmul_integer(const MatmulArgs& args) {
  switch (args.rows) {
    case 1:
      return gemv<kFormat, 1>(args);
    case 2:
      return gemv<kFormat, 2>(args);
    case 3:
      return gemv<kFormat, 3>(args);
    case 4:
      return gemv<kFormat, 4>(args);
    default:
      return gemm<kFormat>(args);
  }
}

void matmul(const MatmulArgs& args) {
  switch (args.format) {
    case KernelFormat::kF32:
      return matmul_float<KernelFormat::kF32>(args);
    case KernelFormat::kF16:
      return matmul_float<KernelFormat::kF16>(args);
    case KernelFormat::kBF16:
      return matmul_float<KernelFormat::kBF16>(args);
    case KernelFormat::kInt8:
      return matmul_integer<KernelFormat::kInt8>(args);
    case KernelFormat::kInt8Sub:
      return matmul_integer<KernelFormat::kInt8Sub>(args);
    case KernelFormat::kU4:
      return matmul_integer<KernelFormat::kU4>(args);
    case KernelFormat::kU4Min:
      return matmul_integer<KernelFormat::kU4Min>(args);
    case KernelFormat::kU5:
      return matmul_integer<KernelFormat::kU5>(args);
    case KernelFormat::kU5Min:
      return matmul_integer<KernelFormat::kU5Min>(args);
    case KernelFormat::kU4K:
      return matmul_integer<KernelFormat::kU4K>(args);
    case KernelFormat::kU5K:
      return matmul_integer<KernelFormat::kU5K>(args);
    case KernelFormat::kU4Half:
      return matmul_integer<KernelFormat::kU4Half>(args);
    case KernelFormat::kU4HalfMin:
      return matmul_integer<KernelFormat::kU4HalfMin>(args);
    case KernelFormat::kU6Half:
      return matmul_integer<KernelFormat::kU6Half>(args);
  }
}
