// One encoder per block type: values of one block, their importance (or null), the block's bytes. See block_codec.h.
#pragma once

#include <cstddef>

namespace hadal {

// By the largest magnitude; importance changes nothing.
void encode_q8_0(const float* values, const float* importance, std::byte* block);
void encode_q4_0(const float* values, const float* importance, std::byte* block);
void encode_mxfp4(const float* values, const float* importance, std::byte* block);
// By least squares per group, then the groups' scales against the largest of them.
void encode_q2_k(const float* values, const float* importance, std::byte* block);
void encode_q3_k(const float* values, const float* importance, std::byte* block);
void encode_q4_k(const float* values, const float* importance, std::byte* block);
void encode_q5_k(const float* values, const float* importance, std::byte* block);
void encode_q6_k(const float* values, const float* importance, std::byte* block);
// Nearest entry of the code book under the best of some scales.
void encode_iq4_xs(const float* values, const float* importance, std::byte* block);
void encode_iq2_xxs(const float* values, const float* importance, std::byte* block);

}  // namespace hadal
