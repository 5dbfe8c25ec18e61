// Child processes without a shell: started by posix_spawn in their own process group, stdin from
// /dev/null, output kept (its tail) or dropped. Owned by one object; used from one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace yunqi {

inline constexpr size_t kMaxProcessOutput = size_t{64} << 10;  // of the tail that is kept

struct ProcessOptions {
  std::vector<std::string> arguments = {};  // [0] is the program, looked up in PATH without a '/'
  std::vector<std::pair<std::string, std::string>> environment = {};  // added to or replacing ours
  bool keep_output = true;  // stdout and stderr in one text; false sends both to /dev/null
};

struct ProcessExit {
  int exit_code = -1;  // -1 when a signal ended it
  int signal = 0;
  std::string output;  // the last kMaxProcessOutput bytes
};

// A running child. The destructor kills its whole group and reaps it.
class ChildProcess {
 public:
  // kNotFound when the program does not exist; kNoResources when no process can be made.
  static Result<ChildProcess> start(const ProcessOptions& options);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();

  int pid() const;
  // Waits at most `timeout_ms` while draining the output; true when the child has ended.
  bool wait(int64_t timeout_ms);
  // What wait() found; meaningful once it returned true.
  const ProcessExit& exit() const;
  // SIGTERM (polite) or SIGKILL to the child's group; wait() still reaps it.
  void stop(bool force);

 private:
  struct State;
  explicit ChildProcess(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Runs to the end. `on_tick` is called about 10 times a second; when it returns false the child's
// group is stopped (killed after one second) and the error is kCancelled.
Result<ProcessExit> run_process(const ProcessOptions& options,
                                const std::function<bool()>& on_tick = {});

}  // namespace yunqi
