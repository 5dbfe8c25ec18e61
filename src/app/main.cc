// The yunqi program: parses the command line, runs the chosen command, maps Status to exit codes.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "app/command.h"
#include "app/exit_code.h"

namespace yunqi {
namespace {

int report(const Status& status) {
  if (!status.is_ok()) std::fprintf(stderr, "yunqi: %s\n", status.message().c_str());
  return exit_code(status.code());
}

int run_program(int argc, char** argv) {
  CLI::App root("Yunqi runs Qwen models: engine, API and page in one program.", "yunqi");
  root.set_version_flag("--version", std::string("yunqi 0.1.0"));
  root.require_subcommand(1);
  root.get_formatter()->column_width(34);
  Action action;
  add_run_command(root, action);
  add_serve_command(root, action);
  add_model_commands(root, action);
  add_bench_command(root, action);
  add_bench_serve_command(root, action);
  add_tokenize_command(root, action);
  add_render_command(root, action);
  add_score_command(root, action);
  add_inspect_command(root, action);
  add_import_command(root, action);
  add_replay_command(root, action);
  add_completion_command(root, action);
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& parse_error) {
    // Help and version are "errors" to the library; its own exit() prints them.
    if (parse_error.get_exit_code() == 0) return root.exit(parse_error);
    std::fprintf(stderr, "yunqi: %s; see yunqi --help\n", parse_error.what());
    return exit_code(Code::kInvalidArgument);
  }
  return report(action ? action() : error(Code::kInvalidArgument, "no command"));
}

}  // namespace
}  // namespace yunqi

int main(int argc, char** argv) {
  try {
    return yunqi::run_program(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "yunqi: out of memory; try a smaller model or --context\n");
    return 5;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "yunqi: internal error: %s\n", failure.what());
    return 1;
  }
}
