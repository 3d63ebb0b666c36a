// Weights that nobody has to ship: the bytes of a tensor as a function of its name and of the place in it.
//
//   h      = FNV-1a-64(name)
//   word k = SplitMix64(h + k * gamma), little-endian, gamma = 0x9E3779B97F4A7C15 (SplitMix64 adds it once more)
//
// A tensor takes the words as its bytes and bends them into its format with a scale by its fan-in, so that a row times
// a vector of unit variance has about unit variance: activations stay finite and of order 1 through any depth.
//   FP4      the words are the packed codes                      rms 2.926 (E2M1, all codes alike)
//   E4M3     (b & 0x87) | 0x38: +-(1 + m/8)                      rms 1.466
//   BF16     sign and mantissa of a word's 16 bits, fixed exponent: +-2^e (1 + m/128)     rms 1.527 * 2^e
//   mHC fn   int8(b) / 128 * 0.02                                rms 0.0115
// Norms and mHC scales are 1; sinks, biases and position biases 0; the mHC base is 0 except 4 on the diagonal of its
// comb part, which keeps the streams apart. Token tables name k experts, E / k apart, beginning at a word modulo E.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/safetensors.h"
#include "model/weight_set.h"

namespace hadal {

uint64_t fnv1a_64(std::string_view text);
uint64_t procedural_word(uint64_t name_hash, uint64_t k);

// How the bytes of one stored tensor come about.
struct ProceduralTensor {
  enum class Recipe {
    kConstant,   // every byte of `unit` repeated: scales, norms, biases
    kWords,      // word & keep | set, per 8 bytes: FP4, E4M3, BF16
    kSmallF32,   // int8 / 128 * 0.02
    kMhcBase,    // 0, and 4 on the comb's diagonal
    kExpertIds,  // I64 [vocab_size, k]
  };

  TensorToWrite stored;
  Recipe recipe = Recipe::kConstant;
  std::vector<std::byte> unit;  // kConstant: one element
  uint64_t keep = 0;            // kWords
  uint64_t set = 0;             // kWords
  int64_t hc_mult = 0;          // kMhcBase
  int64_t n_experts = 0;        // kExpertIds
};

// How a release stores its matrices: which types experts and FP8 scales have.
struct PublishedFormat {
  bool has_fp4_experts = true;
  DType fp8_scale = DType::kF8E8M0;  // X.scale; kF32: X.weight_scale_inv
  int64_t fp8_tile = 128;            // rows and columns that share one
};

// The tensors that the published format stores for one of the description: codes, and their scales behind them.
std::vector<ProceduralTensor> procedural_tensors(const ExpectedTensor& tensor, const ModelDescription& description,
                                                 const PublishedFormat& format);

// Bytes [begin, begin + out.size()) of the tensor. begin is a multiple of 8; any cutting gives the same bytes.
void fill_procedural(const ProceduralTensor& tensor, uint64_t begin, std::span<std::byte> out);

}  // namespace hadal
