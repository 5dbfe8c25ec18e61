// yunqi import: writes model files. For now GGUF files of random weights with a model's true
// shapes, for speed tests that other engines can take part in.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "app/command.h"
#include "model/synthetic.h"

namespace yunqi {
namespace {

struct ImportFlags {
  std::string synthetic, quant = "q4_k_m", target;
};

Status import_model(const ImportFlags& flags) {
  YQ_RETURN_IF_ERROR(write_synthetic_gguf(flags.synthetic, flags.quant, flags.target));
  std::printf("%s\n", flags.target.c_str());
  return Status::ok();
}

}  // namespace

void add_import_command(CLI::App& root, Action& action) {
  auto flags = std::make_shared<ImportFlags>();
  CLI::App& command = *root.add_subcommand("import", "Write a model file");
  command
      .add_option("--synthetic", flags->synthetic, "random weights of true shape: qwen3:0.6b ...")
      ->required();
  command.add_option("--quant", flags->quant, "weight format: q4_k_m, q8_0, bf16")
      ->capture_default_str();
  command.add_option("target", flags->target, "the .gguf file to write")->required();
  command.callback([&action, flags] { action = [flags] { return import_model(*flags); }; });
}

}  // namespace yunqi
