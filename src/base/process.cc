// posix_spawn with one pipe for the child's output. The pipe is non-blocking on our side and is
// drained by wait(), so a chatty child never stalls and a silent one costs one poll per tick.
#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>

extern char** environ;

namespace yunqi {
namespace {

constexpr int kPollMs = 20;
constexpr int64_t kTickMs = 100;
constexpr int64_t kGraceMs = 1'000;

std::vector<std::string> merged_environment(
    const std::vector<std::pair<std::string, std::string>>& added) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    const bool replaced = std::any_of(added.begin(), added.end(),
                                      [&](const auto& pair) { return pair.first == name; });
    if (!replaced) out.emplace_back(text);
  }
  for (const auto& [name, value] : added) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (std::string& text : strings) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

struct ChildProcess::State {
  pid_t pid = -1;
  int output_fd = -1;
  bool ended = false;
  ProcessExit exit;

  ~State() {
    if (!ended && pid > 0) {
      ::kill(-pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
    if (output_fd >= 0) ::close(output_fd);
  }

  void drain() {
    char buffer[4096];
    for (;;) {
      const ssize_t got = output_fd < 0 ? -1 : ::read(output_fd, buffer, sizeof buffer);
      if (got <= 0) return;
      exit.output.append(buffer, static_cast<size_t>(got));
      if (exit.output.size() > 2 * kMaxProcessOutput) trim();
    }
  }

  void trim() {
    if (exit.output.size() > kMaxProcessOutput) {
      exit.output.erase(0, exit.output.size() - kMaxProcessOutput);
    }
  }

  bool reap() {
    int status = 0;
    const pid_t got = ::waitpid(pid, &status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR)) return false;
    if (got == pid && WIFEXITED(status)) exit.exit_code = WEXITSTATUS(status);
    if (got == pid && WIFSIGNALED(status)) exit.signal = WTERMSIG(status);
    drain();
    trim();
    ended = true;
    return true;
  }
};

ChildProcess::ChildProcess(std::unique_ptr<State> state) : state_(std::move(state)) {}
ChildProcess::ChildProcess(ChildProcess&& other) noexcept = default;
ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept = default;
ChildProcess::~ChildProcess() = default;

Result<ChildProcess> ChildProcess::start(const ProcessOptions& options) {
  if (options.arguments.empty() || options.arguments[0].empty()) {
    return error(Code::kInvalidArgument, "process: want a program's name, found none");
  }
  int pipe_fds[2] = {-1, -1};
  if (options.keep_output) {
    if (::pipe2(pipe_fds, O_CLOEXEC) != 0) {
      return error(Code::kNoResources, "process: no pipe for {}: {}", options.arguments[0],
                   std::strerror(errno));
    }
    ::fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
  }

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  if (options.keep_output) {
    posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 1);
    posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 2);
  } else {
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  }
  // Its own group, so that stopping it stops what it started; default signals, none blocked.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  for (const int signal : {SIGINT, SIGTERM, SIGPIPE, SIGHUP}) sigaddset(&defaults, signal);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  std::vector<std::string> arguments = options.arguments;
  std::vector<std::string> environment = merged_environment(options.environment);
  pid_t pid = -1;
  const int failed = ::posix_spawnp(&pid, arguments[0].c_str(), &actions, &attributes,
                                    pointers(arguments).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (pipe_fds[1] >= 0) ::close(pipe_fds[1]);
  if (failed != 0) {
    if (pipe_fds[0] >= 0) ::close(pipe_fds[0]);
    const bool missing = failed == ENOENT || failed == EACCES || failed == ENOTDIR;
    return error(missing ? Code::kNotFound : Code::kNoResources, "process: can't start {}: {}",
                 options.arguments[0], std::strerror(failed));
  }
  auto state = std::make_unique<State>();
  state->pid = pid;
  state->output_fd = pipe_fds[0];
  return ChildProcess(std::move(state));
}

int ChildProcess::pid() const { return state_->pid; }
const ProcessExit& ChildProcess::exit() const { return state_->exit; }

bool ChildProcess::wait(int64_t timeout_ms) {
  using SteadyClock = std::chrono::steady_clock;
  const auto end = SteadyClock::now() + std::chrono::milliseconds(timeout_ms);
  while (!state_->ended) {
    state_->drain();
    if (state_->reap()) break;
    if (SteadyClock::now() >= end) break;
    // Not on the pipe: at its end of file it would be readable at once, for ever.
    ::poll(nullptr, 0, kPollMs);
  }
  return state_->ended;
}

void ChildProcess::stop(bool force) {
  if (!state_->ended && state_->pid > 0) ::kill(-state_->pid, force ? SIGKILL : SIGTERM);
}

Result<ProcessExit> run_process(const ProcessOptions& options,
                                const std::function<bool()>& on_tick) {
  YQ_TRY(ChildProcess child, ChildProcess::start(options));
  while (!child.wait(kTickMs)) {
    if (!on_tick || on_tick()) continue;
    child.stop(false);
    if (!child.wait(kGraceMs)) {
      child.stop(true);
      child.wait(kGraceMs);
    }
    return error(Code::kCancelled, "process: {} was stopped", options.arguments[0]);
  }
  return child.exit();
}

}  // namespace yunqi
