#include "model/convert/convert_types.h"

#include <algorithm>

namespace hadal {
namespace {

using enum DType;

DType type_in_mix(const TypeMix& mix, MatrixRole role) {
  switch (role) {
    case MatrixRole::kExpertIn:
      return mix.expert_in;
    case MatrixRole::kExpertOut:
      return mix.expert_out;
    case MatrixRole::kDense:
      return mix.dense;
    case MatrixRole::kEmbedding:
      return mix.embedding;
    case MatrixRole::kHead:
      return mix.head;
    case MatrixRole::kSmall:
      return mix.small;
    case MatrixRole::kLatent:
      // 5 % of the attention's bytes, between everything that is cached and everything that is read.
      return is_block_type(mix.dense) ? kQ8_0 : mix.dense;
    case MatrixRole::kExact:
      break;
  }
  return kF32;
}

}  // namespace

const std::vector<TypeMix>& type_mixes() {
  // clang-format off
  static const std::vector<TypeMix> kMixes = {
      //name      what                                                     file_type  dense   experts in, out    embedding  head   small
      {"f32",     "all in F32: exact, the largest",                            0,     kF32,   kF32,    kF32,     kF32,      kF32,  kF32},
      {"f16",     "all in F16",                                                1,     kF16,   kF16,    kF16,     kF16,      kF16,  kF16},
      {"bf16",    "all in BF16",                                              32,     kBF16,  kBF16,   kBF16,    kBF16,     kBF16, kBF16},
      {"q8_0",    "8 bits everywhere",                                         7,     kQ8_0,  kQ8_0,   kQ8_0,    kQ8_0,     kQ8_0, kQ8_0},
      {"q6_k",    "6 bits everywhere",                                        18,     kQ6K,   kQ6K,    kQ6K,     kQ6K,      kQ6K,  kQ8_0},
      {"q5_k_m",  "5 bits, 6 for outputs of experts and the head",            17,     kQ5K,   kQ5K,    kQ6K,     kQ5K,      kQ6K,  kQ8_0},
      {"q4_k_m",  "4 bits, 6 for outputs of experts and the head",            15,     kQ4K,   kQ4K,    kQ6K,     kQ4K,      kQ6K,  kQ8_0},
      {"q4_0",    "4 bits in the plainest form, 6 for the head",               2,     kQ4_0,  kQ4_0,   kQ4_0,    kQ4_0,     kQ6K,  kQ8_0},
      {"iq4_xs",  "4 bits from a code book, 6 for the head",                  30,     kIQ4XS, kIQ4XS,  kIQ4XS,   kIQ4XS,    kQ6K,  kQ8_0},
      {"mxfp4",   "experts as FP4, exact from a release in FP4; 8 bits else", 38,     kQ8_0,  kMXFP4,  kMXFP4,   kQ8_0,     kQ8_0, kQ8_0},
      {"q3_k_m",  "3 bits, 4 for attention and outputs of experts",           12,     kQ4K,   kQ3K,    kQ4K,     kQ4K,      kQ6K,  kQ8_0},
      {"q2_k",    "2 bits for experts, 3 for their outputs, 4 for attention", 10,     kQ4K,   kQ2K,    kQ3K,     kQ4K,      kQ6K,  kQ8_0},
      {"iq2_xxs", "2 bits for experts, 8 for the rest: the mix of ds4",       19,     kQ8_0,  kIQ2XXS, kQ2K,     kF16,      kQ8_0, kF16},
  };
  // clang-format on
  return kMixes;
}

const TypeMix* find_type_mix(std::string_view name) {
  const auto found =
      std::find_if(type_mixes().begin(), type_mixes().end(), [&](const TypeMix& mix) { return mix.name == name; });
  return found == type_mixes().end() ? nullptr : &*found;
}

DType type_of(const TypeMix& mix, MatrixRole role, int64_t cols) {
  const DType type = type_in_mix(mix, role);
  if (cols % dtype_block(type).values == 0) return type;
  const bool is_fine = type == kQ6K || type == kQ5K || type == kQ8_0;
  const DType shorter = is_fine ? kQ8_0 : kQ4_0;
  return cols % dtype_block(shorter).values == 0 ? shorter : kBF16;
}

}  // namespace hadal
