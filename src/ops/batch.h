// The same op for several sequences at once.
//
// Ops that read or write what a sequence keeps take a list, one op for each sequence. Each gives the bits that it gives
// alone. A GPU launches them together; a CPU, whose threads one op keeps busy, computes one after the other.
#pragma once

#include "device/device.h"

namespace hadal::ops {

// How many ops of a list are worth preparing at a time, each with memory of its own for what it writes. 64: with the
// largest op their structs fill half of the 32 KB that a kernel's parameters may take.
inline int64_t ops_of_batch(const Device::Shape& device) {
  return device.kind == Device::Kind::kCpu ? 1 : 64;
}

}  // namespace hadal::ops
