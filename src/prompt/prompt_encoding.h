// Messages to prompt tokens: a closed renderer per model family, never a template from the checkpoint.
//
// A prompt is a list of pieces. In template pieces (role markers, tool instructions) the spellings of added tokens
// become those tokens; pieces that users or tools control are plain text, so that "<｜User｜>" typed by a user stays
// text. Sources: encoding/encoding_dsv41.py, encoding_dsv4.py and encoding_dsv32.py of the releases, the chat templates
// of V3, R1 and V3.1; docs/prompt.md describes them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "prompt/message.h"
#include "tokenizer/tokenizer.h"

namespace hadal {

enum class ThinkingMode { kChat, kThinking };  // kChat: the answer comes without reasoning
enum class ReasoningEffort { kNone, kLow, kHigh, kMax };
inline constexpr int kEffortLevelMax = 100;

// How a release's conversations become text. choose_encoding.h says which one a checkpoint has.
enum class PromptEncoding {
  kV3,             // V3 and V3-0324
  kR1,             // R1: the prompt opens the reasoning
  kR1Release0528,  // R1-0528: the model opens it
  kV31,            // V3.1, V3.1-Terminus and V3.2-Exp
  kV32,            // V3.2
  kV4Preview,      // V4 of April 2026
  kV4Release0731,  // V4 of July 2026, which changed what efforts say
  kV41,            // V4.1
};
std::string_view prompt_encoding_name(PromptEncoding encoding);  // "v3", "r1", "r1-0528", "v3.1", "v3.2", ...

struct PromptOptions {
  PromptEncoding encoding = PromptEncoding::kV4Preview;
  ThinkingMode thinking = ThinkingMode::kChat;
  ReasoningEffort effort = ReasoningEffort::kNone;
  int effort_level = 0;       // V4.1: 1..100, the higher the more thorough; 0: what `effort` stands for
  bool drop_thinking = true;  // V4: reasoning of earlier turns is dropped, unless tools are declared
  bool add_bos = true;
};

struct PromptPiece {
  std::string text;
  bool is_template = true;  // false: user-controlled
  friend bool operator==(const PromptPiece&, const PromptPiece&) = default;
};

struct Prompt {
  std::vector<PromptPiece> pieces;   // neighbours differ in is_template
  bool starts_in_reasoning = false;  // the prompt ends with <think>, and perhaps a line feed
  // For each message the offset into text() at which it and all before it are complete, in front of the header of the
  // reply: where a prefix cache may cut. Never decreases; a message that renders as nothing ends where the one before
  // it does.
  std::vector<size_t> message_ends;

  std::string text() const;  // all pieces joined
};

// Renders a conversation. R1 always reasons, whatever options.thinking says. Errors: Invalid, naming the message by
// index (no message, one that the encoding does not have, a tool without `function`, tool results that are not those of
// the calls, a conversation that ends in a system message, ...), `thinking` (V3 has no reasoning) or
// `reasoning_effort` (an effort that the encoding does not have, a level outside 1..100 or for another than V4.1).
Result<Prompt> render_prompt(std::span<const Message> messages, const PromptOptions& options);

// Added tokens come from template pieces only. Between them, text is encoded across the borders of pieces: a prompt
// without spelled-out markers in its contents gives the ids that the reference tokenizer gives for text().
std::vector<TokenId> encode_prompt(const Tokenizer& tokenizer, const Prompt& prompt);

// For each of prompt.message_ends how many of ids = encode_prompt(...) lie wholly before it: a token that reaches over
// the border (a user's full stop and the blank line behind it) is not counted. O(ids).
std::vector<size_t> message_end_tokens(const Tokenizer& tokenizer, const Prompt& prompt, std::span<const TokenId> ids);

}  // namespace hadal
