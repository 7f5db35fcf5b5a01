# sdg_unity(TARGET SOURCES...): compiles sources of a folder together, up to 16 in one translation unit, which takes a quarter of the time.
# Which go together is worked out when CMake runs (tools/unity_groups.py): if two files of a group come to define the same name in their
# unnamed namespaces, the compiler says so, and running CMake again parts them.
option(SDG_UNITY "Compile the sources of a folder together: all of it four times as fast, one changed file two to four times as slow" ON)
find_package(Python3 COMPONENTS Interpreter QUIET)

function(sdg_unity target)
  if(NOT SDG_UNITY OR NOT Python3_Interpreter_FOUND OR NOT ARGN)
    return()
  endif()
  set(sources)
  foreach(source IN LISTS ARGN)
    get_filename_component(source ${source} ABSOLUTE)
    get_source_file_property(own ${source} TARGET_DIRECTORY ${target} COMPILE_DEFINITIONS)
    if(NOT own) # a definition for one source alone
      list(APPEND sources ${source})
    endif()
  endforeach()
  execute_process(COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/unity_groups.py ${sources} OUTPUT_VARIABLE lines
    OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  string(REPLACE "\n" "|" lines "${lines}")
  string(REPLACE ";" "=" lines "${lines}")
  string(REPLACE "|" ";" lines "${lines}")
  foreach(line IN LISTS lines)
    if(line MATCHES "^(.*)=(.*)$")
      set_source_files_properties(${CMAKE_MATCH_1} TARGET_DIRECTORY ${target} PROPERTIES UNITY_GROUP ${CMAKE_MATCH_2})
    endif()
  endforeach()
endfunction()
