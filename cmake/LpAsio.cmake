# Boost.Asio and Beast: compiled once, and precompiled once.
#
#   target_link_libraries(my_target PRIVATE lp_asio)   to use them
#   lp_use_asio_pch(my_target)                         to use them, Boost.JSON and spdlog, with the
#                                                      shared precompiled header in front of every
#                                                      source; a target calls it once
#
# Asio and Beast are header-only unless told otherwise; their separate compilation keeps some 100,000
# lines of function bodies out of every source that names a socket.

add_library(lp_asio STATIC
  ${CMAKE_SOURCE_DIR}/cmake/asio/asio.cc
  ${CMAKE_SOURCE_DIR}/cmake/asio/asio_ssl.cc
  ${CMAKE_SOURCE_DIR}/cmake/asio/beast.cc)
target_compile_definitions(lp_asio PUBLIC
  BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION)
target_link_libraries(lp_asio PUBLIC Boost::headers Threads::Threads OpenSSL::SSL OpenSSL::Crypto)

# One precompiled header for the gateway, the probes and their tests. GCC and Clang take it only where
# the options are those it was made with; -Winvalid-pch makes a difference an error, not a slow build.
add_library(lp_asio_pch OBJECT ${CMAKE_SOURCE_DIR}/cmake/asio/pch.cc)
target_link_libraries(lp_asio_pch PUBLIC lp_compile_options lp_asio Boost::json spdlog::spdlog)
target_precompile_headers(lp_asio_pch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/asio/pch.h)

function(lp_use_asio_pch target)
  # The usage requirements without the object file, which holds nothing.
  target_link_libraries(${target} PRIVATE lp_compile_options lp_asio Boost::json spdlog::spdlog)
  target_precompile_headers(${target} REUSE_FROM lp_asio_pch)
endfunction()
