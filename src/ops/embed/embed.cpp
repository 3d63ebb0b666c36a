#include "ops/embed/embed.h"

namespace hadal::ops {

std::span<const Version<Embed>> embed_versions() {
  // A row per token: nothing to gain from another version.
  static constexpr Version<Embed> kVersions[] = {
      {CpuLevel::kPortable, embed_reference},
  };
  return kVersions;
}

void embed(Device& device, const Embed& op) {
  CpuDevice& cpu = as_cpu(device);
  choose_version(embed_versions(), cpu.level()).run(cpu, op);
}

}  // namespace hadal::ops
