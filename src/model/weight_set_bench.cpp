// Opening and binding a whole DeepSeek-V4-Flash: 148.6 GiB in 44 files of which only headers, vectors, scales and token
// tables are read. The files are sparse; pages are cached after the first round, so this is the work of the processor.
#include <benchmark/benchmark.h>

#include <fstream>

#include "formats/checkpoint.h"
#include "model/synth.h"
#include "model/weight_set.h"
#include "testing/temp_folder.h"

namespace hadal {
namespace {

// Headers and token tables as synth writes them, zeros elsewhere.
void write_sparse_shard(const SynthPlan::Shard& shard, const fs::path& path) {
  std::vector<TensorToWrite> headers;
  for (const ProceduralTensor& tensor : shard.tensors) headers.push_back(tensor.stored);
  std::ofstream file(path, std::ios::binary);
  const std::string header = safetensors_header(headers, {});
  file << header;
  uint64_t offset = header.size();
  for (const ProceduralTensor& tensor : shard.tensors) {
    if (tensor.recipe == ProceduralTensor::Recipe::kExpertIds) {
      std::vector<std::byte> bytes(tensor.stored.bytes());
      fill_procedural(tensor, 0, bytes);
      file.seekp(static_cast<std::streamoff>(offset));
      file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }
    offset += tensor.stored.bytes();
  }
  file.close();
  fs::resize_file(path, offset);
}

void open_and_bind_v4_flash(benchmark::State& state) {
  const test::TempFolder folder;
  Result<SynthPlan> plan = plan_synth({.geometry = "v4-flash"});
  json::Object map;
  for (const SynthPlan::Shard& shard : plan->shards) {
    write_sparse_shard(shard, folder / shard.name);
    for (const ProceduralTensor& t : shard.tensors) map.emplace_back(t.stored.name, json::Value::string(shard.name));
  }
  json::Value index = json::Value::object();
  index.set("weight_map", json::Value::object(std::move(map)));
  folder.write("model.safetensors.index.json", json::dump(index));

  const bool binds = state.range(0) != 0;
  for (auto _ : state) {
    Result<ModelFiles> files = ModelFiles::open(folder.path());
    Result<Checkpoint> checkpoint = Checkpoint::open(*files);
    if (!checkpoint.ok()) return state.SkipWithError(checkpoint.error().to_string().c_str());
    if (binds) {
      const Result<WeightSet> weights = WeightSet::bind(plan->description, *checkpoint);
      if (!weights.ok()) return state.SkipWithError(weights.error().to_string().c_str());
    }
    state.counters["tensors"] = static_cast<double>(checkpoint->tensors().size());
  }
}
BENCHMARK(open_and_bind_v4_flash)->ArgName("bind")->Arg(0)->Arg(1)->Iterations(5)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace hadal
