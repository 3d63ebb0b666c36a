// A compressor's rows of a step: those that waited for their group to be complete, then the new ones; and what the next
// step waits with.
//
//   rows = [with overlap, if there is a group before: its m rows, first d channels]
//          [position0 mod m rows that waited] [T new ones]                              as ops::compress reads them
//   previous = first d channels of the last complete group's rows                      with overlap
//   pending  = rows of the group that is not complete
//
// All of it for K and for Z, one behind the other.
#pragma once

#include <span>

#include "device/device.h"
#include "ops/versions.h"

namespace hadal::ops {

struct CompressorRows {
  const float* fresh_k = nullptr;  // [T, coff d]
  const float* fresh_z = nullptr;  // [T, coff d]
  float* previous = nullptr;       // [2, m, d] in place; null without overlap
  float* pending = nullptr;        // [2, m - 1, coff d] in place; null when m is 1
  float* rows = nullptr;           // [2, n_rows, coff d] out; left alone when no group becomes complete
  int64_t T = 0;
  int64_t position0 = 0;  // of the first new row
  int64_t m = 0;          // rows of a group
  int64_t d = 0;
  int64_t coff = 1;  // 2 with overlap

  constexpr int64_t width() const { return coff * d; }
  constexpr int64_t n_pending() const { return position0 % m; }
  constexpr bool has_previous() const { return coff == 2 && position0 >= m; }
  constexpr int64_t n_groups() const { return (n_pending() + T) / m; }  // complete ones
  constexpr int64_t n_left() const { return (n_pending() + T) % m; }
  constexpr int64_t n_before() const { return has_previous() ? m : 0; }
  constexpr int64_t n_rows() const { return n_before() + n_pending() + T; }
};

// Copies. Cost: reads and writes n_rows rows when a group becomes complete, T rows otherwise.
void compressor_rows(Device& device, const CompressorRows& op);
// Of several sequences (ops/batch.h).
void compressor_rows(Device& device, std::span<const CompressorRows> ops);

void compressor_rows_reference(CpuDevice& cpu, const CompressorRows& op);
void compressor_rows_portable(CpuDevice& cpu, const CompressorRows& op);
std::span<const Version<CompressorRows>> compressor_rows_versions();

}  // namespace hadal::ops
