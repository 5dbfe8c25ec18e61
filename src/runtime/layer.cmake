# The tests load tiny checkpoints, and that needs a device. Their target is made after this file.
if(YUNQI_TESTS)
  cmake_language(DEFER DIRECTORY ${CMAKE_SOURCE_DIR}
                 CALL target_link_libraries yunqi_runtime_test PRIVATE yunqi_ops_cpu)
endif()
