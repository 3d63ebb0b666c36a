#include "hub/curl_library.h"

#include <dlfcn.h>

namespace hadal::hub {
namespace {

Error missing(const char* why) {
  return {.code = ErrorCode::kNotFound,
          .what = "libcurl is not installed",
          .in = "libcurl.so.4",
          .want = "libcurl 7.85 or newer",
          .found = why == nullptr ? "an older one" : why,
          .hint = "apt-get install libcurl4; only `hadal pull` needs it"};
}

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

Result<CurlLibrary> load() {
  void* library = ::dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return missing(::dlerror());
  CurlLibrary curl;
  decltype(&::curl_global_init) global_init = nullptr;
  const bool has_all =
      find(library, "curl_global_init", global_init) && find(library, "curl_easy_init", curl.easy_init) &&
      find(library, "curl_easy_setopt", curl.easy_setopt) && find(library, "curl_easy_perform", curl.easy_perform) &&
      find(library, "curl_easy_getinfo", curl.easy_getinfo) && find(library, "curl_easy_reset", curl.easy_reset) &&
      find(library, "curl_easy_cleanup", curl.easy_cleanup) &&
      find(library, "curl_easy_strerror", curl.easy_strerror) &&
      find(library, "curl_slist_append", curl.slist_append) &&
      find(library, "curl_slist_free_all", curl.slist_free_all);
  if (!has_all || global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return missing(nullptr);
  return curl;
}

}  // namespace

Result<const CurlLibrary*> CurlLibrary::open() {
  static const Result<CurlLibrary> library = load();  // never closed: OpenSSL's exit handlers live in it
  if (!library.ok()) return library.error();
  return &library.value();
}

}  // namespace hadal::hub
