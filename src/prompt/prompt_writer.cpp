#include "prompt/prompt_writer.h"

#include "base/utf8.h"

namespace hadal {

std::string Prompt::text() const {
  std::string text;
  for (const PromptPiece& piece : pieces) text += piece.text;
  return text;
}

void PromptWriter::content(std::string_view text) {
  if (utf8::is_valid(text)) {
    append(text, /*is_template=*/false);
  } else {
    append(utf8::sanitize(text), /*is_template=*/false);
  }
}

bool PromptWriter::ends_with_markup(std::string_view suffix) const {
  return !pieces_.empty() && pieces_.back().is_template && pieces_.back().text.ends_with(suffix);
}

void PromptWriter::append(std::string_view text, bool is_template) {
  if (text.empty()) return;
  bytes_ += text.size();
  if (!pieces_.empty() && pieces_.back().is_template == is_template) {
    pieces_.back().text += text;
  } else {
    pieces_.push_back({.text = std::string(text), .is_template = is_template});
  }
}

}  // namespace hadal
