// Names of tensors in both worlds.
#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"

namespace yunqi {
namespace {

TEST(GgufNames, ReadBothWays) {
  const std::pair<const char*, const char*> pairs[] = {
      {"token_embd.weight", "model.embed_tokens.weight"},
      {"output_norm.weight", "model.norm.weight"},
      {"output.weight", "lm_head.weight"},
      {"blk.0.attn_norm.weight", "model.layers.0.input_layernorm.weight"},
      {"blk.3.ffn_up.weight", "model.layers.3.mlp.up_proj.weight"},
      {"blk.12.attn_q.bias", "model.layers.12.self_attn.q_proj.bias"},
      {"blk.12.attn_k_norm.weight", "model.layers.12.self_attn.k_norm.weight"},
      {"blk.93.ffn_norm.weight", "model.layers.93.post_attention_layernorm.weight"},
      {"blk.1023.ffn_gate_inp.weight", "model.layers.1023.mlp.gate.weight"},
  };
  for (const auto& [gguf, hf] : pairs) {
    EXPECT_EQ(hf_name_of_gguf(gguf), hf);
    EXPECT_EQ(gguf_name_of_hf(hf), gguf);
  }
}

TEST(GgufNames, NoNameForOthers) {
  for (const char* name :
       {"", "blk", "blk.", "blk.0", "blk.0.", "blk..attn_q.weight", "blk.-1.attn_q.weight",
        "blk.-0.attn_q.weight", "blk.01.attn_q.weight", "blk.+1.attn_q.weight",
        "blk.1x.attn_q.weight", "blk.1024.attn_q.weight", "blk.99999999999999999999.attn_q.weight",
        "blk.536870912.attn_q.weight", "blk.0.attn_q", "blk.0.ffn_gate_exps.weight",
        "token_embd.bias", "model.embed_tokens.weight", "direction.1"}) {
    EXPECT_EQ(hf_name_of_gguf(name), "") << name;
  }
  EXPECT_EQ(gguf_name_of_hf("token_embd.weight"), "");
  EXPECT_EQ(gguf_name_of_hf("model.layers.0.mlp.experts.0.up_proj.weight"), "");
}

}  // namespace
}  // namespace yunqi
