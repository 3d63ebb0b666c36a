#include "engine/model_text.h"

#include "prompt/choose_encoding.h"
#include "prompt/markers.h"

namespace hadal {
namespace {

constexpr std::string_view kTokenizerConfig = "tokenizer_config.json";
constexpr std::string_view kTemplateFile = "chat_template.jinja";
constexpr uint64_t kTemplateBytesMax = 16 << 20;
constexpr std::string_view kTokenizer = "tokenizer.json";
constexpr uint64_t kTokenizerBytesMax = 256 << 20;

// "chat_template": a text, or a list of {"name", "template"} of which one is the default.
std::string template_of(const json::Value& config) {
  const json::Value* value = config.find("chat_template");
  if (value == nullptr) return {};
  for (const json::Value& named : value->items()) {
    const json::Value* name = named.find("name");
    const json::Value* text = named.find("template");
    if (name != nullptr && name->as_string() == "default" && text != nullptr) return text->as_string();
  }
  return value->as_string();
}

// The file of its own is what newer checkpoints have; it wins, as in transformers.
Result<std::string> read_chat_template(ModelFiles& files) {
  if (files.has(kTemplateFile)) {
    HADAL_ASSIGN(const std::string_view text, files.text(kTemplateFile, kTemplateBytesMax));
    return std::string(text);
  }
  if (!files.has(kTokenizerConfig)) return std::string();
  HADAL_ASSIGN(const std::string_view text, files.text(kTokenizerConfig, kTemplateBytesMax));
  HADAL_ASSIGN(const json::Value config, json::parse(text, files.place() + "/" + std::string(kTokenizerConfig)));
  return template_of(config);
}

}  // namespace

Result<std::optional<Tokenizer>> read_tokenizer(ModelFiles& files, const ModelDescription& description) {
  if (!files.has(kTokenizer)) return std::optional<Tokenizer>();
  HADAL_ASSIGN(const std::string_view text, files.text(kTokenizer, kTokenizerBytesMax));
  const std::string place = files.place() + "/" + std::string(kTokenizer);
  HADAL_ASSIGN(Tokenizer tokenizer, Tokenizer::parse(text, place));
  if (tokenizer.vocab_size() > description.vocab_size) {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "the tokenizer has more tokens than the model",
                 .in = place,
                 .want = "at most " + std::to_string(description.vocab_size) + " (vocab_size of config.json)",
                 .found = std::to_string(tokenizer.vocab_size()),
                 .hint = "tokenizer.json and config.json belong to different models"};
  }
  return std::optional<Tokenizer>(std::move(tokenizer));
}

Result<PromptEncoding> find_prompt_encoding(ModelFiles& files, const ModelDescription& description,
                                            const Tokenizer* tokenizer) {
  EncodingClues clues;
  clues.family = description.family;
  HADAL_ASSIGN(clues.chat_template, read_chat_template(files));
  clues.has_rounded_scales = description.activation_scale == ActivationScale::kPowerOfTwo;
  clues.has_think_token = tokenizer != nullptr && tokenizer->added_token(marker::kThink).has_value();
  return choose_encoding(clues);
}

}  // namespace hadal
