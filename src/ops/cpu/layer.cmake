# Kernel tables: each ISA's file alone is compiled with that ISA's flags; dispatch.cc picks one at
# run time. The other sources stay at the baseline, so that no shared code can need more.
set(kernel_options -O3 -fno-lto -Wno-uninitialized)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Without -fno-tree-reassoc g++ reorders the integer sums and spills their terms.
  list(APPEND kernel_options -fno-tree-reassoc -Wno-maybe-uninitialized)
endif()
set(kernel_options_avx2 ${kernel_options} -mavx2 -mfma -mf16c)
set(kernel_options_avxvnni ${kernel_options_avx2} -mavxvnni)
set(kernel_options_avx512 ${kernel_options_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl
    -mavx512vnni)
set_source_files_properties(${dir}/kernels_generic.cc PROPERTIES
  COMPILE_OPTIONS "${kernel_options}")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set_source_files_properties(${dir}/kernels_avx2.cc PROPERTIES
    COMPILE_OPTIONS "${kernel_options_avx2}")
  set_source_files_properties(${dir}/kernels_avxvnni.cc PROPERTIES
    COMPILE_OPTIONS "${kernel_options_avxvnni}")
  set_source_files_properties(${dir}/kernels_avx512.cc PROPERTIES
    COMPILE_OPTIONS "${kernel_options_avx512}")
  # These tables again, their instructions simulated, for machines without them.
  set_source_files_properties(${dir}/kernels_avx512_simulated_test.cc
    ${dir}/kernels_avxvnni_simulated_test.cc PROPERTIES
    COMPILE_OPTIONS "${kernel_options_avx2};-O1")
  target_compile_definitions(yunqi_ops_cpu PRIVATE YUNQI_KERNELS_AVX2 YUNQI_KERNELS_AVXVNNI
    YUNQI_KERNELS_AVX512)
else()
  set_source_files_properties(${dir}/kernels_avx2.cc ${dir}/kernels_avxvnni.cc
    ${dir}/kernels_avx512.cc ${dir}/kernels_avx512_simulated_test.cc
    ${dir}/kernels_avxvnni_simulated_test.cc PROPERTIES HEADER_FILE_ONLY ON)
endif()
