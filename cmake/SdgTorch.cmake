# Finds LibTorch and makes the imported target sdg::torch.
# find_package(Torch) of a CUDA wheel demands a whole CUDA toolkit, though nothing here needs nvcc; this target asks only for
# headers and libraries, so a CPU wheel, a CUDA wheel without a toolkit and a plain LibTorch archive all work.
# The folder is taken from SDG_TORCH_DIR (which holds include/ and lib/), else from the environment in .venv, else from python3.
set(SDG_TORCH_DIR "" CACHE PATH "Folder of LibTorch: the one that holds include/ and lib/")

function(sdg_find_torch_dir out)
  if(SDG_TORCH_DIR)
    set(${out} ${SDG_TORCH_DIR} PARENT_SCOPE)
    return()
  endif()
  foreach(python ${CMAKE_SOURCE_DIR}/.venv/bin/python python3)
    execute_process(
      COMMAND ${python} -c "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
      OUTPUT_VARIABLE dir OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
    if(NOT failed)
      set(${out} ${dir} PARENT_SCOPE)
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "LibTorch not found. Run tools/setup.sh, or pass -DSDG_TORCH_DIR=/path/to/libtorch (the folder with include/ and lib/).")
endfunction()

sdg_find_torch_dir(torch_dir)
foreach(needed include/ATen/ATen.h include/torch/csrc/api/include/torch/torch.h lib)
  if(NOT EXISTS ${torch_dir}/${needed})
    message(FATAL_ERROR "LibTorch in ${torch_dir} lacks ${needed}; set SDG_TORCH_DIR to the folder that holds include/ and lib/.")
  endif()
endforeach()

file(STRINGS ${torch_dir}/include/torch/headeronly/version.h version_lines REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
string(REGEX MATCHALL "[0-9]+" version_numbers "${version_lines}")
list(JOIN version_numbers "." SDG_TORCH_VERSION)

add_library(sdg_torch INTERFACE)
add_library(sdg::torch ALIAS sdg_torch)
target_include_directories(sdg_torch SYSTEM INTERFACE
  $<BUILD_INTERFACE:${torch_dir}/include> $<BUILD_INTERFACE:${torch_dir}/include/torch/csrc/api/include>)
set(torch_libraries torch torch_cpu c10)
set(SDG_TORCH_CUDA OFF)
set(SDG_TORCH_CUDA_VERSION "")
if(EXISTS ${torch_dir}/lib/libtorch_cuda.so)
  list(APPEND torch_libraries torch_cuda c10_cuda)
  set(SDG_TORCH_CUDA ON)
  if(EXISTS ${torch_dir}/version.py)
    file(STRINGS ${torch_dir}/version.py version_lines REGEX "^cuda: ")
    string(REGEX MATCH "[0-9]+\\.[0-9]+" SDG_TORCH_CUDA_VERSION "${version_lines}")
  endif()
endif()
# --no-as-needed: the operator libraries register themselves when loaded, though no symbol of theirs is named here.
target_link_options(sdg_torch INTERFACE "LINKER:--no-as-needed" "LINKER:-rpath,${torch_dir}/lib")
foreach(library ${torch_libraries})
  target_link_libraries(sdg_torch INTERFACE ${torch_dir}/lib/lib${library}.so)
endforeach()
message(STATUS "LibTorch ${SDG_TORCH_VERSION} in ${torch_dir} (CUDA: ${SDG_TORCH_CUDA} ${SDG_TORCH_CUDA_VERSION})")
