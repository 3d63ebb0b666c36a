// Ctrl-C while an answer is generated: it stops the answer, not the program. Commands that write files also stop at
// SIGTERM and SIGHUP, so that a service manager or a closed terminal leaves nothing half-written behind.
//
// The first press asks the loop that generates to stop. A second one within a second means "the program, at once": it
// ends with status 130 from within the signal handler, styles reset, whatever the loop is doing. A second one later
// than that counts as a first one again, so that an impatient press half a minute into a long prompt does no harm.
#pragma once

#include <cstdint>
#include <optional>

namespace hadal {

// Pure: whether a press ends the program, given when the answer was first asked to stop, if it was.
bool press_ends_program(std::optional<int64_t> asked_ns, int64_t now_ns);

enum class StopSignals {
  kCtrlC,       // SIGINT
  kAllThatEnd,  // SIGTERM and SIGHUP as well, as presses of Ctrl-C
};

// Handles its signals for as long as it lives and restores what was there before. At most one lives at a time. The line
// editor reads Ctrl-C as a key, so one object may span a whole chat.
class Interrupts {
 public:
  explicit Interrupts(StopSignals signals = StopSignals::kCtrlC);
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // A new answer begins: earlier presses are forgotten.
  void reset();

  // Whether the answer is to stop. Cheap enough for every token; any thread may ask.
  bool is_stop_requested() const;

 private:
  StopSignals signals_;
};

}  // namespace hadal
