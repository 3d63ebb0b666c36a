# hadal_module(NAME DEPENDS ...): the folder src/NAME as one static library, its *_test.cpp as one test binary and its
# *_bench.cpp as one benchmark binary. Sources are found by name, so that adding a file needs no edit here.
#
# Files named *_avx2.cpp and *_avx512.cpp are compiled for that instruction set and nothing else is: what they hold is
# chosen at run time (ops/versions.h). They must not include headers with inline functions that other files instantiate.
#
# hadal_add_test(NAME PREFIX SOURCES... LIBRARIES...): a GoogleTest binary. ctest knows its tests as PREFIX.Suite.test
# under the label PREFIX; suites whose name ends in "Slow" have the label "slow" instead. ctest fixes RapidCheck's seed,
# so that a run can be repeated; a test binary started by hand draws a new one and prints it.

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(HADAL_AVX2_FLAGS -mavx2 -mfma -mf16c -mbmi2)
  set(HADAL_AVX512_FLAGS
    -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vbmi -mavx512vnni -mavx512bf16 -mfma -mf16c
    -mbmi2 -mprefer-vector-width=512)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # The intrinsics of g++ 12 use undefined registers on purpose and warn of themselves (GCC bug 105593).
    list(APPEND HADAL_AVX512_FLAGS -Wno-uninitialized -Wno-maybe-uninitialized)
  endif()
endif()
if(HADAL_TESTS)
  include(GoogleTest)
  # What uses threads: all that ThreadSanitizer needs to be built for. The test preset tsan names the same folders.
  set(HADAL_THREADED_TESTS base device hub ops forward engine server tests/model tests/engine tests/serve)
  add_custom_target(threaded_tests)
endif()

function(hadal_set_isa_flags)
  foreach(source ${ARGN})
    if(source MATCHES "_avx2\\.cpp$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${HADAL_AVX2_FLAGS}")
    elseif(source MATCHES "_avx512\\.cpp$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${HADAL_AVX512_FLAGS}")
    endif()
  endforeach()
endfunction()

# What test, benchmark and fuzz binaries share: the helpers in tests/, and where the fixtures lie.
function(hadal_use_fixtures target)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${target} PRIVATE HADAL_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
endfunction()

function(hadal_add_test name prefix)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  hadal_use_fixtures(${name})
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} hadal_testing rapidcheck GTest::gmock GTest::gtest_main)
  if(prefix IN_LIST HADAL_THREADED_TESTS)
    add_dependencies(threaded_tests ${name})
  endif()
  set(slow_suites "*Slow.*:*Slow/*.*")
  set(discover TEST_PREFIX ${prefix}. DISCOVERY_TIMEOUT 120)
  gtest_discover_tests(${name} ${discover} TEST_LIST ${name}_fast TEST_FILTER "-${slow_suites}"
    PROPERTIES TIMEOUT 600 LABELS ${prefix} ENVIRONMENT RC_PARAMS=seed=20261123)
  gtest_discover_tests(${name} ${discover} TEST_LIST ${name}_slow TEST_FILTER "${slow_suites}"
    PROPERTIES TIMEOUT 1800 LABELS slow ENVIRONMENT RC_PARAMS=seed=20261123)
endfunction()

function(hadal_module name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  set(folder ${PROJECT_SOURCE_DIR}/src/${name})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${folder}/*.cpp)
  set(tests ${sources})
  set(benches ${sources})
  list(FILTER sources EXCLUDE REGEX "_(test|bench)\\.cpp$")
  # Tests and benchmarks of CUDA versions are binaries of their own (cmake/HadalCuda.cmake).
  list(FILTER tests EXCLUDE REGEX "_cuda_test\\.cpp$")
  list(FILTER benches EXCLUDE REGEX "_cuda_bench\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER benches INCLUDE REGEX "_bench\\.cpp$")
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    list(FILTER sources EXCLUDE REGEX "_(avx2|avx512)\\.cpp$")
  endif()

  hadal_set_isa_flags(${sources})
  if(sources)
    add_library(hadal_${name} STATIC ${sources})
    target_link_libraries(hadal_${name} PUBLIC hadal_flags ${ARG_DEPENDS})
  else()
    add_library(hadal_${name} INTERFACE)
    target_link_libraries(hadal_${name} INTERFACE hadal_flags ${ARG_DEPENDS})
  endif()

  if(HADAL_TESTS AND tests)
    hadal_add_test(${name}_test ${name} SOURCES ${tests} LIBRARIES hadal_${name})
  endif()
  if(HADAL_BENCH AND benches)
    add_executable(${name}_bench ${benches})
    hadal_use_fixtures(${name}_bench)
    target_link_libraries(${name}_bench PRIVATE hadal_${name} hadal_testing benchmark::benchmark_main)
  endif()
endfunction()
