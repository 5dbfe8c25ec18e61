# The built-in catalogue becomes a source file, so that the binary needs no file beside it.
set(catalogue_json ${CMAKE_CURRENT_LIST_DIR}/catalogue.json)
set(catalogue_source ${CMAKE_BINARY_DIR}/hub/catalogue_data.cc)
add_custom_command(
  OUTPUT ${catalogue_source}
  COMMAND ${CMAKE_COMMAND} -DINPUT=${catalogue_json} -DOUTPUT=${catalogue_source}
          -P ${CMAKE_CURRENT_LIST_DIR}/embed_catalogue.cmake
  DEPENDS ${catalogue_json} ${CMAKE_CURRENT_LIST_DIR}/embed_catalogue.cmake
  VERBATIM)
target_sources(yunqi_hub PRIVATE ${catalogue_source})
