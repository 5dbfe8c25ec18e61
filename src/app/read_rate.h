// The machine's raw read bandwidth: the bound that decode is judged by.
#pragma once

namespace yunqi {

// Reads memory far larger than the caches with `threads` threads (0: every core); the best of a
// few passes, in GB/s. 0 when there is no memory for it.
double read_gb_per_s(int threads);

}  // namespace yunqi
