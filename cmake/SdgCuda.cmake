# Kernels of ours for CUDA devices, part of sdg_lib: only against a CUDA LibTorch, and only where nvcc is. Without them the same
# numbers come from tensor operations. nvcc is called by itself: CMake's CUDA language would ask for a whole toolkit and a card.
option(SDG_CUDA_KERNELS "Build kernels for CUDA devices where LibTorch has CUDA and nvcc is found" ON)
if(SDG_TORCH_CUDA AND SDG_CUDA_KERNELS)
  find_program(SDG_NVCC nvcc HINTS ENV CUDA_HOME PATHS /usr/local/cuda PATH_SUFFIXES bin)
  if(SDG_NVCC)
    cmake_path(GET SDG_NVCC PARENT_PATH cuda_bin) # of a script that calls another nvcc it says nothing
    set(cuda_places ${cuda_bin}/.. ENV CUDA_HOME /usr/local/cuda ${torch_dir}/../nvidia/cu13)
    find_path(SDG_CUDA_RUNTIME_HEADERS cuda_runtime_api.h HINTS ${cuda_places} PATH_SUFFIXES include targets/x86_64-linux/include REQUIRED)
    set(core_sources philox_cuda.cpp cuda_graph.cpp device.cpp) # what sees CUDA's headers
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
    list(TRANSFORM core_sources PREPEND ${CMAKE_SOURCE_DIR}/src/core/)
    set_source_files_properties(${core_sources} PROPERTIES COMPILE_DEFINITIONS SDG_CUDA_KERNELS)
    target_include_directories(sdg_lib SYSTEM PRIVATE ${SDG_CUDA_RUNTIME_HEADERS})
    # CUDA's runtime is the one that LibTorch has: a static one beside it would answer some of LibTorch's calls too.
    find_library(SDG_CUDART cudart HINTS ${cuda_places} PATH_SUFFIXES lib64 lib targets/x86_64-linux/lib REQUIRED)
    target_link_libraries(sdg_lib PUBLIC $<BUILD_INTERFACE:${SDG_CUDART}>)
    message(STATUS "CUDA kernels: by ${SDG_NVCC}, for sm_80 and sm_90")
  else()
    message(STATUS "CUDA kernels: none, nvcc was not found; tensor operations take their place")
  endif()
endif()
