// See terminal.h.
#include "base/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

namespace yunqi {

bool is_terminal(StandardStream stream) {
  switch (stream) {
    case StandardStream::kIn:
      return isatty(STDIN_FILENO) == 1;
    case StandardStream::kOut:
      return isatty(STDOUT_FILENO) == 1;
    case StandardStream::kErr:
      return isatty(STDERR_FILENO) == 1;
  }
  return false;
}

int terminal_columns() {
  winsize size = {};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace yunqi
