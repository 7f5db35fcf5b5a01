# Kernels of ours for CUDA devices, part of sdg_lib: only against a CUDA LibTorch, and only where nvcc is. Without them the same
# numbers come from tensor operations. nvcc is called by itself: CMake's CUDA language would ask for a whole toolkit and a card.
option(SDG_CUDA_KERNELS "Build kernels for CUDA devices where LibTorch has CUDA and nvcc is found" ON)
if(SDG_TORCH_CUDA AND SDG_CUDA_KERNELS)
  find_program(SDG_NVCC nvcc HINTS ENV CUDA_HOME PATHS /usr/local/cuda PATH_SUFFIXES bin)
  if(SDG_NVCC)
    cmake_path(GET SDG_NVCC PARENT_PATH cuda_bin)
    set(object ${CMAKE_BINARY_DIR}/philox_kernel.o)
    add_custom_command(
      OUTPUT ${object}
      COMMAND ${SDG_NVCC} -c -O3 -std=c++17 -Xcompiler -fPIC -I${CMAKE_SOURCE_DIR}/src
        -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=[sm_90,compute_90]
        ${CMAKE_SOURCE_DIR}/src/core/philox_kernel.cu -o ${object}
      DEPENDS ${CMAKE_SOURCE_DIR}/src/core/philox_kernel.cu ${CMAKE_SOURCE_DIR}/src/core/philox_kernel.h
      VERBATIM)
    set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
    target_sources(sdg_lib PRIVATE ${object})
    set_source_files_properties(${CMAKE_SOURCE_DIR}/src/core/philox_cuda.cpp ${CMAKE_SOURCE_DIR}/src/core/device.cpp PROPERTIES COMPILE_DEFINITIONS SDG_CUDA_KERNELS)
    target_include_directories(sdg_lib SYSTEM PRIVATE ${cuda_bin}/../include)
    find_library(SDG_CUDART cudart_static HINTS ${cuda_bin}/../lib64 ${cuda_bin}/../targets/x86_64-linux/lib REQUIRED)
    target_link_libraries(sdg_lib PUBLIC $<BUILD_INTERFACE:${SDG_CUDART}> $<BUILD_INTERFACE:dl> $<BUILD_INTERFACE:rt>)
    message(STATUS "CUDA kernels: by ${SDG_NVCC}, for sm_80 and sm_90")
  else()
    message(STATUS "CUDA kernels: none, nvcc was not found; tensor operations take their place")
  endif()
endif()
