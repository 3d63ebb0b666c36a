// libcurl, opened when something is fetched. Linked in the ordinary way it and the thirty libraries below it cost every
// start of `hadal` 6 ms (measured: an empty program, 0.6 ms alone, 6.9 ms with -lcurl), and no other command needs it.
#pragma once

#include <curl/curl.h>

#include "base/result.h"

namespace hadal::hub {

// The functions in use, by libcurl's names without their prefix.
struct CurlLibrary {
  decltype(&::curl_easy_init) easy_init = nullptr;
  decltype(&::curl_easy_setopt) easy_setopt = nullptr;
  decltype(&::curl_easy_perform) easy_perform = nullptr;
  decltype(&::curl_easy_getinfo) easy_getinfo = nullptr;
  decltype(&::curl_easy_reset) easy_reset = nullptr;
  decltype(&::curl_easy_cleanup) easy_cleanup = nullptr;
  decltype(&::curl_easy_strerror) easy_strerror = nullptr;
  decltype(&::curl_slist_append) slist_append = nullptr;
  decltype(&::curl_slist_free_all) slist_free_all = nullptr;

  // Opens libcurl.so.4 once and keeps it. NotFound, with the package that brings it. Any thread.
  static Result<const CurlLibrary*> open();
};

}  // namespace hadal::hub
