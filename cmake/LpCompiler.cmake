# Warnings, sanitizers, hardening and the compiler cache.

find_program(LP_CCACHE ccache)
if(LP_CCACHE)
  # The sloppiness is what ccache asks for before it caches compilations with a precompiled header.
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${LP_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_C_COMPILER_LAUNCHER})
endif()

# For every target, linked-in sources too. All code is compiled alike for position-independent
# executables (there is no shared library): a precompiled header serves only code compiled as it was.
add_compile_options(-fPIE)
add_link_options(-pie)

if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # A precompiled header must not depend on when its sources were touched, or ccache never hits.
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")
else()
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
endif()

if(LP_SANITIZE)
  add_compile_options(-fsanitize=${LP_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${LP_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  # The programs parse bytes from strangers.
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong)
  add_link_options(-Wl,-z,relro,-z,now)
endif()

# For our own code: linked by each of our targets.
add_library(lp_compile_options INTERFACE)
target_include_directories(lp_compile_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(lp_compile_options INTERFACE
  $<$<COMPILE_LANGUAGE:C,CXX>:-Wall -Wextra -Wpedantic -Wconversion>
  $<$<AND:$<BOOL:${LP_WERROR}>,$<COMPILE_LANGUAGE:C,CXX>>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False in GCC 12 wherever a string is assigned a short literal (GCC bug 105651).
  target_compile_options(lp_compile_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()

# A linker that starts fast, where there is one.
find_program(LP_MOLD mold)
if(LP_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
