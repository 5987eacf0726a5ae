# mistral_room(NAME [PRECOMPILE] [APART file…] [LINKS target…]) makes the library mistral_NAME of all sources below the
# current folder. LINKS names the rooms and libraries that it may use: CMake targets mirror the
# folders, so a call against the direction of the layers does not link. PRECOMPILE is for rooms whose
# files include much. (GCC 12 takes the standard library in it for the project's own code and warns
# about that: not for rooms where it does.)
#
# Where the build compiles several files as one (CMAKE_UNITY_BUILD, on in all presets but debug; most
# of the time goes into headers), the files of APART, patterns below the current folder, stay apart:
# those whose unnamed namespaces use names that their neighbours use, too.
function(mistral_room name)
  cmake_parse_arguments(ROOM "PRECOMPILE" "" "APART;LINKS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  if(sources)
    add_library(mistral_${name} STATIC ${sources})
    if(ROOM_APART)
      file(GLOB apart CONFIGURE_DEPENDS ${ROOM_APART})
      set_source_files_properties(${apart} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
    target_link_libraries(mistral_${name} PUBLIC ${ROOM_LINKS} PRIVATE mistral_compile_options)
    target_include_directories(mistral_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
    if(ROOM_PRECOMPILE)
      mistral_precompile(mistral_${name} ${ROOM_LINKS})
    endif()
  else()
    add_library(mistral_${name} INTERFACE)
    target_link_libraries(mistral_${name} INTERFACE ${ROOM_LINKS})
    target_include_directories(mistral_${name} INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  endif()
  add_library(mistral::${name} ALIAS mistral_${name})
endfunction()

# mistral_precompile(TARGET LINK…) parses the headers that most files include, and those of the
# named libraries, once for all files of the target.
function(mistral_precompile target)
  set(headers <algorithm> <cmath> <cstdint> <cstring> <filesystem> <functional> <map> <memory>
    <optional> <span> <string> <string_view> <utility> <vector> <fmt/format.h>)
  if("nlohmann_json::nlohmann_json" IN_LIST ARGN)
    list(APPEND headers <nlohmann/json.hpp>)
  endif()
  if("CLI11::CLI11" IN_LIST ARGN)
    list(APPEND headers <CLI/CLI.hpp>)
  endif()
  if("GTest::gtest" IN_LIST ARGN)
    list(APPEND headers <fstream> <gmock/gmock.h> <gtest/gtest.h>)
  endif()
  target_precompile_headers(${target} PRIVATE ${headers})
  # What ccache needs to see such a header.
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
endfunction()

# mistral_test(NAME LABEL LINKS target…) makes the test program NAME_test of NAME_test.cpp (or of
# SOURCES) and registers it with CTest under LABEL.
function(mistral_test name)
  cmake_parse_arguments(TEST "" "LABEL;TIMEOUT" "LINKS;SOURCES" ${ARGN})
  if(NOT TEST_SOURCES)
    set(TEST_SOURCES ${name}_test.cpp)
  endif()
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 300)
  endif()
  add_executable(${name}_test ${TEST_SOURCES})
  target_link_libraries(${name}_test PRIVATE ${TEST_LINKS} test_headers)
  target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  set_target_properties(${name}_test PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_precompile_headers(${name}_test REUSE_FROM test_headers)
  add_test(NAME ${name} COMMAND ${name}_test)
  set_tests_properties(${name} PROPERTIES LABELS "${TEST_LABEL}" TIMEOUT ${TEST_TIMEOUT}
    ENVIRONMENT "MISTRAL_TEST_DATA=${PROJECT_SOURCE_DIR}/tests;MISTRAL_BIN_DIR=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};HF_HUB_OFFLINE=1")
endfunction()
