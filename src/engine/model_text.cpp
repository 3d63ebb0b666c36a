#include "engine/model_text.h"

#include <fmt/format.h>

#include "model/gguf/gguf_tokenizer.h"
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
Result<std::string> read_template_files(ModelFiles& files) {
  if (files.has(kTemplateFile)) {
    HADAL_ASSIGN(const std::string_view text, files.text(kTemplateFile, kTemplateBytesMax));
    return std::string(text);
  }
  if (!files.has(kTokenizerConfig)) return std::string();
  HADAL_ASSIGN(const std::string_view text, files.text(kTokenizerConfig, kTemplateBytesMax));
  HADAL_ASSIGN(const json::Value config, json::parse(text, files.place() + "/" + std::string(kTokenizerConfig)));
  return template_of(config);
}

Result<void> check_vocabulary(const Tokenizer& tokenizer, const ModelDescription& description, std::string place,
                              std::string_view config) {
  if (tokenizer.vocab_size() <= description.vocab_size) return {};
  return Error{.code = ErrorCode::kInvalid,
               .what = "the tokenizer has more tokens than the model",
               .in = std::move(place),
               .want = fmt::format("at most {} (vocab_size of {})", description.vocab_size, config),
               .found = std::to_string(tokenizer.vocab_size()),
               .hint = fmt::format("tokenizer and {} belong to different models", config)};
}

}  // namespace

Result<std::optional<Tokenizer>> read_tokenizer(ModelFiles& files, const GgufFile* gguf,
                                                const ModelDescription& description) {
  if (gguf != nullptr) {
    HADAL_ASSIGN(std::optional<Tokenizer> tokenizer, parse_gguf_tokenizer(*gguf, files.place()));
    if (tokenizer) HADAL_TRY(check_vocabulary(*tokenizer, description, files.place(), "the metadata"));
    return tokenizer;
  }
  if (!files.has(kTokenizer)) return std::optional<Tokenizer>();
  HADAL_ASSIGN(const std::string_view text, files.text(kTokenizer, kTokenizerBytesMax));
  const std::string place = files.place() + "/" + std::string(kTokenizer);
  HADAL_ASSIGN(Tokenizer tokenizer, Tokenizer::parse(text, place));
  HADAL_TRY(check_vocabulary(tokenizer, description, place, "config.json"));
  return std::optional<Tokenizer>(std::move(tokenizer));
}

Result<std::string> read_chat_template(ModelFiles& files, const GgufFile* gguf) {
  if (gguf == nullptr) return read_template_files(files);
  const GgufValue* value = gguf->find(kGgufChatTemplateKey);
  return std::string(value == nullptr ? std::string_view() : value->as_string().value_or(""));
}

Result<PromptEncoding> find_prompt_encoding(ModelFiles& files, const GgufFile* gguf,
                                            const ModelDescription& description, const Tokenizer* tokenizer) {
  EncodingClues clues;
  clues.family = description.family;
  HADAL_ASSIGN(clues.chat_template, read_chat_template(files, gguf));
  clues.has_rounded_scales = description.activation_scale == ActivationScale::kPowerOfTwo;
  clues.has_think_token = tokenizer != nullptr && tokenizer->added_token(marker::kThink).has_value();
  return choose_encoding(clues);
}

}  // namespace hadal
