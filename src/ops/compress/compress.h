// The KV compressor: groups of m tokens become one entry, a softmax-weighted mean per channel, normed and rotated.
//
//   score[t] = z[t] + ape[t mod m];  a = softmax over the rows of a group, per channel;  C = sum a k
//   entry j = rope(rms_norm(C, gain), position j m)
//
//   without overlap: rows are the m tokens of group j, d channels wide.
//   with overlap (coff 2): the m tokens of group j - 1 with the first half of the channels, if there is such a group,
//   then the m tokens of group j with the second half.
//
// The entry carries the position of its group's first token. Source: Compressor of the release's inference/model.py
// (the paper's eq. 11 names the two series the other way round).
#pragma once

#include <span>

#include "device/device.h"
#include "ops/versions.h"

namespace hadal::ops {

struct Compress {
  const float* k = nullptr;        // [rows, coff d] wkv x of consecutive tokens
  const float* z = nullptr;        // [rows, coff d] wgate x, without ape
  const float* ape = nullptr;      // [m, coff d]; null: none
  const float* gain = nullptr;     // [d]
  const float* cos_sin = nullptr;  // [n_groups, rope_dim] at positions (first_group + g) m
  float* out = nullptr;            // [n_groups, d]
  int64_t m = 0;
  int64_t d = 0;  // a multiple of 16
  int64_t coff = 1;
  int64_t rope_dim = 0;
  int64_t n_groups = 0;
  // Row 0 is the first token of the first group, or with overlap and has_previous the first token of the group before.
  bool has_previous = false;
  float eps = 0;
};

// Order: max, sum of exponentials and weighted sum over rows ascending, per channel; the norm as rms_norm.
// Accuracy: entries within 8e-6 of the gain's size of the reference for scores of up to 20. NaN stays in the groups
// that read it. Cost: two passes over z and one over k, an exponential per row and channel; small beside the
// projections.
void compress(Device& device, const Compress& op);
// Of several sequences (ops/batch.h): m, d, coff and rope_dim are the same in all.
void compress(Device& device, std::span<const Compress> ops);

void compress_reference(CpuDevice& cpu, const Compress& op);
void compress_avx2(CpuDevice& cpu, const Compress& op);
void compress_avx512(CpuDevice& cpu, const Compress& op);
std::span<const Version<Compress>> compress_versions();

}  // namespace hadal::ops
