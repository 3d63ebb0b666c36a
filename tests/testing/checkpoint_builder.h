// A checkpoint in memory, taken from a folder and then bent: for tests of what a loader must refuse.
//
//   CheckpointBuilder builder = CheckpointBuilder::from(folder);
//   builder.tensor("norm.weight").shape = {65};
//   ModelFiles files = builder.files();   // lives no longer than the builder
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <list>
#include <string>
#include <vector>

#include "base/json.h"
#include "formats/checkpoint.h"
#include "formats/safetensors.h"

namespace hadal::test {

// A value that the test cannot go on without.
template <class T>
T must(Result<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << result.error().to_string();
    std::abort();
  }
  return std::move(result).value();
}

struct BuilderTensor {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::string bytes;

  // Makes the bytes fit the shape: cut, or filled with zeros.
  void fit() { bytes.resize(TensorToWrite{name, dtype, shape}.bytes()); }
};

class CheckpointBuilder {
 public:
  static CheckpointBuilder from(const fs::path& folder) {
    CheckpointBuilder builder;
    ModelFiles files = must(ModelFiles::open(folder));
    builder.config = must(json::parse(must(files.text("config.json", 1 << 20)), "config.json"));
    const Checkpoint checkpoint = must(Checkpoint::open(files));
    for (const StoredTensor& tensor : checkpoint.tensors()) {
      builder.tensors.push_back({std::string(tensor.name), tensor.dtype, tensor.shape,
                                 std::string(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size())});
    }
    return builder;
  }

  BuilderTensor& tensor(std::string_view name) {
    const auto found =
        std::find_if(tensors.begin(), tensors.end(), [&](const BuilderTensor& t) { return t.name == name; });
    if (found == tensors.end()) {
      ADD_FAILURE() << "no tensor " << name;
      std::abort();
    }
    return *found;
  }

  void erase(std::string_view name) {
    std::erase_if(tensors, [&](const BuilderTensor& t) { return t.name == name; });
  }

  // The files as they stand, the tensors in one model.safetensors.
  ModelFiles files() {
    std::vector<TensorToWrite> headers;
    for (const BuilderTensor& t : tensors) headers.push_back({t.name, t.dtype, t.shape});
    std::string& file = kept_.emplace_back(safetensors_header(headers, {}));
    for (const BuilderTensor& t : tensors) file += t.bytes;
    std::string& text = kept_.emplace_back(json::dump(config));
    list_ = {{"config.json", std::as_bytes(std::span(text))}, {"model.safetensors", std::as_bytes(std::span(file))}};
    return ModelFiles::embedded("test", list_);
  }

  json::Value config;
  std::vector<BuilderTensor> tensors;

 private:
  std::list<std::string> kept_;
  std::vector<EmbeddedFile> list_;
};

}  // namespace hadal::test
