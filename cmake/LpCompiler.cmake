# Warnings, sanitizers and the compiler cache, as an interface target that our own code links.

find_program(LP_CCACHE ccache)
if(LP_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${LP_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_C_COMPILER_LAUNCHER})
endif()

add_library(lp_compile_options INTERFACE)
target_include_directories(lp_compile_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(lp_compile_options INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion $<$<BOOL:${LP_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # A precompiled header must not depend on when its sources were touched, or ccache never hits.
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Xclang$<SEMICOLON>-fno-pch-timestamp>)
else()
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
endif()

if(LP_SANITIZE)
  add_compile_options(-fsanitize=${LP_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g1)
  add_link_options(-fsanitize=${LP_SANITIZE})
endif()

# A linker that starts fast, where there is one.
find_program(LP_MOLD mold)
if(LP_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 12.1)
  add_link_options(-fuse-ld=mold)
endif()
