// Random texts for ids and secrets, from the system's generator.
#pragma once

#include <cstddef>
#include <string>

namespace yunqi {

// Lower-case letters but l and o, and 2 to 9: 5 random bits a character, so 26 can't be guessed.
std::string random_token(size_t characters);

}  // namespace yunqi
