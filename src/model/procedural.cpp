#include "model/procedural.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"

namespace hadal {
namespace {

constexpr uint64_t kGamma = 0x9E3779B97F4A7C15;
constexpr size_t kWordBytes = 8;
constexpr int64_t kFp4ScaleCols = 32;

// Mean squares of the values that the recipes draw from.
constexpr double kFp4MeanSquare = 8.5625;
constexpr double kE4M3MeanSquare = 2.1484;
constexpr double kBf16MeanSquare = 7.0 / 3.0;

// The power of two that brings a row of fan_in such values to unit length, nearest in the logarithm.
int unit_exponent(double mean_square, int64_t fan_in) {
  return static_cast<int>(std::floor(-std::log2(std::sqrt(mean_square * static_cast<double>(fan_in))) + 0.5));
}

uint64_t repeated_16(uint16_t v) {
  return v * uint64_t{0x0001000100010001};
}
uint64_t repeated_8(uint8_t v) {
  return v * uint64_t{0x0101010101010101};
}

template <class Number>
std::vector<std::byte> bytes_of(Number v) {
  std::vector<std::byte> bytes(sizeof v);
  std::memcpy(bytes.data(), &v, sizeof v);
  return bytes;
}

int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

std::string scale_name(const std::string& name, DType scale) {
  if (scale == DType::kF32) return name + "_scale_inv";
  return name.substr(0, name.size() - std::string_view("weight").size()) + "scale";
}

ProceduralTensor constant(std::string name, DType dtype, std::vector<int64_t> shape, std::vector<std::byte> unit) {
  ProceduralTensor t;
  t.stored = {std::move(name), dtype, std::move(shape)};
  t.unit = std::move(unit);
  return t;
}

ProceduralTensor words(std::string name, DType dtype, std::vector<int64_t> shape, uint64_t keep, uint64_t set) {
  ProceduralTensor t;
  t.stored = {std::move(name), dtype, std::move(shape)};
  t.recipe = ProceduralTensor::Recipe::kWords;
  t.keep = keep;
  t.set = set;
  return t;
}

std::vector<std::byte> e8m0(int exponent) {
  return bytes_of(static_cast<uint8_t>(exponent + 127));
}

std::vector<ProceduralTensor> fp8_matrix(const ExpectedTensor& t, const PublishedFormat& format) {
  const DType scale = format.fp8_scale;
  const int64_t tile = format.fp8_tile;
  const int64_t rows = t.shape[0], cols = t.shape[1];
  const int exponent = unit_exponent(kE4M3MeanSquare, cols);
  return {words(t.published_name, DType::kF8E4M3, t.shape, repeated_8(0x87), repeated_8(0x38)),
          constant(scale_name(t.published_name, scale), scale, {ceil_div(rows, tile), ceil_div(cols, tile)},
                   scale == DType::kF32 ? bytes_of(exp2i(exponent)) : e8m0(exponent))};
}

// Rows are looked up, so each is about unit variance, and has scales of its own.
std::vector<ProceduralTensor> engram_table(const ExpectedTensor& t) {
  const int64_t rows = t.shape[0], cols = t.shape[1];
  return {words(t.published_name, DType::kF8E4M3, t.shape, repeated_8(0x87), repeated_8(0x38)),
          constant(scale_name(t.published_name, DType::kF8E8M0), DType::kF8E8M0, {rows, ceil_div(cols, kFp4ScaleCols)},
                   e8m0(-1))};
}

std::vector<ProceduralTensor> fp4_matrix(const ExpectedTensor& t) {
  const int64_t rows = t.shape[0], cols = t.shape[1];
  return {words(t.published_name, DType::kI8, {rows, cols / 2}, ~uint64_t{0}, 0),
          constant(scale_name(t.published_name, DType::kF8E8M0), DType::kF8E8M0, {rows, cols / kFp4ScaleCols},
                   e8m0(unit_exponent(kFp4MeanSquare, cols)))};
}

ProceduralTensor bf16_matrix(const ExpectedTensor& t) {
  // Rows of the embedding are looked up, not summed over: about unit variance as they are.
  const int exponent = t.official_name == "embed.weight" ? -1 : unit_exponent(kBf16MeanSquare, t.shape[1]);
  const auto bits = static_cast<uint16_t>((exponent + 127) << 7);
  return words(t.published_name, DType::kBF16, t.shape, repeated_16(0x807F), repeated_16(bits));
}

ProceduralTensor f32_vector(const ExpectedTensor& t, const ModelDescription& d) {
  const std::string_view name = t.official_name;
  const bool is_one = name.ends_with("scale");
  ProceduralTensor out = constant(t.published_name, DType::kF32, t.shape, bytes_of(is_one ? 1.0f : 0.0f));
  if (name.ends_with("hc_attn_base") || name.ends_with("hc_ffn_base")) {
    out.recipe = ProceduralTensor::Recipe::kMhcBase;
    out.hc_mult = d.hc_mult;
  }
  return out;
}

// --- recipes that are no repetition ----------------------------------------------------------------------------------

void fill_constant(const std::vector<std::byte>& unit, std::span<std::byte> out) {
  if (unit.size() == 1) {
    std::fill(out.begin(), out.end(), unit[0]);
    return;
  }
  for (size_t i = 0; i < out.size(); ++i) out[i] = unit[i % unit.size()];
}

void fill_bent_words(const ProceduralTensor& t, uint64_t hash, uint64_t k, std::span<std::byte> out) {
  const size_t n = out.size() / kWordBytes;
  std::byte* at = out.data();
  for (size_t i = 0; i < n; ++i, at += kWordBytes) {
    const uint64_t word = (procedural_word(hash, k + i) & t.keep) | t.set;
    std::memcpy(at, &word, kWordBytes);
  }
  const uint64_t last = (procedural_word(hash, k + n) & t.keep) | t.set;
  std::memcpy(at, &last, out.size() % kWordBytes);
}

// One byte of the words gives one number.
void fill_small_f32(uint64_t hash, uint64_t first, std::span<std::byte> out) {
  for (size_t i = 0; i < out.size() / sizeof(float); ++i) {
    const uint64_t at = first + i;
    const auto byte = static_cast<int8_t>(procedural_word(hash, at / kWordBytes) >> (8 * (at % kWordBytes)));
    const float v = static_cast<float>(byte) / 128.0f * 0.02f;
    std::memcpy(out.data() + i * sizeof v, &v, sizeof v);
  }
}

// pre [n], post [n], comb [n, n].
void fill_mhc_base(int64_t n, uint64_t first, std::span<std::byte> out) {
  for (size_t i = 0; i < out.size() / sizeof(float); ++i) {
    const auto at = static_cast<int64_t>(first + i) - 2 * n;
    const float v = at >= 0 && at % (n + 1) == 0 ? 4.0f : 0.0f;
    std::memcpy(out.data() + i * sizeof v, &v, sizeof v);
  }
}

// Row of token t: E / k apart from each other, so different and in range.
void fill_expert_ids(const ProceduralTensor& t, uint64_t hash, uint64_t first, std::span<std::byte> out) {
  const auto n_experts = static_cast<uint64_t>(t.n_experts);
  const auto k = static_cast<uint64_t>(t.stored.shape[1]);
  for (size_t i = 0; i < out.size() / sizeof(int64_t); ++i) {
    const uint64_t token = (first + i) / k, slot = (first + i) % k;
    const uint64_t id = (procedural_word(hash, token) % n_experts + slot * (n_experts / k)) % n_experts;
    std::memcpy(out.data() + i * sizeof id, &id, sizeof id);
  }
}

}  // namespace

uint64_t fnv1a_64(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return hash;
}

uint64_t procedural_word(uint64_t name_hash, uint64_t k) {
  uint64_t z = name_hash + (k + 1) * kGamma;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

std::vector<ProceduralTensor> procedural_tensors(const ExpectedTensor& t, const ModelDescription& d,
                                                 const PublishedFormat& format) {
  using Kind = ExpectedTensor::Kind;
  switch (t.kind) {
    case Kind::kMatrix:
      return fp8_matrix(t, format);
    case Kind::kExpertMatrix:
      return format.has_fp4_experts ? fp4_matrix(t) : fp8_matrix(t, format);
    case Kind::kBf16Matrix:
      return {bf16_matrix(t)};
    case Kind::kF32Matrix: {
      ProceduralTensor out;
      out.stored = {t.published_name, DType::kF32, t.shape};
      out.recipe = ProceduralTensor::Recipe::kSmallF32;
      return {out};
    }
    case Kind::kBf16Vector:
      return {constant(t.published_name, DType::kBF16, t.shape,
                       bytes_of(t.official_name.ends_with(".bias") ? uint16_t{0} : uint16_t{0x3F80}))};
    case Kind::kF32Vector:
      return {f32_vector(t, d)};
    case Kind::kEngramTable:
      return engram_table(t);
    case Kind::kTable: {
      ProceduralTensor out;
      out.stored = {t.published_name, DType::kI64, t.shape};
      out.recipe = ProceduralTensor::Recipe::kExpertIds;
      out.n_experts = d.n_routed_experts;
      return {out};
    }
  }
  return {};
}

void fill_procedural(const ProceduralTensor& t, uint64_t begin, std::span<std::byte> out) {
  HADAL_CHECK(begin % kWordBytes == 0, "procedural bytes begin inside a word", begin);
  const uint64_t hash = fnv1a_64(t.stored.name);
  switch (t.recipe) {
    case ProceduralTensor::Recipe::kConstant:
      return fill_constant(t.unit, out);
    case ProceduralTensor::Recipe::kWords:
      return fill_bent_words(t, hash, begin / kWordBytes, out);
    case ProceduralTensor::Recipe::kSmallF32:
      return fill_small_f32(hash, begin / sizeof(float), out);
    case ProceduralTensor::Recipe::kMhcBase:
      return fill_mhc_base(t.hc_mult, begin / sizeof(float), out);
    case ProceduralTensor::Recipe::kExpertIds:
      return fill_expert_ids(t, hash, begin / sizeof(int64_t), out);
  }
}

}  // namespace hadal
