#include "ops/kv_rows/kv_rows.h"

#include <algorithm>
#include <bit>

#include "ops/cuda_ops.h"
#include "ops/kv_rows/kv_rows_kernels.h"

namespace hadal::ops {

std::string_view kv_format_name(KvFormat format) {
  switch (format) {
    case KvFormat::kF32:
      return "f32";
    case KvFormat::kBf16:
      return "bf16";
    case KvFormat::kFp8:
      return "fp8";
    case KvFormat::kFp4:
      return "fp4";
    case KvFormat::kFp8By128:
      return "fp8_by_128";
  }
  return "unknown";
}

namespace {

// Rows of a task: a row of 512 takes about 0.2 microseconds, a claim of a task about 0.1.
constexpr int64_t kRowsPerTask = 16;

void round_rows_with(CpuDevice& cpu, const RoundRows& op, const KvRowKernels& kernels) {
  cpu.pool().for_slices(op.T, kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) kernels.round(op.rounding, op.x + t * op.x_stride, op.D, op.rope_dim);
  });
}

#if defined(__x86_64__)
void round_rows_avx2(CpuDevice& cpu, const RoundRows& op) {
  round_rows_with(cpu, op, kKvRowKernelsAvx2);
}
void round_rows_avx512(CpuDevice& cpu, const RoundRows& op) {
  round_rows_with(cpu, op, kKvRowKernelsAvx512);
}
#endif

constexpr KvRowKernels kKvRowKernelsPortable = {
    .level = CpuLevel::kPortable,
    .round = round_row_reference,
    .encode = encode_row,
    .decode = decode_row_reference,
};

const KvRowKernels& kernels_for(CpuLevel level) {
#if defined(__x86_64__)
  if (level >= CpuLevel::kAvx512) return kKvRowKernelsAvx512;
  if (level >= CpuLevel::kAvx2) return kKvRowKernelsAvx2;
#endif
  static_cast<void>(level);
  return kKvRowKernelsPortable;
}

}  // namespace

std::span<const Version<RoundRows>> round_rows_versions() {
  static constexpr Version<RoundRows> kVersions[] = {
      {CpuLevel::kPortable, round_rows_reference},
      HADAL_X86_VERSIONS({CpuLevel::kAvx2, round_rows_avx2}, {CpuLevel::kAvx512, round_rows_avx512})};
  return kVersions;
}

void round_rows(Device& device, const RoundRows& op) {
  if (op.rounding == KvRounding::kNone) return;
  HADAL_CHECK(!has_hadamard(op.rounding) || (std::has_single_bit(static_cast<uint64_t>(op.D)) && op.D % 32 == 0),
              "round_rows: D", op.D);
  if (run_on_cuda(device, &CudaOps::round_rows, op,
                  op.rounding == KvRounding::kE4m3 || op.rounding == KvRounding::kHadamardE2m1 ||
                      op.rounding == KvRounding::kHadamard,
                  "round_rows: roundings of V3.2 and V4.1"))
    return;
  CpuDevice& cpu = as_cpu(device);
  choose_version(round_rows_versions(), cpu.level()).run(cpu, op);
}

void encode_rows(Device& device, const EncodeRows& op) {
  encode_rows(device, std::span(&op, 1));
}

void encode_rows(Device& device, std::span<const EncodeRows> ops) {
  const bool is_supported =
      std::none_of(ops.begin(), ops.end(), [](const EncodeRows& op) { return op.to.format == KvFormat::kFp8By128; });
  if (run_all_on_cuda(device, &CudaOps::encode_rows, ops, is_supported, "encode_rows: V3.2's layout")) return;
  CpuDevice& cpu = as_cpu(device);
  const EncodeRow encode = encode_row_for(cpu.level());
  for (const EncodeRows& op : ops) {
    cpu.pool().for_slices(op.T, kRowsPerTask, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        if (op.slots[t] < 0) continue;
        // PagedRows is a reader's view; the caller owns the pages and asks for this row to be written.
        encode(op.to.format, op.x + t * op.x_stride, op.D, op.rope_dim, const_cast<std::byte*>(op.to.row(op.slots[t])));
      }
    });
  }
}

void decode_rows(Device& device, const DecodeRows& op) {
  if (run_on_cuda(device, &CudaOps::decode_rows, op, op.from.format != KvFormat::kFp8By128,
                  "decode_rows: V3.2's layout"))
    return;
  const DecodeRow decode = decode_row_for(as_cpu(device).level());
  for (int64_t t = 0; t < op.T; ++t) {
    decode(op.from.format, op.from.row(op.slots[t]), op.D, op.rope_dim, op.x + t * op.x_stride);
  }
}

EncodeRow encode_row_for(CpuLevel level) {
  return kernels_for(level).encode;
}
DecodeRow decode_row_for(CpuLevel level) {
  return kernels_for(level).decode;
}

}  // namespace hadal::ops
