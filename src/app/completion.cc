// yunqi completion: shell scripts that complete commands, flags and installed models' names. The
// lists come from the command line itself, so they can't fall behind it.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "app/command.h"

namespace yunqi {
namespace {

struct Words {
  std::string command;  // "run"
  std::string description;
  std::vector<std::string> flags;  // "--top-p"
};

std::vector<Words> words_of(CLI::App& root) {
  std::vector<Words> out;
  for (CLI::App* command : root.get_subcommands([](CLI::App*) { return true; })) {
    Words words{command->get_name(), command->get_description(), {}};
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) words.flags.push_back("--" + name);
    }
    out.push_back(std::move(words));
  }
  return out;
}

std::string join(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : " ") + item;
  return out;
}

std::string bash_script(const std::vector<Words>& all) {
  std::string names, cases;
  for (const Words& words : all) {
    names += (names.empty() ? "" : " ") + words.command;
    cases += "    " + words.command + ") flags=\"" + join(words.flags) + "\" ;;\n";
  }
  return "_yunqi() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} flags=\"\"\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
         "    COMPREPLY=($(compgen -W \"" +
         names +
         "\" -- \"$word\"))\n"
         "    return\n"
         "  fi\n"
         "  case ${COMP_WORDS[1]} in\n" +
         cases +
         "  esac\n"
         "  if [[ $word == -* ]]; then\n"
         "    COMPREPLY=($(compgen -W \"$flags\" -- \"$word\"))\n"
         "  else\n"
         "    local models=$(yunqi list --names 2>/dev/null)\n"
         "    COMPREPLY=($(compgen -W \"$models\" -- \"$word\") $(compgen -f -- \"$word\"))\n"
         "  fi\n"
         "}\n"
         "complete -o filenames -F _yunqi yunqi\n";
}

std::string zsh_script(const std::vector<Words>& all) {
  return "#compdef yunqi\nautoload -U +X bashcompinit && bashcompinit\n" + bash_script(all);
}

std::string fish_script(const std::vector<Words>& all) {
  std::string out = "complete -c yunqi -f\n";
  for (const Words& words : all) {
    out += fmt::format("complete -c yunqi -n __fish_use_subcommand -a {} -d '{}'\n", words.command,
                       words.description);
    for (const std::string& flag : words.flags) {
      out += fmt::format("complete -c yunqi -n '__fish_seen_subcommand_from {}' -l {}\n",
                         words.command, flag.substr(2));
    }
    out += fmt::format(
        "complete -c yunqi -n '__fish_seen_subcommand_from {}' -a '(yunqi list --names)' -F\n",
        words.command);
  }
  return out;
}

Status print_script(CLI::App& root, const std::string& shell) {
  const std::vector<Words> all = words_of(root);
  const std::string script = shell == "bash"  ? bash_script(all)
                             : shell == "zsh" ? zsh_script(all)
                                              : fish_script(all);
  std::fputs(script.c_str(), stdout);
  return Status::ok();
}

}  // namespace

void add_completion_command(CLI::App& root, Action& action) {
  auto shell = std::make_shared<std::string>();
  CLI::App& command = *root.add_subcommand("completion", "Completion script for a shell");
  command.add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command.callback(
      [&action, &root, shell] { action = [&root, shell] { return print_script(root, *shell); }; });
}

}  // namespace yunqi
