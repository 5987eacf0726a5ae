# mistral_room(NAME [LINKS target…]) makes the library mistral_NAME of all sources below the
# current folder. LINKS names the rooms and libraries that it may use: CMake targets mirror the
# folders, so a call against the direction of the layers does not link.
function(mistral_room name)
  cmake_parse_arguments(ROOM "" "" "LINKS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  if(sources)
    add_library(mistral_${name} STATIC ${sources})
    target_link_libraries(mistral_${name} PUBLIC ${ROOM_LINKS} PRIVATE mistral_compile_options)
    target_include_directories(mistral_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  else()
    add_library(mistral_${name} INTERFACE)
    target_link_libraries(mistral_${name} INTERFACE ${ROOM_LINKS})
    target_include_directories(mistral_${name} INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  endif()
  add_library(mistral::${name} ALIAS mistral_${name})
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
  target_link_libraries(${name}_test PRIVATE ${TEST_LINKS} mistral_compile_options GTest::gtest GTest::gmock GTest::gtest_main)
  target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name}_test)
  set_tests_properties(${name} PROPERTIES LABELS "${TEST_LABEL}" TIMEOUT ${TEST_TIMEOUT}
    ENVIRONMENT "MISTRAL_TEST_DATA=${PROJECT_SOURCE_DIR}/tests;MISTRAL_BIN_DIR=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};HF_HUB_OFFLINE=1")
endfunction()
