// A folder while a model is written into it: without keep(), what was put there is taken away again.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/io.h"
#include "base/result.h"

namespace hadal {

class OutFolder {
 public:
  // Makes the folder, or takes one that is empty. Errors: Invalid (in use), Io (cannot be made, fewer bytes free than
  // needed where the system tells).
  static Result<OutFolder> create(const fs::path& path, uint64_t bytes_needed);

  OutFolder(OutFolder&& other) noexcept;
  OutFolder& operator=(OutFolder&&) = delete;
  ~OutFolder();

  Result<AtomicFile> file(const std::string& name);
  Result<void> write_text(const std::string& name, std::string_view text);
  void keep() { is_kept_ = true; }

 private:
  OutFolder() = default;

  fs::path path_;
  std::vector<std::string> names_;
  bool is_ours_ = false;
  bool is_kept_ = false;
};

}  // namespace hadal
