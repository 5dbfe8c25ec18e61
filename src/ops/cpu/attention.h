// The attention operation: head norms and RoPE, keys and values into their pages, then each
// query over the stored blocks of its sequence. Work is split by (sequence, KV head, queries).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "ops/cpu/cpu_state.h"
#include "ops/ops.h"

namespace yunqi {

class CpuAttention {
 public:
  CpuAttention(CpuState& state, const OpsLimits& limits);

  // Allocates the scratch memory.
  Status init();
  // As Ops::attention.
  void run(Matrix<float> qkv, const AttentionArgs& args, Matrix<float> out);

 private:
  struct Worker;

  void prepare_row(Matrix<float> qkv, const AttentionArgs& args, int64_t run, int64_t row,
                   Worker& worker);
  void rotate_halves(float* x, int64_t head_dim, Worker& worker) const;
  // Where the base of the block that holds `token` is (int8 only).
  uint16_t* base_of(const KvLayer& kv, const SequenceRun& sequence, int64_t token,
                    int64_t head) const;
  void store_row(Matrix<float> qkv, const AttentionArgs& args, int64_t run, int64_t row,
                 Worker& worker);
  void attend_chunk(Matrix<float> qkv, const AttentionArgs& args, int64_t run, int64_t item,
                    Matrix<float> out, Worker& worker);
  Worker& worker(int index);

  CpuState& state_;
  OpsLimits limits_;
  std::vector<int64_t> run_of_row_;  // [max_rows]
  std::vector<int64_t> first_item_;  // [max_rows + 1], of each run
  Buffer scratch_;                   // one Worker each
  size_t worker_bytes_ = 0;
};

}  // namespace yunqi
