# Nothing here is hot, and the command line library is large: compile it once for the folder, and
# without the optimisations that cost most of a build's time.
target_compile_options(yunqi_app PRIVATE $<$<CONFIG:Release>:-O1>)
target_precompile_headers(yunqi_app PRIVATE <CLI/CLI.hpp>)
