// tokenizer.json as a struct: what it says, checked for form, with every component that Hadal lacks refused by name.
//
// Accepted is what DeepSeek publishes (byte-level BPE):
//   normalizer      null or an empty Sequence
//   pre_tokenizer   Sequence of Split {Regex, Isolated, not inverted} and a last ByteLevel without prefix space or
//   regex model           BPE without dropout, unknown token, affixes, byte fallback or ignore_merges;
//                   merges as "a b" or ["a", "b"]
//   post_processor, decoder   ByteLevel (the first may be null: it would only move offsets)
//   added_tokens    without single_word, lstrip, rstrip
//   truncation, padding       null
//
// Ids and merges are checked against each other by who builds the tables (tokenizer.cpp).
#pragma once

#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "tokenizer/added_tokens.h"

namespace hadal::tokenizer {

// The file is hostile until checked. DeepSeek's has 7.5 MiB and 260,000 JSON values, the largest in common use 33 MB
// and 1.4 million; a value takes about 100 bytes of memory.
inline constexpr size_t kFileBytesMax = size_t{40} << 20;
inline constexpr size_t kFileValuesMax = size_t{4} << 20;
inline constexpr int kFileDepthMax = 16;
// V4 has about 1,300. Together they bound the work of looking for them.
inline constexpr size_t kAddedTokensMax = 8192;
inline constexpr size_t kAddedTokenBytesMax = 256;

// Strings are views into the JSON value.
struct TokenizerJsonView {
  struct Token {
    std::string_view spelled;  // in the byte alphabet
    int64_t id;
  };
  struct Merge {
    std::string_view left;  // in the byte alphabet
    std::string_view right;
  };
  struct Added {
    std::string_view content;  // as in the text
    int64_t id;
    bool is_normalized;
    bool is_special;
  };
  std::vector<std::string_view> splits;  // the regexes of the Split stages, in order
  std::vector<Token> vocab;              // in the order of the file
  std::vector<Merge> merges;             // by rank
  std::vector<Added> added;              // in the order of the file
};

// Errors have JSON paths as places: Corrupt (a member is missing or of the wrong kind), Unsupported, Limit.
Result<TokenizerJsonView> read_tokenizer_json(const json::Value& root);

}  // namespace hadal::tokenizer
