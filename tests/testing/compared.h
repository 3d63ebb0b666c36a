// A model against the golden vectors of a folder of tests/data.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "base/io.h"
#include "engine/compare.h"

namespace hadal::test {

// A report that does not pass when the goldens cannot be read.
inline CompareReport compared(const std::shared_ptr<const LoadedModel>& model, const fs::path& goldens_folder,
                              const CompareOptions& options) {
  const Result<MappedFile> file = MappedFile::open(goldens_folder / "goldens.safetensors");
  EXPECT_TRUE(file.ok());
  const Result<Goldens> goldens = Goldens::parse(file->bytes(), "goldens.safetensors");
  EXPECT_TRUE(goldens.ok());
  const Result<std::string> text = read_file(goldens_folder / "goldens.json", 1 << 24);
  EXPECT_TRUE(text.ok());
  const Result<json::Value> about = json::parse(*text, "goldens.json");
  const Result<CompareReport> report = compare_with_goldens(model, *goldens, *about, options, [](int64_t, int64_t) {});
  EXPECT_TRUE(report.ok()) << (report.ok() ? "" : report.error().to_string());
  return report.ok() ? *report : CompareReport{.pass = false};
}

}  // namespace hadal::test
