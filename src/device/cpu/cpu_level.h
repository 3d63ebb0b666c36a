// Classes of processors that kernels are written for. Each level contains the ones below it.
#pragma once

#include <optional>
#include <string_view>

namespace hadal {

enum class CpuLevel {
  kPortable,  // plain C++: the references
  kAvx2,      // AVX2, FMA, F16C: x86-64-v3, from 2013 (Intel) and 2015 (AMD)
  kAvx512,    // AVX-512 F/BW/VL/DQ/VBMI/VNNI and BF16: Zen 4 and Sapphire Rapids on
};

CpuLevel detected_cpu_level();
std::string_view cpu_level_name(CpuLevel level);  // "portable", "avx2", "avx512"
std::optional<CpuLevel> parse_cpu_level(std::string_view name);

}  // namespace hadal
