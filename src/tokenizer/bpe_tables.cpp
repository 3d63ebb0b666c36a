#include "tokenizer/bpe_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tokenizer/byte_alphabet.h"
#include "tokenizer/errors.h"

namespace hadal::tokenizer {
namespace {

// What is known of each id before the tables are made.
struct TokenList {
  std::vector<std::string> bytes;         // by id; empty: nothing has this id yet
  std::vector<bool> is_bpe;               // spelled in the byte alphabet and not added: merging may give it
  std::vector<std::string_view> spelled;  // as model.vocab has it

  void grow_to(size_t size) {
    bytes.resize(size);
    is_bpe.resize(size);
    spelled.resize(size);
  }
};

Result<void> list_vocab(const TokenizerJsonView& view, const ByteAlphabet& alphabet, TokenList& tokens) {
  for (const TokenizerJsonView::Token& token : view.vocab) {
    const auto id = static_cast<size_t>(token.id);
    if (id >= tokens.bytes.size()) tokens.grow_to(id + 1);
    if (!tokens.bytes[id].empty()) {
      return make_error(ErrorCode::kCorrupt, "two tokens have the same id",
                        fmt::format("model.vocab.{}", quoted(token.spelled)), "each id once",
                        fmt::format("id {}, which {} has too", id, quoted(tokens.spelled[id])));
    }
    tokens.spelled[id] = token.spelled;
    tokens.is_bpe[id] = alphabet.append_bytes(token.spelled, tokens.bytes[id]);
    // As the reference decoder does: what is not in the alphabet stands for itself.
    if (!tokens.is_bpe[id]) tokens.bytes[id] = token.spelled;
  }
  return {};
}

// Added tokens have ids of their own behind the vocabulary, or are marked entries of it.
Result<void> list_added(const TokenizerJsonView& view, TokenList& tokens) {
  const size_t n_vocab = tokens.bytes.size();
  for (size_t i = 0; i < view.added.size(); ++i) {
    const TokenizerJsonView::Added& added = view.added[i];
    const auto id = static_cast<size_t>(added.id);
    if (id >= tokens.bytes.size()) tokens.grow_to(id + 1);
    const bool is_taken = !tokens.bytes[id].empty();
    const bool is_marked_entry = id < n_vocab && tokens.spelled[id] == added.content;
    if (is_taken && !is_marked_entry) {
      return make_error(ErrorCode::kCorrupt, "two tokens have the same id", fmt::format("added_tokens[{}].id", i),
                        "an id of its own", fmt::format("id {} of {}", id, quoted(tokens.bytes[id])));
    }
    tokens.bytes[id] = added.content;
    tokens.is_bpe[id] = false;
  }
  return {};
}

Result<void> check_no_hole(const TokenList& tokens) {
  const auto hole = std::find_if(tokens.bytes.begin(), tokens.bytes.end(), [](const auto& b) { return b.empty(); });
  if (hole == tokens.bytes.end() && !tokens.bytes.empty()) return {};
  return make_error(ErrorCode::kCorrupt, "a token id is missing", "model.vocab",
                    tokens.bytes.empty() ? "at least the 256 bytes" : "every id up to the largest",
                    tokens.bytes.empty() ? "no token" : fmt::format("no id {}", hole - tokens.bytes.begin()));
}

Result<std::array<TokenId, 256>> tokens_of_bytes(const Vocabulary& vocabulary, const ByteAlphabet& alphabet) {
  std::array<TokenId, 256> tokens{};
  for (size_t byte = 0; byte < 256; ++byte) {
    const auto c = static_cast<char>(byte);
    tokens[byte] = vocabulary.find({&c, 1});
    if (tokens[byte] == kNoToken) {
      return make_error(
          ErrorCode::kCorrupt, "a byte has no token", "model.vocab",
          fmt::format("{} for byte 0x{:02x}", quoted(alphabet.spelling(static_cast<uint8_t>(byte))), byte), "",
          "text with this byte could not be encoded");
    }
  }
  return tokens;
}

Result<MergeTable> merge_table(const TokenizerJsonView& view, const Vocabulary& vocabulary,
                               const ByteAlphabet& alphabet) {
  MergeTable merges(view.merges.size());
  std::string bytes;
  for (size_t i = 0; i < view.merges.size(); ++i) {
    const TokenizerJsonView::Merge& merge = view.merges[i];
    bytes.clear();
    const bool is_left_known = alphabet.append_bytes(merge.left, bytes);
    const size_t middle = bytes.size();
    const bool is_spelled = is_left_known && alphabet.append_bytes(merge.right, bytes);
    const std::string_view both = bytes;
    const TokenId left = is_spelled ? vocabulary.find(both.substr(0, middle)) : kNoToken;
    const TokenId right = is_spelled ? vocabulary.find(both.substr(middle)) : kNoToken;
    const TokenId merged = is_spelled ? vocabulary.find(both) : kNoToken;
    if (left == kNoToken || right == kNoToken || merged == kNoToken) {
      return make_error(ErrorCode::kCorrupt, "merge names a token that is not in the vocabulary",
                        fmt::format("model.merges[{}]", i), "two tokens that together are a third",
                        fmt::format("{} and {}", quoted(merge.left), quoted(merge.right)));
    }
    if (Result<void> added = merges.add(left, right, merged); !added.ok()) {
      return std::move(added.error().within(fmt::format("model.merges[{}]", i)));
    }
  }
  return merges;
}

}  // namespace

Result<BpeTables> BpeTables::build(const TokenizerJsonView& view) {
  const ByteAlphabet alphabet;
  TokenList tokens;
  HADAL_TRY(list_vocab(view, alphabet, tokens));
  HADAL_TRY(list_added(view, tokens));
  HADAL_TRY(check_no_hole(tokens));
  HADAL_ASSIGN(Vocabulary vocabulary, Vocabulary::create(tokens.bytes, tokens.is_bpe));
  HADAL_ASSIGN(const auto byte_token, tokens_of_bytes(vocabulary, alphabet));
  HADAL_ASSIGN(MergeTable merges, merge_table(view, vocabulary, alphabet));
  return BpeTables{.vocabulary = std::move(vocabulary), .merges = std::move(merges), .byte_token = byte_token};
}

}  // namespace hadal::tokenizer
