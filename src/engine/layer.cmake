# The passes over a row of logits are worth the compiler's vectors, whatever the build type. It makes
# them only if it need not keep apart which operations could trap.
set_source_files_properties(${dir}/logit_scan.cc PROPERTIES
  COMPILE_OPTIONS "-O3;-fno-trapping-math")
# The tests run tiny checkpoints, and that needs a device. Their target is made after this file.
if(YUNQI_TESTS)
  cmake_language(DEFER DIRECTORY ${CMAKE_SOURCE_DIR}
                 CALL target_link_libraries yunqi_engine_test PRIVATE yunqi_ops_cpu)
endif()
