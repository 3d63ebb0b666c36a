// Needle in a haystack: a sentence with a code word is hidden in filler text and asked for in a chat.
//
//   Read this text.  FILLER  Remember this: the code word is "falcon".  FILLER  What is the code word?
//
// Code words are a function of the seed and of the try, and none is a word of the filler; answers are greedy. The test
// says what a model finds at which depth of which length, not how well it reasons.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "engine/engine.h"

namespace hadal {

struct NeedleOptions {
  std::vector<int64_t> filler_tokens = {1000};
  std::vector<int64_t> depths_percent = {0, 25, 50, 75, 100};  // how much of the filler comes before the needle
  int64_t answer_tokens_max = 32;
  uint64_t seed = 0;
};

struct NeedleTry {
  int64_t prompt_tokens = 0;
  int64_t depth_percent = 0;
  std::string code_word;
  std::string answer;
  bool is_found = false;  // the answer has the code word, in any case
};

// The first n_tokens tokens of the text, which is repeated if it is too short; NUL bytes become blank lines.
std::string haystack(const Tokenizer& tokenizer, std::string_view filler, int64_t n_tokens);

// The sentence as a paragraph of its own, at the space nearest behind depth_percent of the bytes.
std::string hide(std::string_view text, std::string_view sentence, int64_t depth_percent);

// A common word that the text does not have, for a seed and a number of the try.
std::string code_word(uint64_t seed, uint64_t i_try, std::string_view text);

// One try for every length and depth. Errors: NotFound (no tokenizer), Limit (a length that does not fit the context, a
// depth outside 0 to 100), Invalid (empty filler).
Result<std::vector<NeedleTry>> find_needles(Engine& engine, std::string_view filler, const NeedleOptions& options,
                                            const std::function<void(int64_t done, int64_t of)>& progress);

// {"tries": [...], "found_share"}
json::Value needles_to_json(const std::vector<NeedleTry>& tries);

}  // namespace hadal
