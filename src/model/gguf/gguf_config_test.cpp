#include "model/gguf/gguf_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>

#include "base/io.h"
#include "testing/checkpoint_builder.h"
#include "testing/gguf_bytes.h"

namespace hadal {
namespace {

using test::gguf_array;
using test::gguf_key;
using test::gguf_string;
using test::GgufParts;
using test::must;
using test::raw;
using ::testing::HasSubstr;

const fs::path kSource = HADAL_SOURCE_DIR;
constexpr const char* kFolders[] = {"models/v4-tiny", "tests/data/v4-random", "tests/data/v3-random",
                                    "tests/data/v32-random"};

ModelDescription described(const char* folder) {
  const std::string text = must(read_file(kSource / folder / "config.json", 1 << 20));
  return must(parse_model_config(must(json::parse(text, "config.json")), "config.json"));
}

// A file with these metadata and no tensors.
std::string file_with(const GgufMetadata& metadata) {
  return gguf_header(metadata, {}, 32);
}

Result<ModelDescription> parse(const std::string& bytes) {
  static std::list<std::string> kept;
  const std::string& file = kept.emplace_back(bytes);
  const GgufFile parsed = must(parse_gguf(std::as_bytes(std::span(file)), "m.gguf"));
  return parse_gguf_description(parsed, parsed.tensors, "m.gguf");
}

TEST(GgufConfig, a_description_written_as_metadata_is_read_back) {
  for (const char* folder : kFolders) {
    ModelDescription d = described(folder);
    GgufMetadata metadata;
    add_gguf_description(d, metadata);
    metadata.add("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(d.bos_token_id));
    metadata.add("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(d.eos_token_id));
    const Result<ModelDescription> read = parse(file_with(metadata));
    ASSERT_TRUE(read.ok()) << folder << "\n" << read.error().to_string();
    // V4's draft layer has no place there; how activations were rounded for FP8 is not said.
    if (!d.has_mla()) d.mtp_layers.clear();
    d.activation_scale = read->activation_scale;
    EXPECT_EQ(json::dump(description_to_json(*read)), json::dump(description_to_json(d))) << folder;
  }
}

// The metadata of v4-tiny or v3-random with one key replaced (or left out, for an empty value).
std::string changed(const char* folder, std::string_view key, const std::string& encoded) {
  GgufMetadata metadata;
  add_gguf_description(described(folder), metadata);
  const std::string file = file_with(metadata);
  const GgufFile parsed = must(parse_gguf(std::as_bytes(std::span(file)), "m.gguf"));
  GgufParts parts;
  for (const auto& [name, value] : parsed.metadata) {
    if (name == key || name == "general.alignment") continue;
    const std::string bytes(reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size());
    parts.keys.push_back(gguf_key(name, value.is_array ? GgufType::kArray : value.type,
                                  value.is_array ? gguf_array(value.type, value.count, bytes) : bytes));
  }
  if (!encoded.empty()) parts.keys.push_back(encoded);
  return parts.file();
}

std::string u32(std::string_view key, uint32_t v) {
  return gguf_key(key, GgufType::kU32, raw(v));
}

TEST(GgufConfig, numbers_of_any_integer_type_are_read) {
  for (const std::string& value : {gguf_key("deepseek4.expert_count", GgufType::kU64, raw(uint64_t{24})),
                                   gguf_key("deepseek4.expert_count", GgufType::kI32, raw(24)),
                                   gguf_key("deepseek4.expert_count", GgufType::kU8, raw(uint8_t{24}))}) {
    EXPECT_EQ(must(parse(changed("models/v4-tiny", "deepseek4.expert_count", value))).n_routed_experts, 24);
  }
}

TEST(GgufConfig, old_files_of_v3_have_the_sizes_of_real_heads) {
  std::string file = changed("tests/data/v3-random", "deepseek2.attention.key_length_mla", "");
  // The other keys as old converters wrote them.
  const GgufFile parsed = must(parse_gguf(std::as_bytes(std::span(file)), "m.gguf"));
  GgufParts parts;
  for (const auto& [name, value] : parsed.metadata) {
    if (name.starts_with("deepseek2.attention.key_length") || name.starts_with("deepseek2.attention.value_length"))
      continue;
    const std::string bytes(reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size());
    parts.keys.push_back(gguf_key(name, value.is_array ? GgufType::kArray : value.type, bytes));
  }
  parts.keys.push_back(u32("deepseek2.attention.key_length", 48));
  parts.keys.push_back(u32("deepseek2.attention.value_length", 24));
  const ModelDescription d = must(parse(parts.file()));
  EXPECT_EQ(d.qk_nope_head_dim, 32);
  EXPECT_EQ(d.v_head_dim, 24);
}

struct BadKey {
  const char* folder;
  std::string key;
  std::string encoded;
  ErrorCode code;
  const char* in;
};

std::vector<BadKey> bad_keys() {
  constexpr const char* kV4 = "models/v4-tiny";
  constexpr const char* kV3 = "tests/data/v3-random";
  constexpr auto kInvalid = ErrorCode::kInvalid;
  constexpr auto kNotFound = ErrorCode::kNotFound;
  constexpr auto kUnsupported = ErrorCode::kUnsupported;
  const auto ratios = [](std::vector<uint32_t> list) {
    return gguf_key("deepseek4.attention.compress_ratios", GgufType::kArray,
                    gguf_array(GgufType::kU32, list.size(),
                               {reinterpret_cast<const char*>(list.data()), list.size() * sizeof(uint32_t)}));
  };
  std::vector<BadKey> keys = {
      {kV4, "general.architecture", "", kNotFound, "general.architecture"},
      {kV4, "general.architecture", gguf_key("general.architecture", GgufType::kString, gguf_string("llama")),
       kUnsupported, "general.architecture"},
      {kV4, "general.architecture", gguf_key("general.architecture", GgufType::kString, gguf_string("deepseek41")),
       kUnsupported, "general.architecture"},
      {kV4, "general.architecture", u32("general.architecture", 4), kUnsupported, "general.architecture"},
      {kV4, "deepseek4.block_count", u32("deepseek4.block_count", ~uint32_t{0}), kInvalid, ""},
      {kV4, "deepseek4.block_count", u32("deepseek4.block_count", 0), kInvalid, ""},
      {kV4, "deepseek4.nextn_predict_layers", u32("deepseek4.nextn_predict_layers", 9), kInvalid,
       "nextn_predict_layers"},
      {kV4, "deepseek4.attention.compress_ratios", ratios({0, 0, 4}), kInvalid, "compress_ratios"},
      {kV4, "deepseek4.attention.compress_ratios", ratios({0, 0, 4, 128, 4, 128, 4, 7}), kUnsupported,
       "compress_ratios"},
      {kV4, "deepseek4.expert_used_count", u32("deepseek4.expert_used_count", 25), kInvalid, ""},
      {kV4, "deepseek4.expert_gating_func", u32("deepseek4.expert_gating_func", 9), kUnsupported, "expert_gating_func"},
      {kV4, "deepseek4.hyper_connection.count", u32("deepseek4.hyper_connection.count", 0), kInvalid, ""},
      {kV4, "deepseek4.swiglu_clamp_shexp", gguf_key("deepseek4.swiglu_clamp_shexp", GgufType::kF32, raw(7.0f)),
       kUnsupported, "swiglu_clamp_shexp"},
      {kV4, "deepseek4.rope.scaling.type",
       gguf_key("deepseek4.rope.scaling.type", GgufType::kString, gguf_string("linear")), kUnsupported,
       "rope.scaling.type"},
      {kV3, "deepseek2.expert_gating_func", "", kUnsupported, ""},
      {kV3, "deepseek2.attention.key_length_mla", u32("deepseek2.attention.key_length_mla", 16), kInvalid,
       "key_length_mla"},
  };
  for (const char* name :
       {"embedding_length", "attention.head_count", "attention.q_lora_rank", "attention.sliding_window",
        "attention.output_group_count", "attention.indexer.top_k", "rope.dimension_count", "expert_count",
        "expert_used_count", "expert_feed_forward_length", "context_length"}) {
    const std::string key = std::string("deepseek4.") + name;
    keys.push_back({kV4, key, "", kNotFound, name});
    keys.push_back({kV4, key, u32(key, 0), kInvalid, ""});
    keys.push_back({kV4, key, u32(key, ~uint32_t{0}), kInvalid, ""});
    keys.push_back({kV4, key, gguf_key(key, GgufType::kI32, raw(-1)), kInvalid, ""});
    keys.push_back({kV4, key, gguf_key(key, GgufType::kString, gguf_string("1")), kInvalid, name});
    keys.push_back({kV4, key, gguf_key(key, GgufType::kU64, raw(~uint64_t{0})), kInvalid, name});
  }
  return keys;
}

TEST(GgufConfig, a_key_that_is_missing_zero_huge_negative_or_of_another_type_is_refused) {
  for (const BadKey& bad : bad_keys()) {
    const Result<ModelDescription> read = parse(changed(bad.folder, bad.key, bad.encoded));
    ASSERT_FALSE(read.ok()) << bad.key;
    const bool is_code = read.error().code == bad.code ||
                         // Sizes beyond a limit are told as that.
                         (bad.code == ErrorCode::kInvalid && read.error().code == ErrorCode::kLimit);
    EXPECT_TRUE(is_code) << bad.key << "\n" << read.error().to_string();
    EXPECT_THAT(read.error().in, HasSubstr("m.gguf")) << read.error().to_string();
    EXPECT_THAT(read.error().in, HasSubstr(bad.in)) << read.error().to_string();
  }
}

}  // namespace
}  // namespace hadal
