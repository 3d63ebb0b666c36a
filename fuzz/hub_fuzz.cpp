// What a hub sends: its answer about a repository, an index, headers, addresses, and the manifest and names that follow
// from it. Nothing crashes, and what is let through is what its callers rely on.
#include <cstdint>
#include <string_view>

#include "base/base_name.h"
#include "base/check.h"
#include "hub/http_client.h"
#include "hub/manifest.h"
#include "hub/repository.h"

namespace {

using namespace hadal::hub;

void check_names(const std::vector<HubFile>& files) {
  for (const HubFile& file : files) {
    HADAL_CHECK(hadal::is_base_name(file.name), "a name that leaves the folder", file.name);
    HADAL_CHECK(file.path.find("..") == 0 ? file.path.size() > 2 && file.path[2] != '/' : true, "a way up", file.path);
    HADAL_CHECK(file.bytes <= kFileBytesMax, "a file beyond the limit", file.bytes);
  }
}

void check_repository(std::string_view text) {
  const auto repository = parse_repository(text, "fuzz");
  if (!repository.ok()) return;
  check_names(repository->files);
  check_names(small_files(*repository));
  for (const std::string_view index : {std::string_view(), text}) {
    if (const auto files = weight_files(*repository, index); files.ok()) check_names(*files);
  }
  (void)check_files(repository->files);
}

void check_url(std::string_view text) {
  const auto url = parse_url(text);
  if (!url.ok()) return;
  HADAL_CHECK(url->scheme == "https" || is_loopback(*url), "in the clear to", url->host);
  const auto again = parse_url(url->text());
  HADAL_CHECK(again.ok() && again->text() == url->text(), "reads back as another address:", url->text());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_repository(text);
  check_url(text);
  (void)parse_model_name(text);
  (void)parse_content_range(text);
  (void)parse_content_length(text);
  (void)parse_retry_after(text);
  if (const auto model = parse_manifest(text, "fuzz"); model.ok()) {
    check_names(model->files);
    HADAL_CHECK(parse_manifest(manifest_text(*model), "fuzz").ok(), "does not read back", text);
  }
  return 0;
}
