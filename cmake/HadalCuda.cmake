# libhadal_cuda.so: every .cu of src/, the CUDA versions of the ops and the device below them. The program loads it at
# run time (device/cuda/cuda_device.h), so it links nothing of CUDA but the static runtime inside it.
#
# cuda_test and cuda_bench: the *_cuda_test.cpp and *_cuda_bench.cpp of src/. They need a GPU to run, none to be built.

# Machine code for each GPU that we know (A100 and RTX 30, RTX 40, H100 and H200, RTX 50), PTX for the others.
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80 89-real 90a-real 120-real)
endif()
if(NOT CMAKE_CUDA_COMPILER)
  find_program(CMAKE_CUDA_COMPILER nvcc HINTS $ENV{CUDA_PATH}/bin $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
endif()
if(HADAL_CCACHE AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()
enable_language(CUDA)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 13.0)
  message(FATAL_ERROR "Hadal's CUDA part needs the CUDA toolkit 13.0 or newer; ${CMAKE_CUDA_COMPILER} is "
    "${CMAKE_CUDA_COMPILER_VERSION}.")
endif()

# CMake 3.25 does not know that nvcc speaks C++20.
set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_EXTENSIONS OFF)

file(GLOB_RECURSE cuda_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*.cu)
# The op structs ask for dtype_bits(); nothing else of Hadal is linked.
add_library(hadal_cuda SHARED ${cuda_sources} src/base/dtype.cpp)
target_include_directories(hadal_cuda PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(hadal_cuda PRIVATE HADAL_BUILD="${PROJECT_VERSION}")
# --fmad=false: a*b+c is fused only where a kernel says so by name, as on the CPU.
# FMT_USE_CONSTEXPR: op headers include fmt, whose version 9 does not compile by its own guess for nvcc.
target_compile_options(hadal_cuda PRIVATE
  $<$<COMPILE_LANGUAGE:CUDA>:--fmad=false --expt-relaxed-constexpr -DFMT_USE_CONSTEXPR=1
    -Xcompiler=-Wall,-Wextra,-Wshadow $<$<BOOL:${HADAL_WERROR}>:-Werror=all-warnings>>)
set_target_properties(hadal_cuda PROPERTIES
  CUDA_RUNTIME_LIBRARY Static CXX_VISIBILITY_PRESET hidden CUDA_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
  LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
target_link_options(hadal_cuda PRIVATE -static-libstdc++ -static-libgcc LINKER:--no-undefined)
install(TARGETS hadal_cuda LIBRARY DESTINATION lib/hadal)

function(hadal_cuda_sources out suffix)
  file(GLOB_RECURSE found CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*_cuda_${suffix}.cpp)
  set(${out} ${found} PARENT_SCOPE)
endfunction()
if(HADAL_TESTS)
  hadal_cuda_sources(cuda_tests test)
  hadal_add_test(cuda_test cuda SOURCES ${cuda_tests} LIBRARIES hadal_ops)
  add_dependencies(cuda_test hadal_cuda)
endif()
if(HADAL_BENCH)
  hadal_cuda_sources(cuda_benches bench)
  add_executable(cuda_bench ${cuda_benches})
  hadal_use_fixtures(cuda_bench)
  target_link_libraries(cuda_bench PRIVATE hadal_ops hadal_testing benchmark::benchmark_main)
  add_dependencies(cuda_bench hadal_cuda)
endif()
