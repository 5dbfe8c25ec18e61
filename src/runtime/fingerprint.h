// system_fingerprint: one short name for everything that decides an answer's bytes beside the
// request. Two replies with equal fingerprints can be compared; receipts carry it. Pure functions.
#pragma once

#include <string>

namespace yunqi {

// Each part is text of any kind; a change of one changes the fingerprint.
struct FingerprintParts {
  std::string build;          // the program: version, compiler, linker's build id
  std::string kernels;        // kernel table and its numeric definitions (Device::numerics_id)
  std::string checkpoint;     // weights and their formats (Checkpoint::fingerprint)
  std::string config;         // the model's config, its own RoPE settings included
  std::string tokenizer;      // Tokenizer::fingerprint
  std::string chat_template;  // source; "" when there is none
  std::string packing;        // the form that weights and activations are computed in
  std::string kv;             // the form that keys and values are kept in
  std::string adapter;        // what is added to the weights; "" is nothing
  std::string rope;           // RoPE settings that replace the config's; "" is none
  std::string sampler;        // kSamplerVersion
};

// "fp_" and 16 hex digits of SHA-256 over the parts with their lengths.
std::string system_fingerprint(const FingerprintParts& parts);

// This program's part.
std::string build_name();

}  // namespace yunqi
