#include "model/gguf/gguf_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tokenizer/deepseek_scanner.h"
#include "tokenizer/merge_table.h"
#include "tokenizer/tokenizer_json.h"
#include "tokenizer/vocabulary.h"

namespace hadal {
namespace {

using tokenizer::TokenizerJsonView;

// tokenizer.ggml.pre of files with DeepSeek-V3's three patterns; V4's converter finds joyai-llm for the same ones.
constexpr std::string_view kPreNames[] = {"deepseek-v3", "joyai-llm", "deepseek-v4"};

enum TokenType : int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

Error wrong(ErrorCode code, std::string_view name, std::string_view key, std::string want, std::string found) {
  return Error{.code = code,
               .what = "tokenizer of the file cannot be used",
               .in = fmt::format("{}: tokenizer.ggml.{}", name, key),
               .want = std::move(want),
               .found = std::move(found),
               .hint = ""};
}

const GgufValue* find(const GgufFile& file, std::string_view key) {
  return file.find(fmt::format("tokenizer.ggml.{}", key));
}

Result<void> check_kind(const GgufFile& file, std::string_view name) {
  const GgufValue* model = find(file, "model");
  if (model == nullptr || model->as_string() != "gpt2") {
    return wrong(ErrorCode::kUnsupported, name, "model", "\"gpt2\" (byte-level BPE)",
                 model == nullptr ? "nothing" : model->shown());
  }
  const GgufValue* pre = find(file, "pre");
  const std::optional<std::string_view> text = pre == nullptr ? std::nullopt : pre->as_string();
  if (!text || std::find(std::begin(kPreNames), std::end(kPreNames), *text) == std::end(kPreNames)) {
    return wrong(ErrorCode::kUnsupported, name, "pre", fmt::format("{}", fmt::join(kPreNames, ", ")),
                 pre == nullptr ? "nothing" : pre->shown());
  }
  return {};
}

Result<std::vector<std::string_view>> read_strings(const GgufFile& file, std::string_view name, std::string_view key,
                                                   int64_t max) {
  const GgufValue* value = find(file, key);
  const bool is_list = value != nullptr && value->is_array && value->type == GgufType::kString;
  if (is_list && value->count > static_cast<uint64_t>(max))
    return wrong(ErrorCode::kLimit, name, key, fmt::format("at most {}", max), fmt::format("{}", value->count));
  std::optional<std::vector<std::string_view>> texts = is_list ? value->strings() : std::nullopt;
  if (!texts) {
    return wrong(ErrorCode::kCorrupt, name, key, "an array of strings", value == nullptr ? "nothing" : value->shown());
  }
  return std::move(*texts);
}

// Tokens by type; unused ones at the end are fillers of the embedding and no tokens.
Result<void> read_tokens(const GgufFile& file, std::string_view name, const std::vector<std::string_view>& tokens,
                         TokenizerJsonView& view) {
  const GgufValue* types = find(file, "token_type");
  if (types == nullptr || !types->is_array || types->count != tokens.size()) {
    return wrong(ErrorCode::kCorrupt, name, "token_type", fmt::format("{} types, one per token", tokens.size()),
                 types == nullptr ? "nothing" : types->shown());
  }
  size_t n = tokens.size();
  while (n > 0 && types->as_int(n - 1) == kUnused) --n;
  for (size_t id = 0; id < n; ++id) {
    const int64_t type = types->as_int(id).value_or(0);
    const std::string_view text = tokens[id];
    const bool is_added = type == kControl || type == kUserDefined;
    const size_t bytes_max = is_added ? tokenizer::kAddedTokenBytesMax : tokenizer::kTokenBytesMax;
    if (text.empty() || text.size() > bytes_max) {
      return wrong(text.empty() ? ErrorCode::kCorrupt : ErrorCode::kLimit, name, "tokens",
                   fmt::format("1 to {} bytes", bytes_max), fmt::format("{} bytes for token {}", text.size(), id));
    }
    if (is_added) {
      // Which round finds a token is not in the file: the first, as in DeepSeek's own.
      view.added.push_back(
          {.content = text, .id = static_cast<int64_t>(id), .is_normalized = false, .is_special = type == kControl});
    } else if (type == kNormal || type == kUnused) {
      view.vocab.push_back({.spelled = text, .id = static_cast<int64_t>(id)});
    } else {
      return wrong(ErrorCode::kUnsupported, name, "token_type", "1 (normal), 3 (control), 4 (user-defined), 5 (unused)",
                   fmt::format("{} for token {}", type, id));
    }
  }
  if (view.added.size() > tokenizer::kAddedTokensMax) {
    return wrong(ErrorCode::kLimit, name, "token_type",
                 fmt::format("at most {} control and user-defined tokens", tokenizer::kAddedTokensMax),
                 fmt::format("{}", view.added.size()));
  }
  return {};
}

Result<void> read_merges(const GgufFile& file, std::string_view name, TokenizerJsonView& view) {
  HADAL_ASSIGN(const std::vector<std::string_view> merges, read_strings(file, name, "merges", tokenizer::kMergesMax));
  for (size_t i = 0; i < merges.size(); ++i) {
    const size_t space = merges[i].find(' ');
    if (space == std::string_view::npos || merges[i].find(' ', space + 1) != std::string_view::npos) {
      return wrong(ErrorCode::kCorrupt, name, "merges", "\"left right\"",
                   fmt::format("{} for merge {}", json::excerpt(merges[i]), i));
    }
    view.merges.push_back({merges[i].substr(0, space), merges[i].substr(space + 1)});
  }
  return {};
}

// The strings are views into the file.
Result<TokenizerJsonView> read_view(const GgufFile& file, std::string_view name) {
  HADAL_TRY(check_kind(file, name));
  HADAL_ASSIGN(const std::vector<std::string_view> tokens, read_strings(file, name, "tokens", tokenizer::kVocabMax));
  TokenizerJsonView view;
  view.splits.assign(tokenizer::kDeepSeekSplits.begin(), tokenizer::kDeepSeekSplits.end());
  HADAL_TRY(read_tokens(file, name, tokens, view));
  HADAL_TRY(read_merges(file, name, view));
  return view;
}

json::Value object(std::initializer_list<std::pair<std::string_view, json::Value>> members) {
  json::Value out = json::Value::object();
  for (const auto& [key, value] : members) out.set(key, value);
  return out;
}

json::Value split_stage(std::string_view regex) {
  return object({{"type", json::Value::string("Split")},
                 {"pattern", object({{"Regex", json::Value::string(regex)}})},
                 {"behavior", json::Value::string("Isolated")},
                 {"invert", json::Value::boolean(false)}});
}

json::Value byte_level() {
  return object({{"type", json::Value::string("ByteLevel")},
                 {"add_prefix_space", json::Value::boolean(false)},
                 {"trim_offsets", json::Value::boolean(true)},
                 {"use_regex", json::Value::boolean(false)}});
}

}  // namespace

Result<std::optional<json::Value>> tokenizer_json_of_gguf(const GgufFile& file, std::string_view name) {
  if (find(file, "tokens") == nullptr) return std::optional<json::Value>();
  HADAL_ASSIGN(const TokenizerJsonView view, read_view(file, name));
  json::Value added = json::Value::array();
  for (const TokenizerJsonView::Added& token : view.added) {
    added.push(object({{"id", json::Value::number(token.id)},
                       {"content", json::Value::string(token.content)},
                       {"single_word", json::Value::boolean(false)},
                       {"lstrip", json::Value::boolean(false)},
                       {"rstrip", json::Value::boolean(false)},
                       {"normalized", json::Value::boolean(token.is_normalized)},
                       {"special", json::Value::boolean(token.is_special)}}));
  }
  json::Value stages = json::Value::array();
  for (const std::string_view regex : view.splits) stages.push(split_stage(regex));
  stages.push(byte_level());
  json::Object vocab;
  for (const TokenizerJsonView::Token& token : view.vocab)
    vocab.emplace_back(token.spelled, json::Value::number(token.id));
  json::Value merges = json::Value::array();
  for (const TokenizerJsonView::Merge& merge : view.merges)
    merges.push(json::Value::string(fmt::format("{} {}", merge.left, merge.right)));
  return std::optional<json::Value>(object(
      {{"version", json::Value::string("1.0")},
       {"truncation", json::Value()},
       {"padding", json::Value()},
       {"added_tokens", std::move(added)},
       {"normalizer", json::Value()},
       {"pre_tokenizer", object({{"type", json::Value::string("Sequence")}, {"pretokenizers", std::move(stages)}})},
       {"post_processor", byte_level()},
       {"decoder", byte_level()},
       {"model", object({{"type", json::Value::string("BPE")},
                         {"vocab", json::Value::object(std::move(vocab))},
                         {"merges", std::move(merges)}})}}));
}

Result<std::optional<Tokenizer>> parse_gguf_tokenizer(const GgufFile& file, std::string_view name) {
  if (find(file, "tokens") == nullptr) return std::optional<Tokenizer>();
  HADAL_ASSIGN(const TokenizerJsonView view, read_view(file, name));
  HADAL_ASSIGN(Tokenizer tokenizer, Tokenizer::build(view, fmt::format("{}, tokenizer of the metadata", name)));
  return std::optional<Tokenizer>(std::move(tokenizer));
}

Result<void> add_gguf_tokenizer(const json::Value& tokenizer_json, std::string_view name, int64_t vocab_size,
                                bool is_v4, GgufMetadata& metadata) {
  Result<TokenizerJsonView> read = tokenizer::read_tokenizer_json(tokenizer_json);
  if (!read.ok()) return std::move(read.error().within(name));
  const TokenizerJsonView& view = *read;
  if (!std::equal(view.splits.begin(), view.splits.end(), tokenizer::kDeepSeekSplits.begin(),
                  tokenizer::kDeepSeekSplits.end())) {
    return Error{.code = ErrorCode::kUnsupported,
                 .what = "GGUF has no name for the split patterns of the tokenizer",
                 .in = fmt::format("{}: pre_tokenizer", name),
                 .want = "DeepSeek-V3's three patterns",
                 .found = fmt::format("{} others", view.splits.size()),
                 .hint = ""};
  }
  std::vector<std::string> tokens(static_cast<size_t>(vocab_size));
  std::vector<int32_t> types(tokens.size(), kUnused);
  const auto put = [&](int64_t id, std::string_view text, int32_t type) -> Result<void> {
    if (id >= vocab_size) {
      return Error{.code = ErrorCode::kInvalid,
                   .what = "the tokenizer has more tokens than the model",
                   .in = std::string(name),
                   .want = fmt::format("ids below {}", vocab_size),
                   .found = fmt::format("{}", id),
                   .hint = ""};
    }
    tokens[static_cast<size_t>(id)] = text;
    types[static_cast<size_t>(id)] = type;
    return {};
  };
  for (const TokenizerJsonView::Token& token : view.vocab) HADAL_TRY(put(token.id, token.spelled, kNormal));
  for (const TokenizerJsonView::Added& token : view.added)
    HADAL_TRY(put(token.id, token.content, token.is_special ? kControl : kUserDefined));
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (types[id] == kUnused) tokens[id] = fmt::format("[PAD{}]", id);
  }
  std::vector<std::string> merges;
  for (const TokenizerJsonView::Merge& merge : view.merges)
    merges.push_back(fmt::format("{} {}", merge.left, merge.right));
  metadata.add("tokenizer.ggml.model", std::string_view("gpt2"));
  metadata.add("tokenizer.ggml.pre", std::string_view(is_v4 ? "joyai-llm" : "deepseek-v3"));
  metadata.add("tokenizer.ggml.tokens", std::span<const std::string>(tokens));
  metadata.add("tokenizer.ggml.token_type", std::span<const int32_t>(types));
  metadata.add("tokenizer.ggml.merges", std::span<const std::string>(merges));
  return {};
}

}  // namespace hadal
