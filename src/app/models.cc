// yunqi pull, list, show and rm: models on this machine and in the catalogue.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <string>

#include "app/command.h"
#include "app/open_model.h"
#include "base/signal.h"
#include "hub/hub.h"

namespace yunqi {
namespace {

std::string date_of(int64_t unix_seconds) {
  const std::time_t time = unix_seconds;
  std::tm utc = {};
  gmtime_r(&time, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d", &utc);
  return text;
}

std::string size_of(uint64_t bytes) {
  return bytes == 0 ? "?" : fmt::format("{:.0f} MB", static_cast<double>(bytes) / 1e6);
}

Status pull(const std::string& name) {
  catch_stop_signals();
  Hub hub(yunqi_home());
  YQ_TRY(const InstalledModel model, pull_with_progress(hub, name));
  std::printf("%s\n", model.path.c_str());
  return Status::ok();
}

Status list(bool all, bool names_only) {
  const Hub hub(yunqi_home());
  YQ_TRY(const std::vector<InstalledModel> installed, hub.list());
  if (names_only) {
    for (const InstalledModel& model : installed) std::printf("%s\n", model.name.c_str());
    return Status::ok();
  }
  if (!installed.empty()) {
    std::printf("%-32s %10s  %-10s  %s\n", "MODEL", "SIZE", "INSTALLED", "SOURCE");
    for (const InstalledModel& model : installed) {
      std::printf("%-32s %10s  %-10s  %s\n", model.name.c_str(), size_of(model.bytes).c_str(),
                  date_of(model.installed_at).c_str(), model.source.c_str());
    }
  } else {
    std::printf("no model is installed; try: yunqi pull qwen3:0.6b\n");
  }
  if (!all) return Status::ok();
  YQ_TRY(const Catalogue catalogue, Catalogue::load(yunqi_home()));
  std::printf("\n%-32s %10s  %s\n", "CATALOGUE", "SIZE", "TITLE");
  for (const CatalogueEntry& entry : catalogue.entries()) {
    std::printf(
        "%-32s %10s  %s%s\n", entry.name.c_str(), size_of(entry.bytes).c_str(), entry.title.c_str(),
        entry.supported ? "" : fmt::format(" (not yet: {})", entry.unsupported_reason).c_str());
  }
  return Status::ok();
}

Status show(const std::string& name) {
  const Hub hub(yunqi_home());
  Result<InstalledModel> found = hub.find(name);
  if (found.is_ok()) {
    std::printf("name       %s\npath       %s\nbytes      %llu\nsha256     %s\nsource     %s\n",
                found->name.c_str(), found->path.c_str(),
                static_cast<unsigned long long>(found->bytes), found->sha256.c_str(),
                found->source.c_str());
  }
  YQ_TRY(const Catalogue catalogue, Catalogue::load(yunqi_home()));
  const CatalogueEntry* entry = catalogue.find(name);
  if (entry != nullptr) {
    std::printf("title      %s\nlicense    %s\nsupported  %s\n", entry->title.c_str(),
                entry->license.c_str(),
                entry->supported ? "yes" : entry->unsupported_reason.c_str());
  }
  if (!found.is_ok() && entry == nullptr) return found.status();
  if (!found.is_ok()) std::printf("installed  no; pull it with: yunqi pull %s\n", name.c_str());
  return Status::ok();
}

}  // namespace

void add_model_commands(CLI::App& root, Action& action) {
  struct Flags {
    std::string name;
    bool all = false, names_only = false;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App& pull_command = *root.add_subcommand("pull", "Download a model: resumes, verifies");
  pull_command.add_option("model", flags->name, "catalogue name, hf:..., ms:... or URL")
      ->required();
  pull_command.callback([&action, flags] { action = [flags] { return pull(flags->name); }; });

  CLI::App& list_command = *root.add_subcommand("list", "Installed models");
  list_command.add_flag("--all", flags->all, "the catalogue too");
  list_command.add_flag("--names", flags->names_only, "names only, one a line");
  list_command.callback(
      [&action, flags] { action = [flags] { return list(flags->all, flags->names_only); }; });

  CLI::App& show_command = *root.add_subcommand("show", "What is known of a model");
  show_command.add_option("model", flags->name, "a model's name")->required();
  show_command.callback([&action, flags] { action = [flags] { return show(flags->name); }; });

  CLI::App& rm_command = *root.add_subcommand("rm", "Remove an installed model");
  rm_command.add_option("model", flags->name, "a model's name")->required();
  rm_command.callback(
      [&action, flags] { action = [flags] { return Hub(yunqi_home()).remove(flags->name); }; });
}

}  // namespace yunqi
