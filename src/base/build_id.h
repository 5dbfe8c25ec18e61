// Which build of the program this is: the identity that the linker gives to what it makes.
#pragma once

#include <string>

namespace yunqi {

// The running program's GNU build id in hex, different for programs whose code differs; "" when it
// was linked without one. Read once; any thread.
const std::string& build_id();

}  // namespace yunqi
