# Toolchain file of the presets that need clang (libFuzzer): the newest clang++ that is installed and known to work.
# clang 14, Debian 12's default, cannot compile <ranges> of libstdc++ 12.
foreach(version 19 18 17 16)
  find_program(HADAL_CLANG_${version} clang++-${version})
  if(HADAL_CLANG_${version})
    set(CMAKE_CXX_COMPILER ${HADAL_CLANG_${version}})
    return()
  endif()
endforeach()
message(FATAL_ERROR
  "No clang++ 16 to 19 is installed; the fuzz targets need one.\n"
  "  install it:  apt-get install -y --no-install-recommends clang-19 libclang-rt-19-dev\n"
  "  or let `make fuzz` do it")
