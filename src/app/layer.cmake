# Nothing here is hot, and the command line library is large: compile it once for the folder, and
# without the optimisations that cost most of a build's time.
target_compile_options(yunqi_app PRIVATE $<$<CONFIG:Release>:-O1>)
# But for the one loop that measures the machine.
set_source_files_properties(${dir}/read_rate.cc PROPERTIES COMPILE_OPTIONS -O3)
target_precompile_headers(yunqi_app PRIVATE <CLI/CLI.hpp>)
