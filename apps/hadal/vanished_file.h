// Weights are used where their file is mapped. When the file becomes shorter, or its disk fails, the next look at a
// page that is gone is a signal and no error that a function could return.
#pragma once

namespace hadal::cli {

// From here on the program says which file it was and ends with exit code 1; any other SIGBUS ends it as before. To be
// called once, before threads start.
void report_vanished_files();

}  // namespace hadal::cli
