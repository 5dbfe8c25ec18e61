# Warnings are errors on our own targets; libraries' headers are SYSTEM and stay silent.
add_library(yunqi_warnings INTERFACE)
target_compile_options(yunqi_warnings INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual -Werror
  -ffp-contract=off -fno-math-errno)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # deprecated-declarations: libstdc++ 12's own std::stable_sort calls get_temporary_buffer.
  target_compile_options(yunqi_warnings INTERFACE -Wno-sign-conversion -Wno-missing-braces
    -Wno-deprecated-declarations)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12's false alarms at -O3: overlaps in std::string's own operator+ (GCC bug 105651), and
  # alternatives of a moved std::variant that are not alive (GCC bug 105562 and its kin).
  target_compile_options(yunqi_warnings INTERFACE -Wno-restrict -Wno-maybe-uninitialized)
endif()
if(YUNQI_SANITIZE)
  add_compile_options(-fsanitize=${YUNQI_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${YUNQI_SANITIZE})
endif()
