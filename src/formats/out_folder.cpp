#include "formats/out_folder.h"

#include <system_error>
#include <utility>

#include "base/format.h"

namespace hadal {
namespace {

Error failed(std::string what, const fs::path& path, std::string found) {
  return Error{.code = ErrorCode::kIo,
               .what = std::move(what),
               .in = path.string(),
               .want = "",
               .found = std::move(found),
               .hint = ""};
}

}  // namespace

Result<OutFolder> OutFolder::create(const fs::path& path, uint64_t bytes_needed) {
  std::error_code error;
  OutFolder folder;
  folder.path_ = path;
  folder.is_ours_ = fs::create_directories(path, error);
  if (error) return failed("cannot make the folder", path, error.message());
  if (!fs::is_empty(path, error) || error) {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "folder is in use",
                 .in = path.string(),
                 .want = "a new or an empty folder",
                 .found = error ? error.message() : "files",
                 .hint = "name another folder; nothing is overwritten"};
  }
  const fs::space_info space = fs::space(path, error);
  if (!error && space.available < bytes_needed) {
    Error full = failed("not enough space on the disk", path, format_bytes(space.available) + " free");
    full.want = format_bytes(bytes_needed);
    full.hint = "free some space, name another disk, or ask for less";
    return full;
  }
  return folder;
}

OutFolder::OutFolder(OutFolder&& other) noexcept
    : path_(std::move(other.path_)),
      names_(std::move(other.names_)),
      is_ours_(std::exchange(other.is_ours_, false)),
      is_kept_(std::exchange(other.is_kept_, true)) {}

OutFolder::~OutFolder() {
  if (is_kept_) return;
  std::error_code ignored;
  for (const std::string& name : names_) fs::remove(path_ / name, ignored);
  if (is_ours_) fs::remove(path_, ignored);
}

Result<AtomicFile> OutFolder::file(const std::string& name) {
  names_.push_back(name);
  return AtomicFile::create(path_ / name);
}

Result<void> OutFolder::write_text(const std::string& name, std::string_view text) {
  HADAL_ASSIGN(AtomicFile out, file(name));
  HADAL_TRY(out.write(text));
  return out.commit();
}

}  // namespace hadal
