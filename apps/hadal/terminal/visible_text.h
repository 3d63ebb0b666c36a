// Text from strangers (a model, a file) on its way to a terminal.
#pragma once

#include <string>
#include <string_view>

namespace hadal {

// Control characters but line feed and tab become U+FFFD, and so do broken bytes: an escape sequence could move the
// cursor, rename the window or answer for the user.
std::string without_controls(std::string_view text);

}  // namespace hadal
