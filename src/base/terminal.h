// Whether a standard stream is a terminal, and how wide it is.
#pragma once

namespace yunqi {

enum class StandardStream { kIn, kOut, kErr };

bool is_terminal(StandardStream stream);
// Columns of the terminal on stderr; 80 when there is none.
int terminal_columns();

}  // namespace yunqi
