// The versions of an op for one device, and which of them runs.
//
// A table lists all of them, so that a test can run each one that this machine supports, whichever would be chosen.
#pragma once

#include <span>
#include <string_view>

#include "base/check.h"
#include "device/device.h"

namespace hadal::ops {

template <class Op>
struct Version {
  CpuLevel level;  // runs on this level and above
  void (*run)(CpuDevice& cpu, const Op& op);
};

// The version for the highest level that the device has; tables are sorted by level and begin with kPortable.
template <class Op>
const Version<Op>& choose_version(std::span<const Version<Op>> versions, CpuLevel level) {
  HADAL_CHECK(!versions.empty() && versions.front().level == CpuLevel::kPortable, "op without a portable version");
  const Version<Op>* chosen = &versions.front();
  for (const Version<Op>& version : versions) {
    if (version.level <= level) chosen = &version;
  }
  return *chosen;
}

}  // namespace hadal::ops

// Tables name a version only where it can be compiled.
#if defined(__x86_64__)
#define HADAL_X86_VERSIONS(...) __VA_ARGS__
#else
#define HADAL_X86_VERSIONS(...)
#endif
