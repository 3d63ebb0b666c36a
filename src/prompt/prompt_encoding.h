// Messages to prompt tokens: a closed renderer per model family, never a template from the checkpoint.
//
// A prompt is a list of pieces. In template pieces (role markers, tool instructions) the spellings of added tokens
// become those tokens; pieces that users or tools control are plain text, so that "<｜User｜>" typed by a user stays
// text. Source: encoding/encoding_dsv4.py of the DeepSeek-V4 releases, described in docs/prompt.md.
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
// The effort prefixes changed between the releases of April 2026 (preview) and of July 2026 (0731).
// kOther: a model of another family, whose encoding has no renderer; it can only be given plain text.
enum class PromptGeneration { kV4Preview, kV4Release0731, kOther };

struct PromptOptions {
  PromptGeneration generation = PromptGeneration::kV4Preview;
  ThinkingMode thinking = ThinkingMode::kChat;
  ReasoningEffort effort = ReasoningEffort::kNone;
  bool drop_thinking = true;  // reasoning of earlier turns is dropped, unless tools are declared
  bool add_bos = true;
};

struct PromptPiece {
  std::string text;
  bool is_template = true;  // false: user-controlled
  friend bool operator==(const PromptPiece&, const PromptPiece&) = default;
};

struct Prompt {
  std::vector<PromptPiece> pieces;   // neighbours differ in is_template
  bool starts_in_reasoning = false;  // the prompt ends with <think>
  // For each message the offset into text() at which it and all before it are complete, in front of the header of the
  // reply: where a prefix cache may cut. Never decreases; a message that renders as nothing ends where the one before
  // it does.
  std::vector<size_t> message_ends;

  std::string text() const;  // all pieces joined
};

// Renders a conversation in V4's encoding. Arguments of a call that are no JSON object are shown to the model as one
// string parameter `arguments`. Errors: Invalid, naming the message by index (no message, unknown task, empty developer
// content, tool without `function`, conversation that ends in a system message) or `reasoning_effort` (low effort in
// the preview generation); Unsupported for kOther.
Result<Prompt> render_v4_prompt(std::span<const Message> messages, const PromptOptions& options);

// Added tokens come from template pieces only. Between them, text is encoded across the borders of pieces: a prompt
// without spelled-out markers in its contents gives the ids that the reference tokenizer gives for text().
std::vector<TokenId> encode_prompt(const Tokenizer& tokenizer, const Prompt& prompt);

// For each of prompt.message_ends how many of ids = encode_prompt(...) lie wholly before it: a token that reaches over
// the border (a user's full stop and the blank line behind it) is not counted. O(ids).
std::vector<size_t> message_end_tokens(const Tokenizer& tokenizer, const Prompt& prompt, std::span<const TokenId> ids);

}  // namespace hadal
