# Language level, warnings and sanitizers for every target of the project.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

find_program(MISTRAL_CCACHE ccache)
if(MISTRAL_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Without this ccache does not keep what was compiled with a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${MISTRAL_CCACHE})
endif()

add_library(mistral_compile_options INTERFACE)
target_compile_options(mistral_compile_options INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wno-sign-conversion -Wshadow
  # GCC 12 sees overlaps in std::string concatenations that are not there (GCC bug 105651).
  # It also takes parts of std::string and std::optional for uninitialised once inlined.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict;-Wno-maybe-uninitialized>
  # Results must not depend on which expressions the compiler happens to fuse: kernels ask for
  # fused multiply-adds by name.
  -ffp-contract=off)
if(MISTRAL_WERROR)
  target_compile_options(mistral_compile_options INTERFACE -Werror)
endif()
if(MISTRAL_SANITIZE)
  add_compile_options(-fsanitize=${MISTRAL_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${MISTRAL_SANITIZE})
endif()
