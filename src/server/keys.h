// Who may use the server: keys, what each may do, and how fast.
//
// The file has one key a line, "name:SHA-256 of the key in hex[:class[:requests a minute[:tokens a minute]]]"; '#'
// begins a comment. Classes: interactive, normal, batch. Keys themselves are nowhere kept. Rates are pure logic: time
// comes as an argument.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "engine/schedule/scheduler.h"

namespace hadal::server {

struct Key {
  std::string name;
  Sha256 hash = {};
  Priority priority = Priority::kNormal;
  double requests_per_minute = 0;  // 0: no limit
  double tokens_per_minute = 0;
};

class KeyRing {
 public:
  // Errors: Corrupt with file and line; Invalid when others than the owner may read the file.
  static Result<KeyRing> read(const std::string& file);
  // One key, called "default".
  static KeyRing of(std::string_view key);

  bool is_empty() const { return keys_.empty(); }
  // The key that the headers give: "Bearer KEY" of Authorization, or x-api-key. Takes the same time whichever key it is
  // and whether it is one. Without keys everybody is "local".
  const Key* find(std::string_view authorization, std::string_view x_api_key) const;

 private:
  std::vector<Key> keys_;
  Key local_ = {.name = "local"};
};

// Token buckets of a minute, by key. Thread-safe.
class RateLimits {
 public:
  // Takes a request and its tokens; else how many seconds to wait.
  std::optional<double> take(const Key& key, double tokens, double now_s);

 private:
  struct Bucket {
    double requests = 0, tokens = 0;  // what is left
    double at_s = 0;
  };
  std::mutex mutex_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace hadal::server
