// Text to token ids and back, for byte-level BPE tokenizers in the form of tokenizer.json.
//
// What is supported is what DeepSeek's models use: a pre-tokenizer Sequence of Split regexes (behaviour Isolated) and
// ByteLevel, a BPE model without dropout, added tokens with and without the `special` flag. Anything else is refused
// by name. Nothing from the file is executed. DeepSeek's own regexes are done by a scanner, others run under PCRE2 with
// limits: a regex made to run for ever gives up and leaves the rest of its text in one piece.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hadal {

namespace tokenizer {
struct TokenizerJsonView;
}

using TokenId = int32_t;

// Whether the spellings of added tokens ("<｜User｜>") inside a text become those tokens, or stay text. User-controlled
// text is always encoded with kAsText, so that nobody can forge a role change.
enum class AddedTokens { kRecognise, kAsText };

class Tokenizer {
 public:
  // Parses tokenizer.json. `name` is the place for messages. Errors: Corrupt (not the format, ids twice or missing,
  // merges that name unknown tokens), Unsupported (a component this class does not have, named), Limit. About 0.15 s
  // for 128,000 tokens.
  static Result<Tokenizer> parse(std::string_view tokenizer_json, std::string_view name);

  // From what a file says in another form; its strings are not kept. Errors: Corrupt, Limit, within `name`.
  static Result<Tokenizer> build(const tokenizer::TokenizerJsonView& view, std::string_view name);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Appends the ids of text. Never fails: bytes that are not UTF-8 become U+FFFD first, as in the reference tokenizers.
  // No BOS is added. Time grows with the length of the text (n log n in a run without any boundary). Thread-safe.
  void encode(std::string_view text, AddedTokens added, std::vector<TokenId>& ids) const;
  std::vector<TokenId> encode(std::string_view text, AddedTokens added) const;

  // The bytes of one token: content of an added token as it is, bytes of a BPE token undone from the byte alphabet.
  // Empty for an id outside the vocabulary.
  std::string_view token_bytes(TokenId id) const;
  bool is_added(TokenId id) const;
  bool is_special(TokenId id) const;  // added with the special flag; detokenisers usually drop these
  std::optional<TokenId> added_token(std::string_view content) const;

  // One past the largest id.
  int64_t vocab_size() const;

  // All ids to text; broken UTF-8 becomes U+FFFD. skip_special drops tokens with the special flag.
  std::string decode(std::span<const TokenId> ids, bool skip_special) const;

  // Bytes of memory that the tables take.
  uint64_t memory_bytes() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Decodes a stream of tokens: a token that ends inside a UTF-8 character waits for the rest.
class StreamDecoder {
 public:
  // The tokenizer must outlive this object.
  StreamDecoder(const Tokenizer& tokenizer, bool skip_special) : tokenizer_(&tokenizer), skip_special_(skip_special) {}

  // The text that became certain with this token; may be empty.
  std::string push(TokenId id);
  // What is still held back, as U+FFFD; the stream is empty afterwards.
  std::string finish();

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_;
  std::string held_;
};

}  // namespace hadal
