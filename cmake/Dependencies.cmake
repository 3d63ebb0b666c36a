# The libraries that Hadal stands on (docs/dependencies.md), each with the Debian package that brings it. Everything
# that is missing is named at once, with the line that installs it; nothing is ever fetched.

set(HADAL_MISSING_PACKAGES "")

# hadal_find(PACKAGE NAME ...): find_package(NAME ...), which the Debian package PACKAGE provides.
macro(hadal_find debian_package name)
  find_package(${name} QUIET ${ARGN})
  if(NOT ${name}_FOUND)
    list(APPEND HADAL_MISSING_PACKAGES ${debian_package})
  endif()
endmacro()

# hadal_find_pc(PACKAGE NAME MODULE): PkgConfig::NAME for the pkg-config module MODULE.
macro(hadal_find_pc debian_package name module)
  if(PkgConfig_FOUND)
    pkg_check_modules(${name} QUIET IMPORTED_TARGET ${module})
  endif()
  if(NOT TARGET PkgConfig::${name})
    list(APPEND HADAL_MISSING_PACKAGES ${debian_package})
  endif()
endmacro()

find_package(Threads REQUIRED)
hadal_find(pkg-config PkgConfig)
hadal_find(libssl-dev OpenSSL COMPONENTS Crypto SSL)
hadal_find(libboost1.81-dev Boost 1.81)
hadal_find(libfmt-dev fmt)
hadal_find(libsimdjson-dev simdjson)
hadal_find(libcli11-dev CLI11)
hadal_find_pc(libpcre2-dev pcre2 libpcre2-8)
hadal_find_pc(libutf8proc-dev utf8proc libutf8proc)
hadal_find_pc(libxxhash-dev xxhash libxxhash)
hadal_find_pc(libedit-dev edit libedit)
hadal_find_pc(prometheus-cpp-dev prometheus prometheus-cpp-core)
hadal_find(libcurl4-openssl-dev CURL 7.85)
if(CURL_FOUND)
  add_library(CURL::headers INTERFACE IMPORTED)
  target_include_directories(CURL::headers INTERFACE ${CURL_INCLUDE_DIRS})
endif()
if(HADAL_TESTS)
  hadal_find(libgtest-dev GTest)
  hadal_find(librapidcheck-dev rapidcheck)
endif()
if(HADAL_BENCH)
  hadal_find(libbenchmark-dev benchmark)
endif()

if(HADAL_MISSING_PACKAGES)
  list(REMOVE_DUPLICATES HADAL_MISSING_PACKAGES)
  list(JOIN HADAL_MISSING_PACKAGES " " packages)
  message(FATAL_ERROR
    "These Debian packages are needed and not here: ${packages}\n"
    "  install them:  apt-get install -y --no-install-recommends ${packages}\n"
    "  or let `make build` (for tests: `make test`) do it; without tests: -DHADAL_TESTS=OFF -DHADAL_BENCH=OFF")
endif()
