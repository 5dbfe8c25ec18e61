# Warnings are errors on our own targets; libraries' headers are SYSTEM and stay silent.
add_library(yunqi_warnings INTERFACE)
target_compile_options(yunqi_warnings INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual -Werror
  -ffp-contract=off -fno-math-errno)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(yunqi_warnings INTERFACE -Wno-sign-conversion -Wno-missing-braces)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 sees overlaps in std::string's own operator+ at -O3 (GCC bug 105651).
  target_compile_options(yunqi_warnings INTERFACE -Wno-restrict)
endif()
if(YUNQI_SANITIZE)
  add_compile_options(-fsanitize=${YUNQI_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${YUNQI_SANITIZE})
endif()
