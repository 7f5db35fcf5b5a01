# sdg_add_test(NAME SOURCES files... [LABELS labels...]): one program per folder of tests, each GoogleTest case a ctest case.
include(GoogleTest)
function(sdg_add_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;LABELS" ${ARGN})
  set(program sdg_test_${name})
  add_executable(${program} ${arg_SOURCES})
  target_link_libraries(${program} PRIVATE sdg_lib sdg_flags sdg_test_support GTest::gmock GTest::gtest_main)
  target_precompile_headers(${program} REUSE_FROM sdg_lib)
  # Two multi-threaded programs at once are many times slower than one after the other: tests in parallel get one thread each.
  gtest_discover_tests(${program} TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST
    PROPERTIES LABELS "${arg_LABELS}" ENVIRONMENT "OMP_NUM_THREADS=1;SDG_SOURCE_DIR=${CMAKE_SOURCE_DIR};SDG_PROGRAM=$<TARGET_FILE:sdg>")
endfunction()
