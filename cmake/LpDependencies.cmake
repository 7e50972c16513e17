# Everything that is linked in and not ours.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(OpenSSL 3.0 REQUIRED)
find_package(SQLite3 3.40 REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(MNL REQUIRED IMPORTED_TARGET libmnl)
find_package(prometheus-cpp CONFIG REQUIRED)

# Asio: no deprecated interfaces, headers only.
add_library(lp_asio INTERFACE)
target_link_libraries(lp_asio INTERFACE Boost::headers Threads::Threads)
target_compile_definitions(lp_asio INTERFACE BOOST_ASIO_NO_DEPRECATED)

include(LpBlake3)
include(LpBlst)
