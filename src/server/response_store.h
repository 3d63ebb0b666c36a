// Finished responses of /v1/responses, for previous_response_id and GET: in memory only, by key, bounded, for a day.
#pragma once

#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "prompt/message.h"

namespace hadal::server {

struct StoredResponse {
  std::string id;
  json::Value body;               // as it was sent
  json::Value input_items;        // of this request
  std::vector<Message> messages;  // the whole conversation, the answer included, without instructions
};

class ResponseStore {
 public:
  static constexpr size_t kResponsesMax = 1000;           // of a key
  static constexpr size_t kBytesMax = size_t{256} << 20;  // of a key
  static constexpr double kSecondsMax = 24 * 3600;

  void put(const std::string& scope, StoredResponse response, double now_s);
  std::optional<StoredResponse> get(const std::string& scope, const std::string& id, double now_s);
  bool remove(const std::string& scope, const std::string& id);

 private:
  struct Entry {
    StoredResponse response;
    size_t bytes;
    double since_s;
  };
  struct Shelf {
    std::list<Entry> entries;  // the latest used first
    size_t bytes = 0;
  };
  std::mutex mutex_;
  std::map<std::string, Shelf> shelves_;  // by scope
};

}  // namespace hadal::server
