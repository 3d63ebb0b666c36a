// How much memory the host has for us.
#pragma once

#include <cstdint>

namespace hadal {

struct HostMemory {
  uint64_t total_bytes = 0;      // of the machine, or of the control group when that is less
  uint64_t available_bytes = 0;  // free, or held by caches that would give way
  // What this process is allowed to have; 0: no limit.
  uint64_t data_limit_bytes = 0;     // of its own: RLIMIT_DATA, `ulimit -d`
  uint64_t address_limit_bytes = 0;  // with all that is mapped: RLIMIT_AS, `ulimit -v`
};

// From /proc/meminfo, the control group's memory.max and the process's limits; zeros when they can not be read.
HostMemory host_memory();

// Resident memory of this process, now and at its largest so far.
uint64_t resident_bytes();
uint64_t resident_anonymous_bytes();  // the part that no file backs: heap, stacks, buffers
uint64_t peak_resident_bytes();
// Lets the peak start again from what is resident. False when the system does not allow it: the peak stays.
bool reset_peak_resident_bytes();

// Gives memory that was freed but kept by the allocator back to the system.
void release_freed_memory();

}  // namespace hadal
