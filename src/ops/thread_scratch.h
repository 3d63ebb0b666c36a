// Memory that a kernel needs for the length of one task: a widened panel, some scaled tokens,
// some rows taken out of their blocks.
//
// It belongs to the thread, grows to the largest request and is then reused, so a step allocates nothing after the
// first. Compiled without any instruction set's flags, so that kernels of all sets may share it.
#pragma once

#include <cstddef>

namespace hadal::ops {

enum class ScratchUse { kPanel, kTokens, kDecoded };

// At least `bytes` bytes, aligned to a cache line (64), valid until the thread asks for the same use again.
std::byte* thread_scratch(ScratchUse use, size_t bytes);

}  // namespace hadal::ops
