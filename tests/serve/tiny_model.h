// The embedded model, for tests that serve it.
#pragma once

#include <memory>
#include <string>

#include "base/check.h"
#include "engine/engine.h"

namespace hadal::testing {

inline std::shared_ptr<const LoadedModel> tiny_model() {
  static const std::shared_ptr<const LoadedModel> kModel = [] {
    Result<ModelFiles> files = ModelFiles::open(std::string(HADAL_SOURCE_DIR) + "/models/v4-tiny");
    HADAL_CHECK(files.ok(), files.error().to_string());
    auto model = LoadedModel::open(std::move(files).value());
    HADAL_CHECK(model.ok(), model.error().to_string());
    return std::move(model).value();
  }();
  return kModel;
}

inline Engine tiny_engine(int64_t context_tokens, int64_t chunk_tokens = 512) {
  EngineOptions options;
  options.context_tokens = context_tokens;
  options.chunk_tokens = chunk_tokens;
  options.n_threads = 2;
  Result<Engine> engine = Engine::create(tiny_model(), options);
  HADAL_CHECK(engine.ok(), engine.error().to_string());
  return std::move(engine).value();
}

}  // namespace hadal::testing
