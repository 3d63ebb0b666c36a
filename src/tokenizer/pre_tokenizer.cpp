#include "tokenizer/pre_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "tokenizer/errors.h"

namespace hadal::tokenizer {

Result<PreTokenizer> PreTokenizer::create(const std::vector<std::string_view>& splits, Use use) {
  if (splits.size() > kSplitsMax) {
    return make_error(ErrorCode::kLimit, "too many pre-tokenizers", "pre_tokenizer.pretokenizers",
                      fmt::format("at most {}", kSplitsMax), fmt::format("{}", splits.size()));
  }
  PreTokenizer pre_tokenizer;
  if (use == Use::kScannerWherePossible &&
      std::equal(splits.begin(), splits.end(), kDeepSeekSplits.begin(), kDeepSeekSplits.end())) {
    pre_tokenizer.classes_.emplace();
    return pre_tokenizer;
  }
  for (size_t i = 0; i < splits.size(); ++i) {
    Result<Regex> regex = Regex::compile(splits[i]);
    if (!regex.ok()) {
      return std::move(regex.error().within(fmt::format("pre_tokenizer.pretokenizers[{}].pattern.Regex", i)));
    }
    pre_tokenizer.regexes_.push_back(std::move(regex).value());
  }
  return pre_tokenizer;
}

std::vector<size_t> PreTokenizer::split_by_regexes(std::string_view text) const {
  std::vector<size_t> ends;
  if (!text.empty()) ends.push_back(text.size());
  std::vector<size_t> next_ends;
  for (const Regex& regex : regexes_) {
    RegexSearch search(regex, text.size());
    next_ends.clear();
    size_t begin = 0;
    for (const size_t end : ends) {
      search.split(text.substr(begin, end - begin), begin, next_ends);
      begin = end;
    }
    std::swap(ends, next_ends);
  }
  return ends;
}

}  // namespace hadal::tokenizer
