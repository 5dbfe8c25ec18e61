# Asio is compiled once, in asio.cc. Its callers wait for sockets: size and build time matter there,
# speed does not.
target_compile_definitions(yunqi_http PUBLIC BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)
set_source_files_properties(${dir}/asio.cc ${dir}/connection.cc ${dir}/server.cc PROPERTIES
                            COMPILE_OPTIONS "-O1")
if(YUNQI_SANITIZE MATCHES thread)
  # ThreadSanitizer knows no fences; Asio's are a second belt beside its locks.
  target_compile_definitions(yunqi_http PUBLIC BOOST_ASIO_DISABLE_FENCED_BLOCK)
endif()
