# How every file of Hadal is compiled: the interface target hadal_flags, ccache and mold where they are installed.

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(oldest 12)
  set(newest_known 12)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  set(oldest 16)  # 14 cannot compile <ranges> of libstdc++ 12
  set(newest_known 19)
else()
  message(FATAL_ERROR "Hadal builds with g++ 12 or newer and clang 16 or newer, not with ${CMAKE_CXX_COMPILER_ID}.")
endif()
if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS ${oldest})
  message(FATAL_ERROR "Hadal needs ${CMAKE_CXX_COMPILER_ID} ${oldest} or newer; this is ${CMAKE_CXX_COMPILER_VERSION}.")
endif()

# Warnings are errors with the compilers that we test with. A newer one knows warnings that nobody has seen yet, and a
# newcomer's build must not fail on them.
math(EXPR first_unknown "${newest_known} + 1")
if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS ${first_unknown})
  set(werror_default ON)
else()
  set(werror_default OFF)
endif()
option(HADAL_WERROR "Warnings are errors" ${werror_default})

find_program(HADAL_CCACHE ccache)
if(HADAL_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Paths relative to the source folder: another clone finds what this one compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} ${HADAL_CCACHE})
endif()
find_program(HADAL_MOLD mold)
if(HADAL_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_link_options(-fuse-ld=mold)
endif()

add_library(hadal_flags INTERFACE)
target_include_directories(hadal_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)
# -ffp-contract=off: a*b+c is fused only where a kernel says so by name, so that results do not depend on the compiler.
# -fmacro-prefix-map: failed checks name src/..., not a folder of the machine that built.
target_compile_options(hadal_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor $<$<BOOL:${HADAL_WERROR}>:-Werror>
  -ffp-contract=off -fno-math-errno -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 sees overlapping copies in std::string that cannot happen (GCC bug 105651).
  target_compile_options(hadal_flags INTERFACE -Wno-restrict)
endif()
if(HADAL_SANITIZE)
  # Line numbers are all that a report needs (-g1).
  target_compile_options(hadal_flags INTERFACE
    -fsanitize=${HADAL_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  target_link_options(hadal_flags INTERFACE -fsanitize=${HADAL_SANITIZE})
endif()
if(HADAL_FUZZ)
  target_compile_options(hadal_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
