# Warnings, sanitizers, linker and compiler cache, in one interface target: sdg_flags.
add_library(sdg_flags INTERFACE)
target_compile_options(sdg_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wno-unused-parameter)
if(SDG_WERROR)
  target_compile_options(sdg_flags INTERFACE -Werror)
endif()
if(SDG_NATIVE)
  target_compile_options(sdg_flags INTERFACE -march=native)
endif()

find_program(SDG_MOLD mold)
if(SDG_MOLD)
  target_link_options(sdg_flags INTERFACE -fuse-ld=mold)
endif()

find_program(SDG_CCACHE ccache)
if(SDG_CCACHE)
  # A precompiled header is cached only if it carries no time stamp and ccache is told to look past its macros.
  # Paths below the source folder are hashed as relative ones, so that every clone of one machine shares the cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${SDG_CCACHE})
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  set(CMAKE_PCH_INSTANTIATE_TEMPLATES ON)
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
endif()

if(SDG_SANITIZE)
  list(JOIN SDG_SANITIZE "," sanitizers)
  add_compile_options(-fsanitize=${sanitizers} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${sanitizers})
endif()
