// From a rendered prompt to its tokens.
#include "prompt/prompt_encoding.h"

namespace hadal {
namespace {

// Gathers the text between two added tokens and encodes it in one go: the pre-tokenizer must see it whole, because
// "Sys." of a user and the "\n\n" behind it share a token (".\n\n") in what the models were trained on.
class RunEncoder {
 public:
  explicit RunEncoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  void text(std::string_view text) { run_ += text; }

  void added(TokenId id) {
    end_run();
    ids_.push_back(id);
  }

  std::vector<TokenId> finish() {
    end_run();
    return std::move(ids_);
  }

 private:
  void end_run() {
    if (!run_.empty()) tokenizer_.encode(run_, AddedTokens::kAsText, ids_);
    run_.clear();
  }

  const Tokenizer& tokenizer_;
  std::string run_;
  std::vector<TokenId> ids_;
};

}  // namespace

std::vector<TokenId> encode_prompt(const Tokenizer& tokenizer, const Prompt& prompt) {
  RunEncoder out(tokenizer);
  for (const PromptPiece& piece : prompt.pieces) {
    if (!piece.is_template) {
      out.text(piece.text);
      continue;
    }
    // Encoding finds the added tokens of a template piece; the rest goes back to bytes and joins its neighbours.
    for (const TokenId id : tokenizer.encode(piece.text, AddedTokens::kRecognise)) {
      if (tokenizer.is_added(id)) {
        out.added(id);
      } else {
        out.text(tokenizer.token_bytes(id));
      }
    }
  }
  return out.finish();
}

std::vector<size_t> message_end_tokens(const Tokenizer& tokenizer, const Prompt& prompt, std::span<const TokenId> ids) {
  std::vector<size_t> ends;
  ends.reserve(prompt.message_ends.size());
  size_t n_tokens = 0;
  size_t bytes = 0;
  for (const size_t end : prompt.message_ends) {
    while (n_tokens < ids.size()) {
      const size_t next = bytes + tokenizer.token_bytes(ids[n_tokens]).size();
      if (next > end) break;
      bytes = next;
      ++n_tokens;
    }
    ends.push_back(n_tokens);
  }
  return ends;
}

}  // namespace hadal
