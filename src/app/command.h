// The programs of `yunqi`: each adds its flags to the command line and, when chosen, sets the
// action that main() runs. Flags are parsed once; nothing below app sees them.
#pragma once

#include <functional>

#include "base/status.h"

namespace CLI {
class App;
}

namespace yunqi {

using Action = std::function<Status()>;

void add_run_command(CLI::App& root, Action& action);
void add_serve_command(CLI::App& root, Action& action);
void add_bench_command(CLI::App& root, Action& action);
void add_bench_serve_command(CLI::App& root, Action& action);
void add_tokenize_command(CLI::App& root, Action& action);
void add_render_command(CLI::App& root, Action& action);
void add_score_command(CLI::App& root, Action& action);
void add_inspect_command(CLI::App& root, Action& action);
void add_import_command(CLI::App& root, Action& action);
void add_model_commands(CLI::App& root, Action& action);  // pull, list, show, rm
void add_replay_command(CLI::App& root, Action& action);
void add_completion_command(CLI::App& root, Action& action);

}  // namespace yunqi
