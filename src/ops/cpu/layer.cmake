# Kernel tables: each ISA's file alone is compiled with that ISA's flags; dispatch.cc picks one at
# run time. The other sources stay at the baseline, so that no shared code can need more.
set_source_files_properties(${dir}/kernels_generic.cc PROPERTIES COMPILE_OPTIONS "-O3")
