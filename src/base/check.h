// HADAL_CHECK(condition, "what", values...): our own mistakes. Prints the condition and the values, then stops.
//
// On in release builds, so it stands where it costs nothing measurable; HADAL_DCHECK is for inner loops and is empty
// in release builds. Never reachable by input: fuzzers look for that.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace hadal {

[[noreturn]] void check_failed(const char* file, int line, std::string_view condition, std::string_view message);

namespace internal {
template <class... Values>
std::string check_message(std::string_view what, const Values&... values) {
  std::string message(what);
  ((message += fmt::format(" {}", values)), ...);
  return message;
}
}  // namespace internal

#define HADAL_CHECK(condition, ...)                                                                         \
  do {                                                                                                      \
    if (!(condition)) [[unlikely]] {                                                                        \
      ::hadal::check_failed(__FILE__, __LINE__, #condition, ::hadal::internal::check_message(__VA_ARGS__)); \
    }                                                                                                       \
  } while (false)

#ifdef NDEBUG
#define HADAL_DCHECK(condition, ...) ((void)0)
#else
#define HADAL_DCHECK(condition, ...) HADAL_CHECK(condition, __VA_ARGS__)
#endif

}  // namespace hadal
