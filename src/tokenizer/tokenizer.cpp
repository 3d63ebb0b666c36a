#include "tokenizer/tokenizer.h"

#include <fmt/format.h>

#include "base/json.h"
#include "base/utf8.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/bpe.h"
#include "tokenizer/bpe_tables.h"
#include "tokenizer/errors.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/tokenizer_json.h"

namespace hadal {
namespace {

using tokenizer::make_error;
using tokenizer::quoted;
using tokenizer::TokenizerJsonView;

}  // namespace

struct Tokenizer::Impl {
  tokenizer::BpeTables tables;
  tokenizer::Bpe bpe;  // refers to the tables
  tokenizer::PreTokenizer pre_tokenizer;
  tokenizer::AddedTokenFinder added;
  std::vector<uint8_t> flags;  // by id

  static constexpr uint8_t kIsAdded = 1;
  static constexpr uint8_t kIsSpecial = 2;

  Impl(tokenizer::BpeTables t, tokenizer::PreTokenizer p)
      : tables(std::move(t)),
        bpe(tables),
        pre_tokenizer(std::move(p)),
        flags(static_cast<size_t>(tables.vocabulary.size())) {}

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
  HADAL_ASSIGN(tokenizer::BpeTables tables, tokenizer::BpeTables::build(view));
  HADAL_ASSIGN(tokenizer::PreTokenizer pre_tokenizer, tokenizer::PreTokenizer::create(view.splits));
  auto impl = std::make_unique<Impl>(std::move(tables), std::move(pre_tokenizer));
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
  return build(*view, name);
}

Result<Tokenizer> Tokenizer::build(const TokenizerJsonView& view, std::string_view name) {
  Result<std::unique_ptr<Impl>> impl = Impl::build(view);
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
  return impl_->tables.vocabulary.bytes(id);
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
  return impl_->tables.vocabulary.size();
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::string bytes;
  for (const TokenId id : ids) {
    if (!skip_special || !is_special(id)) bytes += token_bytes(id);
  }
  return utf8::sanitize(bytes);
}

uint64_t Tokenizer::memory_bytes() const {
  return sizeof(Impl) + impl_->tables.vocabulary.memory_bytes() + impl_->tables.merges.memory_bytes() +
         impl_->bpe.memory_bytes() + impl_->pre_tokenizer.memory_bytes() + impl_->added.memory_bytes() +
         impl_->flags.capacity();
}

}  // namespace hadal
