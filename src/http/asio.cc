// Boost.Asio's own code, compiled once: the other sources see declarations only and build quickly.
// layer.cmake sets BOOST_ASIO_SEPARATE_COMPILATION for all of them.
#include <boost/asio/impl/src.hpp>
