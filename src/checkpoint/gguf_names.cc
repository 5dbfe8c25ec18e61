// The tensor names of GGUF and Hugging Face, as one table that reads both ways. Architectures of
// dense Qwen1.5 to Qwen3 and the parts of their mixture-of-experts that keep one tensor each; a
// name outside the table is kept as it is.
#include <charconv>
#include <string>
#include <string_view>

#include "checkpoint/checkpoint.h"
#include "checkpoint/limits.h"

namespace yunqi {
namespace {

struct NamePair {
  std::string_view gguf, hf;
};

constexpr NamePair kModelNames[] = {
    {"token_embd.weight", "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight", "lm_head.weight"},
};

// After "blk.N." and "model.layers.N.".
constexpr NamePair kLayerNames[] = {
    {"attn_norm.weight", "input_layernorm.weight"},
    {"attn_q.weight", "self_attn.q_proj.weight"},
    {"attn_q.bias", "self_attn.q_proj.bias"},
    {"attn_k.weight", "self_attn.k_proj.weight"},
    {"attn_k.bias", "self_attn.k_proj.bias"},
    {"attn_v.weight", "self_attn.v_proj.weight"},
    {"attn_v.bias", "self_attn.v_proj.bias"},
    {"attn_output.weight", "self_attn.o_proj.weight"},
    {"attn_output.bias", "self_attn.o_proj.bias"},
    {"attn_q_norm.weight", "self_attn.q_norm.weight"},
    {"attn_k_norm.weight", "self_attn.k_norm.weight"},
    {"ffn_norm.weight", "post_attention_layernorm.weight"},
    {"ffn_gate.weight", "mlp.gate_proj.weight"},
    {"ffn_up.weight", "mlp.up_proj.weight"},
    {"ffn_down.weight", "mlp.down_proj.weight"},
    {"ffn_gate_inp.weight", "mlp.gate.weight"},
    {"ffn_gate_inp_shexp.weight", "mlp.shared_expert_gate.weight"},
    {"ffn_gate_shexp.weight", "mlp.shared_expert.gate_proj.weight"},
    {"ffn_up_shexp.weight", "mlp.shared_expert.up_proj.weight"},
    {"ffn_down_shexp.weight", "mlp.shared_expert.down_proj.weight"},
};

constexpr std::string_view kGgufLayer = "blk.", kHfLayer = "model.layers.";

// "<prefix>12.rest" as the text "12" and "rest"; false when the name has another form. Only the
// usual way to write a number passes, so that two names can't mean one tensor.
bool split_layer(std::string_view name, std::string_view prefix, std::string_view& layer,
                 std::string_view& rest) {
  if (!name.starts_with(prefix)) return false;
  name.remove_prefix(prefix.size());
  const size_t dot = name.find('.');
  if (dot == 0 || dot == std::string_view::npos) return false;
  layer = name.substr(0, dot);
  rest = name.substr(dot + 1);
  if (layer.size() > 1 && layer.front() == '0') return false;
  uint64_t index = 0;
  const auto parsed = std::from_chars(layer.begin(), layer.end(), index);
  return parsed.ec == std::errc() && parsed.ptr == layer.end() && index < uint64_t{kMaxLayers};
}

struct Side {
  std::string_view NamePair::*name;
  std::string_view layer_prefix;
};
constexpr Side kGguf = {&NamePair::gguf, kGgufLayer}, kHf = {&NamePair::hf, kHfLayer};

std::string translate(std::string_view name, const Side& from, const Side& to) {
  for (const NamePair& pair : kModelNames) {
    if (pair.*from.name == name) return std::string(pair.*to.name);
  }
  std::string_view layer, rest;
  if (!split_layer(name, from.layer_prefix, layer, rest)) return "";
  for (const NamePair& pair : kLayerNames) {
    if (pair.*from.name == rest) {
      return fmt::format("{}{}.{}", to.layer_prefix, layer, pair.*to.name);
    }
  }
  return "";
}

}  // namespace

std::string hf_name_of_gguf(std::string_view gguf_name) { return translate(gguf_name, kGguf, kHf); }
std::string gguf_name_of_hf(std::string_view hf_name) { return translate(hf_name, kHf, kGguf); }

}  // namespace yunqi
