// Every number of a checkpoint: reads all bytes once and looks for codes that are no number. A scan of integers, so
// that it runs at the speed of the disk.
#include <cstring>

#include "base/blocks/block_codec.h"
#include "model/inspect.h"

namespace hadal {
namespace {

// Progress and cancellation are seen every 16 MiB.
constexpr size_t kBlockBytes = size_t{16} << 20;

// How many elements have (bits & mask) == mask_value: the codes of infinity and NaN.
struct Pattern {
  DType dtype;
  uint32_t mask;
  uint32_t value;
};
constexpr Pattern kPatterns[] = {
    {DType::kF32, 0x7F800000, 0x7F800000}, {DType::kF16, 0x7C00, 0x7C00}, {DType::kBF16, 0x7F80, 0x7F80},
    {DType::kF8E4M3, 0x7F, 0x7F},          {DType::kF8E5M2, 0x7C, 0x7C},  {DType::kF8E8M0, 0xFF, 0xFF},
};

const Pattern* pattern_of(DType dtype) {
  for (const Pattern& pattern : kPatterns) {
    if (pattern.dtype == dtype) return &pattern;
  }
  return nullptr;  // integers, packed FP4: every code is a number
}

template <class Bits>
uint64_t count_matches(const std::byte* data, size_t n, const Pattern& pattern) {
  const auto mask = static_cast<Bits>(pattern.mask);
  const auto value = static_cast<Bits>(pattern.value);
  uint64_t found = 0;
  for (size_t i = 0; i < n; ++i) {
    Bits bits;
    std::memcpy(&bits, data + i * sizeof(Bits), sizeof bits);
    found += (bits & mask) == value ? 1u : 0u;
  }
  return found;
}

uint64_t count_bad(std::span<const std::byte> block, const Pattern& pattern) {
  switch (dtype_bits(pattern.dtype)) {
    case 8:
      return count_matches<uint8_t>(block.data(), block.size(), pattern);
    case 16:
      return count_matches<uint16_t>(block.data(), block.size() / 2, pattern);
    default:
      return count_matches<uint32_t>(block.data(), block.size() / 4, pattern);
  }
}

uint64_t first_bad(std::span<const std::byte> block, const Pattern& pattern) {
  const auto size = static_cast<size_t>(dtype_bits(pattern.dtype) / 8);
  for (size_t at = 0; at < block.size(); at += size) {
    if (count_bad(block.subspan(at, size), pattern) != 0) return at / size;
  }
  return block.size() / size;
}

// The first value and the number of values in blocks whose scale is no number. `begin` bytes are before the block.
BadNumbers bad_blocks(DType dtype, std::span<const std::byte> bytes) {
  const BlockSize size = dtype_block(dtype);
  const int64_t n = static_cast<int64_t>(bytes.size()) / size.bytes * size.values;
  BadNumbers bad;
  for (int64_t at = 0; at < n; at += size.values) {
    const std::optional<int64_t> next = first_bad_scale(dtype, bytes.data() + at / size.values * size.bytes, n - at);
    if (!next) break;
    at += *next;
    if (bad.n == 0) bad.first = static_cast<uint64_t>(at);
    bad.n += static_cast<uint64_t>(size.values);
  }
  return bad;
}

// A piece of a tensor is a whole number of its blocks.
size_t piece_bytes(DType dtype) {
  const auto block = static_cast<size_t>(dtype_block(dtype).bytes);
  return kBlockBytes / block * block;
}

// The bytes are read even where every code is a number: that the disk gives them is part of the answer.
uint8_t touch(std::span<const std::byte> block) {
  constexpr size_t kPageBytes = 4096;
  std::byte sum{};
  for (size_t at = 0; at < block.size(); at += kPageBytes) sum ^= block[at];
  return static_cast<uint8_t>(sum);
}

}  // namespace

Result<VerifyReport> verify_numbers(const Checkpoint& checkpoint, const VerifyProgress& progress) {
  VerifyReport report;
  volatile uint8_t sink = 0;
  for (const StoredTensor& tensor : checkpoint.tensors()) {
    const Pattern* pattern = pattern_of(tensor.dtype);
    BadNumbers bad;
    const size_t piece = piece_bytes(tensor.dtype);
    for (size_t begin = 0; begin < tensor.bytes.size(); begin += piece) {
      const auto block = tensor.bytes.subspan(begin, std::min(piece, tensor.bytes.size() - begin));
      uint64_t n = pattern == nullptr ? 0 : count_bad(block, *pattern);
      if (is_block_type(tensor.dtype)) {
        const BadNumbers found = bad_blocks(tensor.dtype, block);
        const BlockSize size = dtype_block(tensor.dtype);
        if (found.n > 0 && bad.n == 0)
          bad.first = begin / static_cast<size_t>(size.bytes) * static_cast<size_t>(size.values) + found.first;
        bad.n += found.n;
      } else if (pattern == nullptr) {
        sink = touch(block);
      }
      if (n > 0 && bad.n == 0) {
        bad.first = begin / static_cast<size_t>(dtype_bits(tensor.dtype) / 8) + first_bad(block, *pattern);
      }
      bad.n += n;
      report.read_bytes += block.size();
      if (progress && !progress(report.read_bytes, checkpoint.tensor_bytes())) {
        return Error{.code = ErrorCode::kCancelled,
                     .what = "cancelled",
                     .in = checkpoint.place(),
                     .want = "",
                     .found = "",
                     .hint = ""};
      }
    }
    if (bad.n == 0) continue;
    ++report.n_bad_tensors;
    bad.place = tensor.place();
    if (report.bad.size() < kBadTensorsMax) report.bad.push_back(std::move(bad));
  }
  (void)sink;
  return report;
}

json::Value verify_to_json(const VerifyReport& report) {
  const auto count = [](uint64_t n) { return json::Value::number(static_cast<int64_t>(n)); };
  json::Value bad = json::Value::array();
  for (const BadNumbers& b : report.bad) {
    json::Value item = json::Value::object();
    item.set("in", json::Value::string(b.place));
    item.set("n", count(b.n));
    item.set("first", count(b.first));
    bad.push(std::move(item));
  }
  json::Value out = json::Value::object();
  out.set("read_bytes", count(report.read_bytes));
  out.set("n_bad_tensors", count(report.n_bad_tensors));
  out.set("bad", std::move(bad));
  return out;
}

}  // namespace hadal
