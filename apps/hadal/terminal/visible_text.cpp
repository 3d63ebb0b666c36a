#include "terminal/visible_text.h"

#include "base/utf8.h"

namespace hadal {

std::string without_controls(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const utf8::Decoded next = utf8::decode(text);
    const char32_t c = next.code_point;
    const bool is_control = (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0);
    utf8::append(clean, is_control ? utf8::kReplacement : c);
    text.remove_prefix(static_cast<size_t>(next.length));
  }
  return clean;
}

}  // namespace hadal
