#include "terminal/style.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

namespace hadal {
namespace {

constexpr int kColumnsUnknown = 80;

}  // namespace

TerminalFacts terminal_facts(bool is_terminal, int columns, const char* term, const char* no_color) {
  TerminalFacts facts;
  facts.is_terminal = is_terminal;
  facts.columns = columns > 0 ? columns : kColumnsUnknown;
  // A terminal that does not say what it is (TERM unset) is treated as one that cannot do anything.
  const bool is_capable = is_terminal && term != nullptr && *term != '\0' && std::string_view(term) != "dumb";
  const bool is_refused = no_color != nullptr && *no_color != '\0';
  facts.has_motion = is_capable;
  facts.has_styles = is_capable && !is_refused;
  return facts;
}

TerminalFacts inspect_terminal(int fd) {
  return terminal_facts(::isatty(fd) == 1, terminal_columns(fd), std::getenv("TERM"), std::getenv("NO_COLOR"));
}

int terminal_columns(int fd) {
  winsize size{};
  const bool is_known = ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return is_known ? size.ws_col : kColumnsUnknown;
}

std::string_view Style::begin(Tone tone) const {
  if (!has_styles_) return {};
  switch (tone) {
    case Tone::kPlain:
      return {};
    case Tone::kBold:
      return "\033[1m";
    case Tone::kDim:
      return "\033[2m";
    case Tone::kRed:
      return "\033[31m";
    case Tone::kGreen:
      return "\033[32m";
    case Tone::kYellow:
      return "\033[33m";
    case Tone::kCyan:
      return "\033[36m";
  }
  return {};
}

std::string_view Style::end() const {
  return has_styles_ ? "\033[0m" : std::string_view();
}

std::string Style::wrap(Tone tone, std::string_view text) const {
  if (!has_styles_ || tone == Tone::kPlain) return std::string(text);
  std::string styled(begin(tone));
  styled += text;
  styled += end();
  return styled;
}

}  // namespace hadal
