#include "ops/kv_rows/kv_rows.h"

#include <bit>

namespace hadal::ops {

std::string_view kv_format_name(KvFormat format) {
  switch (format) {
    case KvFormat::kF32: return "f32";
    case KvFormat::kBf16: return "bf16";
    case KvFormat::kFp8: return "fp8";
    case KvFormat::kFp4: return "fp4";
  }
  return "unknown";
}

std::span<const Version<RoundRows>> round_rows_versions() {
  static constexpr Version<RoundRows> kVersions[] = {
      {CpuLevel::kPortable, round_rows_reference},
  };
  return kVersions;
}

void round_rows(Device& device, const RoundRows& op) {
  if (op.rounding == KvRounding::kNone) return;
  const bool is_hadamard = op.rounding != KvRounding::kE4m3;
  HADAL_CHECK(!is_hadamard || (std::has_single_bit(static_cast<uint64_t>(op.D)) && op.D % 32 == 0), "round_rows: D", op.D);
  CpuDevice& cpu = as_cpu(device);
  choose_version(round_rows_versions(), cpu.level()).run(cpu, op);
}

DecodeRow decode_row_for(CpuLevel) { return decode_row_reference; }

}  // namespace hadal::ops
