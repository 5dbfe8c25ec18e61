# The web page: built from web/ with Node.js, embedded into yunqi_service. Without Node.js, pip or
# network the program is built all the same and says at `/` how to get the page (web/build_page.py).
# Finished pages are kept in build/page of the source folder, shared by all build folders.
option(YUNQI_PAGE "Build and embed the web page" ON)
find_package(Python3 3.9 COMPONENTS Interpreter)

set(page_dir ${CMAKE_BINARY_DIR}/page)
if(YUNQI_PAGE AND Python3_FOUND AND EXISTS ${CMAKE_SOURCE_DIR}/web/build_page.py)
  file(GLOB_RECURSE page_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/web/src/*)
  file(GLOB page_top CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/web/*)
  list(FILTER page_top EXCLUDE REGEX "/(node_modules|dist)$")
  add_custom_command(
    OUTPUT ${page_dir}/page_assets.cc ${page_dir}/page.blob
    COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_SOURCE_DIR}/web/build_page.py ${CMAKE_SOURCE_DIR}/web
            ${CMAKE_SOURCE_DIR}/build/page ${page_dir}
    DEPENDS ${page_sources} ${page_top}
    COMMENT "Building the web page"
    VERBATIM)
  set_source_files_properties(${page_dir}/page_assets.cc PROPERTIES OBJECT_DEPENDS
                              ${page_dir}/page.blob)
else()
  file(CONFIGURE OUTPUT ${page_dir}/page_assets.cc @ONLY CONTENT [[
#include "service/page_routes.h"

namespace yunqi {
const PageFiles& embedded_page() {
  static constexpr PageFiles kNone{
      {}, "this program was built without it; build with -DYUNQI_PAGE=ON and Python 3.9 or later"};
  return kNone;
}
}  // namespace yunqi
]])
endif()
target_sources(yunqi_service PRIVATE ${page_dir}/page_assets.cc)
