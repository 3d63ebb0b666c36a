#include "prompt/choose_encoding.h"

namespace hadal {
namespace {

// Only V3.1 closes the reasoning right behind the assistant's marker, only R1 opens it there in one literal.
constexpr std::string_view kV31Header = "<｜Assistant｜></think>";
constexpr std::string_view kR1Header = "<｜Assistant｜><think>";

PromptEncoding choose_of_v3(const EncodingClues& clues) {
  const auto has = [&](std::string_view text) { return clues.chat_template.find(text) != std::string::npos; };
  if (has(kV31Header)) return PromptEncoding::kV31;
  if (has(kR1Header)) return PromptEncoding::kR1;
  if (has("</think>")) return PromptEncoding::kR1Release0528;
  if (!clues.chat_template.empty() || !clues.has_think_token) return PromptEncoding::kV3;
  return clues.has_rounded_scales ? PromptEncoding::kV31 : PromptEncoding::kR1;
}

}  // namespace

PromptEncoding choose_encoding(const EncodingClues& clues) {
  if (clues.family == "deepseek_v3") return choose_of_v3(clues);
  if (clues.family == "deepseek_v32") {
    const bool is_experimental = clues.chat_template.find(kV31Header) != std::string::npos;
    return is_experimental ? PromptEncoding::kV31 : PromptEncoding::kV32;
  }
  if (clues.family == "deepseek_v41") return PromptEncoding::kV41;
  return PromptEncoding::kV4Preview;
}

}  // namespace hadal
