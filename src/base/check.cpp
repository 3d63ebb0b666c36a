#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace hadal {

void check_failed(const char* file, int line, std::string_view condition, std::string_view message) {
  std::fprintf(stderr, "hadal: internal error at %s:%d: %.*s\n  %.*s\n  Please report this with the command line.\n",
               file, line, static_cast<int>(condition.size()), condition.data(), static_cast<int>(message.size()),
               message.data());
  std::abort();
}

}  // namespace hadal
