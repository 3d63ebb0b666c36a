// Configs from strangers: translating one never crashes, what comes out is valid, asks for tensors of positive size in
// a bounded number, and binding an empty checkpoint to it fails with an error.
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "formats/checkpoint.h"
#include "formats/safetensors.h"
#include "model/model_description.h"
#include "model/weight_set.h"

namespace {

using namespace hadal;

// Names of this many experts are written out in a moment; more would only slow the search down.
constexpr int64_t kExpertsListedMax = 2000;

void check_description(const ModelDescription& d) {
  HADAL_CHECK(validate(d, "fuzz").ok(), "not valid");
  HADAL_CHECK(description_identity(d).size() == 64, "identity");
  const int64_t n_experts = d.n_routed_experts * static_cast<int64_t>(d.layers.size() + d.mtp_layers.size());
  if (n_experts > kExpertsListedMax) return;
  for (const ExpectedTensor& tensor : expected_tensors(d)) {
    int64_t elements = 1;
    for (const int64_t size : tensor.shape) {
      HADAL_CHECK(size > 0 && !__builtin_mul_overflow(elements, size, &elements), "size of", tensor.official_name);
    }
  }
}

void check_binding(const ModelDescription& d) {
  static const std::string kEmpty = safetensors_header({}, {});
  static const std::vector<EmbeddedFile> kFiles = {{"model.safetensors", std::as_bytes(std::span(kEmpty))}};
  ModelFiles files = ModelFiles::embedded("fuzz", kFiles);
  const Result<Checkpoint> checkpoint = Checkpoint::open(files);
  HADAL_CHECK(checkpoint.ok(), "an empty checkpoint");
  HADAL_CHECK(!WeightSet::bind(d, *checkpoint).ok(), "nothing was bound");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<json::Value> config = json::parse(text, "fuzz");
  if (!config.ok()) return 0;
  const Result<ModelDescription> d = parse_model_config(*config, "fuzz");
  if (!d.ok()) return 0;
  check_description(*d);
  check_binding(*d);
  return 0;
}
