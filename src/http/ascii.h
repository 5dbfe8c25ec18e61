// ASCII letters in lower case, for names that HTTP compares without regard to case. Other bytes
// stay as they are, whatever the locale.
#pragma once

#include <string>
#include <string_view>

namespace yunqi {

std::string lower_ascii(std::string_view text);

}  // namespace yunqi
