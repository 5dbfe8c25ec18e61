// The built-in catalogue's JSON text (src/hub/catalogue.json), embedded by layer.cmake.
// Constant for the whole process.
#pragma once

#include <string_view>

namespace yunqi {

std::string_view builtin_catalogue();

}  // namespace yunqi
