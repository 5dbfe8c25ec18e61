# Kernel tables: each ISA's file alone is compiled with that ISA's flags; dispatch.cc picks one at
# run time. The other sources stay at the baseline, so that no shared code can need more.
set(kernel_options -O3 -fno-lto -fno-tree-reassoc -Wno-uninitialized -Wno-maybe-uninitialized)
set_source_files_properties(${dir}/kernels_generic.cc PROPERTIES COMPILE_OPTIONS "${kernel_options}")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set_source_files_properties(${dir}/kernels_avx2.cc PROPERTIES COMPILE_OPTIONS
    "${kernel_options};-mavx2;-mfma;-mf16c")
  target_compile_definitions(yunqi_ops_cpu PRIVATE YUNQI_KERNELS_AVX2)
else()
  set_source_files_properties(${dir}/kernels_avx2.cc PROPERTIES HEADER_FILE_ONLY ON)
endif()
