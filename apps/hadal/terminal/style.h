// What a stream is, and text in bold, dim or colour for it.
//
// A stream that is no terminal gets not one escape byte, so that piped output stays clean. NO_COLOR (no-color.org) and
// TERM=dumb switch all of it off as well.
#pragma once

#include <string>
#include <string_view>

namespace hadal {

struct TerminalFacts {
  bool is_terminal = false;
  bool has_styles = false;  // escape sequences for bold, dim, colour
  bool has_motion = false;  // carriage return and "erase to the end of the line": what a progress bar needs
  int columns = 80;
};

// Pure: what is to be thought of a stream in this environment. A null variable is unset.
TerminalFacts terminal_facts(bool is_terminal, int columns, const char* term, const char* no_color);

// Asks the system about an open descriptor, with TERM and NO_COLOR of the environment.
TerminalFacts inspect_terminal(int fd);

// The width of a terminal as it is, 80 when it does not say.
int terminal_columns(int fd);

enum class Tone { kPlain, kBold, kDim, kRed, kGreen, kYellow, kCyan };

class Style {
 public:
  explicit Style(const TerminalFacts& facts) : has_styles_(facts.has_styles) {}

  // For text that is streamed: the sequence that switches a tone on, and the one that ends every tone. Empty when the
  // stream has no styles.
  std::string_view begin(Tone tone) const;
  std::string_view end() const;

  // For text that is at hand: begin, text, end.
  std::string wrap(Tone tone, std::string_view text) const;

 private:
  bool has_styles_;
};

}  // namespace hadal
