#include "embedded_model.h"

// Defined in embedded_model.S.
extern "C" {
extern const std::byte hadal_embedded_config_begin[], hadal_embedded_config_end[];
extern const std::byte hadal_embedded_generation_begin[], hadal_embedded_generation_end[];
extern const std::byte hadal_embedded_tokenizer_begin[], hadal_embedded_tokenizer_end[];
extern const std::byte hadal_embedded_weights_begin[], hadal_embedded_weights_end[];
}

namespace hadal::cli {

ModelFiles embedded_model() {
  static const EmbeddedFile kFiles[] = {
      {"config.json", {hadal_embedded_config_begin, hadal_embedded_config_end}},
      {"generation_config.json", {hadal_embedded_generation_begin, hadal_embedded_generation_end}},
      {"tokenizer.json", {hadal_embedded_tokenizer_begin, hadal_embedded_tokenizer_end}},
      {"model.safetensors", {hadal_embedded_weights_begin, hadal_embedded_weights_end}},
  };
  return ModelFiles::embedded(kEmbeddedModelName, kFiles);
}

}  // namespace hadal::cli
