// Sampling flags of `yunqi run` (DESIGN section 2); unset ones keep the checkpoint's defaults.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/generate_request.h"

namespace CLI {
class App;
}

namespace yunqi {

struct GenerationFlags {
  std::optional<double> temperature, top_p, min_p;
  std::optional<int64_t> top_k, seed, max_tokens;
  std::string thinking;  // "", on, off
  std::vector<std::string> stop;

  void add_to(CLI::App& command);
  void apply(GenerateRequest& request) const;
};

}  // namespace yunqi
