// The tables of BPE from what tokenizer.json says, with its ids and merges checked against each other:
// every id from 0 to the largest has one token, every byte has a token, every merge makes a token of two.
#pragma once

#include <array>

#include "base/result.h"
#include "tokenizer/merge_table.h"
#include "tokenizer/tokenizer_json.h"
#include "tokenizer/vocabulary.h"

namespace hadal::tokenizer {

struct BpeTables {
  Vocabulary vocabulary;  // added tokens included, but not to be found by their bytes: merging never gives one
  MergeTable merges;
  std::array<TokenId, 256> byte_token;  // of each byte

  // Errors: Corrupt or Limit, with JSON paths as places.
  static Result<BpeTables> build(const TokenizerJsonView& view);
};

}  // namespace hadal::tokenizer
