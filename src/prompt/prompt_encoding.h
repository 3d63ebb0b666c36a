// Messages to prompt tokens: a closed renderer per model family, never a template from the checkpoint.
//
// A prompt is a list of pieces. Template pieces (role markers, tool instructions) are encoded with added tokens
// recognised; pieces that users or tools control are encoded as plain text, so that "<｜User｜>" typed by a user stays
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
enum class PromptGeneration { kV4Preview, kV4Release0731 };

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
  std::vector<PromptPiece> pieces;  // neighbours differ in is_template
  bool starts_in_reasoning = false;  // the prompt ends with <think>
  // Piece index and byte offset after which each message's part is complete: where a prefix cache may cut.
  std::vector<size_t> message_ends;  // byte offsets into text()

  std::string text() const;  // all pieces joined
};

// Renders a conversation in V4's encoding. Errors: Invalid (unknown task, empty developer content, low effort in the
// preview generation, arguments that are JSON but no object, conversation that ends in a system message), naming the
// message by index.
Result<Prompt> render_v4_prompt(std::span<const Message> messages, const PromptOptions& options);

// Template pieces with added tokens recognised, user pieces as text.
std::vector<TokenId> encode_prompt(const Tokenizer& tokenizer, const Prompt& prompt);

}  // namespace hadal
