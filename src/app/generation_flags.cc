// See generation_flags.h.
#include "app/generation_flags.h"

#include <CLI/CLI.hpp>

namespace yunqi {

void GenerationFlags::add_to(CLI::App& command) {
  command.add_option("--temperature", temperature, "0 is greedy");
  command.add_option("--top-p", top_p, "nucleus probability");
  command.add_option("--min-p", min_p, "least probability relative to the best token");
  command.add_option("--top-k", top_k, "sample among the k best tokens");
  command.add_option("--seed", seed, "the same seed gives the same answer");
  command.add_option("--max-tokens", max_tokens, "most tokens to generate");
  command.add_option("--stop", stop, "end at this string (repeatable)");
  command.add_option("--thinking", thinking, "on or off, for models that can think")
      ->check(CLI::IsMember({"on", "off"}));
}

void GenerationFlags::apply(GenerateRequest& request) const {
  request.temperature = temperature;
  request.top_p = top_p;
  request.min_p = min_p;
  request.top_k = top_k;
  request.seed = seed;
  request.max_tokens = max_tokens;
  request.stop = stop;
  if (thinking == "on") request.thinking = ThinkingMode::kOn;
  if (thinking == "off") request.thinking = ThinkingMode::kOff;
}

}  // namespace yunqi
