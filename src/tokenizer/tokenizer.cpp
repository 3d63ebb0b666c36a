#include "tokenizer/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/json.h"
#include "base/utf8.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/bpe.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/errors.h"
#include "tokenizer/merge_table.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/tokenizer_json.h"
#include "tokenizer/vocabulary.h"

namespace hadal {
namespace {

using tokenizer::ByteAlphabet;
using tokenizer::kNoToken;
using tokenizer::make_error;
using tokenizer::MergeTable;
using tokenizer::quoted;
using tokenizer::TokenizerJsonView;
using tokenizer::Vocabulary;

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

struct Tokenizer::Impl {
  Vocabulary vocabulary;
  MergeTable merges;
  tokenizer::Bpe bpe;  // refers to the two above
  tokenizer::PreTokenizer pre_tokenizer;
  tokenizer::AddedTokens added;
  std::vector<uint8_t> flags;  // by id

  static constexpr uint8_t kIsAdded = 1;
  static constexpr uint8_t kIsSpecial = 2;

  Impl(Vocabulary v, MergeTable m, const std::array<TokenId, 256>& byte_token, tokenizer::PreTokenizer p)
      : vocabulary(std::move(v)),
        merges(std::move(m)),
        bpe(vocabulary, merges, byte_token),
        pre_tokenizer(std::move(p)),
        flags(static_cast<size_t>(vocabulary.size())) {}

  static Result<std::unique_ptr<Impl>> build(const TokenizerJsonView& view);

  Result<void> add_tokens(const TokenizerJsonView& view);

  void encode_plain(std::string_view text, std::vector<TokenId>& ids) const {
    pre_tokenizer.for_each_piece(text, [&](std::string_view piece) { bpe.encode(piece, ids); });
  }

  bool has_flag(TokenId id, uint8_t flag) const {
    return id >= 0 && static_cast<size_t>(id) < flags.size() && (flags[static_cast<size_t>(id)] & flag) != 0;
  }
};

Result<std::unique_ptr<Tokenizer::Impl>> Tokenizer::Impl::build(const TokenizerJsonView& view) {
  const ByteAlphabet alphabet;
  TokenList tokens;
  HADAL_TRY(list_vocab(view, alphabet, tokens));
  HADAL_TRY(list_added(view, tokens));
  HADAL_TRY(check_no_hole(tokens));
  HADAL_ASSIGN(Vocabulary vocabulary, Vocabulary::create(tokens.bytes, tokens.is_bpe));
  HADAL_ASSIGN(const auto byte_token, tokens_of_bytes(vocabulary, alphabet));
  HADAL_ASSIGN(MergeTable merges, merge_table(view, vocabulary, alphabet));
  HADAL_ASSIGN(tokenizer::PreTokenizer pre_tokenizer, tokenizer::PreTokenizer::create(view.splits));
  auto impl = std::make_unique<Impl>(std::move(vocabulary), std::move(merges), byte_token, std::move(pre_tokenizer));
  HADAL_TRY(impl->add_tokens(view));
  return impl;
}

Result<void> Tokenizer::Impl::add_tokens(const TokenizerJsonView& view) {
  for (size_t i = 0; i < view.added.size(); ++i) {
    const TokenizerJsonView::Added& token = view.added[i];
    if (added.find(token.content)) {
      return make_error(ErrorCode::kCorrupt, "added token is there twice", fmt::format("added_tokens[{}].content", i),
                        "each content once", quoted(token.content));
    }
    const auto id = static_cast<TokenId>(token.id);
    added.add(token.content, id, token.is_normalized);
    flags[static_cast<size_t>(id)] = static_cast<uint8_t>(kIsAdded | (token.is_special ? kIsSpecial : 0));
  }
  return {};
}

Result<Tokenizer> Tokenizer::parse(std::string_view tokenizer_json, std::string_view name) {
  const json::ParseLimits limits = {.bytes_max = tokenizer::kFileBytesMax,
                                    .depth_max = tokenizer::kFileDepthMax,
                                    .values_max = tokenizer::kFileValuesMax};
  HADAL_ASSIGN(const json::Value root, json::parse(tokenizer_json, name, limits));
  Result<TokenizerJsonView> view = tokenizer::read_tokenizer_json(root);
  if (!view.ok()) return std::move(view.error().within(name));
  Result<std::unique_ptr<Impl>> impl = Impl::build(*view);
  if (!impl.ok()) return std::move(impl.error().within(name));
  return Tokenizer(std::move(impl).value());
}

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

void Tokenizer::encode(std::string_view text, AddedTokens added, std::vector<TokenId>& ids) const {
  std::string sanitized;
  if (!utf8::is_valid(text)) {
    sanitized = utf8::sanitize(text);
    text = sanitized;
  }
  if (added == AddedTokens::kAsText) return impl_->encode_plain(text, ids);
  impl_->added.split(
      text, [&](std::string_view plain) { impl_->encode_plain(plain, ids); }, [&](TokenId id) { ids.push_back(id); });
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, AddedTokens added) const {
  std::vector<TokenId> ids;
  encode(text, added, ids);
  return ids;
}

std::string_view Tokenizer::token_bytes(TokenId id) const {
  return impl_->vocabulary.bytes(id);
}

bool Tokenizer::is_added(TokenId id) const {
  return impl_->has_flag(id, Impl::kIsAdded);
}

bool Tokenizer::is_special(TokenId id) const {
  return impl_->has_flag(id, Impl::kIsSpecial);
}

std::optional<TokenId> Tokenizer::added_token(std::string_view content) const {
  return impl_->added.find(content);
}

int64_t Tokenizer::vocab_size() const {
  return impl_->vocabulary.size();
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::string bytes;
  for (const TokenId id : ids) {
    if (!skip_special || !is_special(id)) bytes += token_bytes(id);
  }
  return utf8::sanitize(bytes);
}

uint64_t Tokenizer::memory_bytes() const {
  return sizeof(Impl) + impl_->vocabulary.memory_bytes() + impl_->merges.memory_bytes() + impl_->bpe.memory_bytes() +
         impl_->pre_tokenizer.memory_bytes() + impl_->added.memory_bytes() + impl_->flags.capacity();
}

}  // namespace hadal
