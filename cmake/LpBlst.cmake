# blst: BLS12-381. A system blst where there is one, else the sources of the npm package that
# scripts/fetch-blst names, checked against the SHA-512 recorded there. They are fetched when the first
# target that links lp_blst is built, and not before. Either way the target is lp_blst.

find_path(LP_BLST_INCLUDE_DIR blst.h)
find_library(LP_BLST_LIBRARY blst)
mark_as_advanced(LP_BLST_INCLUDE_DIR LP_BLST_LIBRARY)
if(LP_BLST_INCLUDE_DIR AND LP_BLST_LIBRARY)
  add_library(lp_blst INTERFACE)
  target_include_directories(lp_blst SYSTEM INTERFACE ${LP_BLST_INCLUDE_DIR})
  target_link_libraries(lp_blst INTERFACE ${LP_BLST_LIBRARY})
  return()
endif()

set(dir ${CMAKE_BINARY_DIR}/third_party/blst)
add_custom_command(
  OUTPUT ${dir}/src/server.c ${dir}/build/assembly.S ${dir}/bindings/blst.h
  COMMAND ${CMAKE_SOURCE_DIR}/scripts/fetch-blst ${dir}
  DEPENDS ${CMAKE_SOURCE_DIR}/scripts/fetch-blst
  COMMENT "Unpacking blst" VERBATIM)

# Two translation units, compiled as upstream's build.sh does: the library promises constant time, and
# builtins or a compiler's own vector code could break that.
add_library(lp_blst STATIC EXCLUDE_FROM_ALL
  ${dir}/src/server.c ${dir}/build/assembly.S ${dir}/bindings/blst.h)
target_include_directories(lp_blst SYSTEM PUBLIC ${dir}/bindings)
target_compile_options(lp_blst PRIVATE -O2 -fno-builtin -w)
if(LP_SANITIZE)
  target_compile_options(lp_blst PRIVATE -fno-sanitize=undefined)
endif()

# This release does not choose at run time. On x86-64 it has a form for processors with ADX and BMI2, some
# tenth faster, and a portable one that any x86-64 processor runs. A build for this machine takes what
# this machine has; a package is built with LP_PORTABLE, because an instruction that the operator's
# processor lacks would kill the gateway at the first credential.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(flags)
  if(NOT LP_PORTABLE AND EXISTS /proc/cpuinfo)
    file(STRINGS /proc/cpuinfo flags REGEX "^flags.* adx( |$)" LIMIT_COUNT 1)
  endif()
  target_compile_options(lp_blst PRIVATE -mno-avx)
  if(flags)
    target_compile_definitions(lp_blst PRIVATE __ADX__)
  else()
    target_compile_definitions(lp_blst PRIVATE __BLST_PORTABLE__)
  endif()
endif()
