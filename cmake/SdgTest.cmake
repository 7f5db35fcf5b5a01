# sdg_add_test(NAME SOURCES files... [LABEL label]): one program of tests, each GoogleTest case a ctest case.
include(GoogleTest)
# Tests spend their time in the library: compiling their own code without optimisation halves the build.
set(SDG_TEST_OPTIONS $<$<CONFIG:Release>:-O0>)
# Tests that train or start the program dozens of times each, as GoogleTest filters by program. They get the label slow, so that
# tools/sanitize.sh, under which everything takes several times as long, can leave them out: ctest -LE slow.
set(SDG_SLOW_TESTS_cli "CommandLine.*:Origin.*:OthersWeights.*:Weights.*:Folder.*:Program.StopsOnSigterm*:Program.EveryCommandThatLoads*")
set(SDG_SLOW_TESTS_run "Training.EveryWayOfClustering*:Training.TheNumberOfThreads*")
set(SDG_SLOW_TESTS_cluster "Kmeans.InertiaOfRealDigits*")
set(SDG_SLOW_TESTS_generate "Generating.GuidanceInAnInterval*")
function(sdg_add_test name)
  cmake_parse_arguments(arg "" "LABEL" "SOURCES" ${ARGN})
  set(program sdg_test_${name})
  add_executable(${program} ${arg_SOURCES})
  target_link_libraries(${program} PRIVATE sdg_lib sdg_flags sdg_test_support GTest::gmock GTest::gtest_main)
  target_precompile_headers(${program} REUSE_FROM sdg_test_support)
  target_compile_options(${program} PRIVATE ${SDG_TEST_OPTIONS})
  target_compile_definitions(${program} PRIVATE SDG_SOURCE_DIR="${CMAKE_SOURCE_DIR}" SDG_PROGRAM="$<TARGET_FILE:sdg>"
    SDG_PYTHON="${CMAKE_SOURCE_DIR}/.venv/bin/python")
  add_dependencies(${program} sdg)
  # Two multi-threaded programs at once are many times slower than one after the other: tests in parallel get one thread each.
  set(discovery TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 PROPERTIES ENVIRONMENT "OMP_NUM_THREADS=1")
  set(label)
  if(arg_LABEL)
    set(label LABELS ${arg_LABEL})
  endif()
  set(slow ${SDG_SLOW_TESTS_${name}})
  if(slow)
    gtest_discover_tests(${program} TEST_FILTER "${slow}" TEST_LIST ${program}_SLOW_TESTS ${discovery} LABELS slow)
    gtest_discover_tests(${program} TEST_FILTER "-${slow}" ${discovery} ${label})
  else()
    gtest_discover_tests(${program} ${discovery} ${label})
  endif()
endfunction()

# sdg_add_room_tests(ROOM): the tests of tests/ROOM. What ends in _parity_test.cpp compares with stored outputs of public code
# and is a program of its own, labelled parity.
function(sdg_add_room_tests room)
  file(GLOB tests CONFIGURE_DEPENDS ${room}/*_test.cpp)
  set(parity ${tests})
  list(FILTER tests EXCLUDE REGEX "_parity_test.cpp$")
  list(FILTER parity INCLUDE REGEX "_parity_test.cpp$")
  if(tests)
    sdg_add_test(${room} SOURCES ${tests})
  endif()
  if(parity)
    sdg_add_test(${room}_parity LABEL parity SOURCES ${parity})
  endif()
endfunction()
