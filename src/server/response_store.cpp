#include "server/response_store.h"

#include <algorithm>

namespace hadal::server {
namespace {

size_t bytes_of(const StoredResponse& response) {
  size_t bytes = json::dump(response.body).size() + json::dump(response.input_items).size();
  for (const Message& message : response.messages) bytes += json::dump(message_to_json(message)).size();
  return bytes;
}

}  // namespace

void ResponseStore::put(const std::string& scope, StoredResponse response, double now_s) {
  const size_t bytes = bytes_of(response);
  const std::lock_guard lock(mutex_);
  Shelf& shelf = shelves_[scope];
  shelf.entries.push_front({std::move(response), bytes, now_s});
  shelf.bytes += bytes;
  while (!shelf.entries.empty() && (shelf.entries.size() > kResponsesMax || shelf.bytes > kBytesMax)) {
    shelf.bytes -= shelf.entries.back().bytes;
    shelf.entries.pop_back();
  }
}

std::optional<StoredResponse> ResponseStore::get(const std::string& scope, const std::string& id, double now_s) {
  const std::lock_guard lock(mutex_);
  const auto shelf = shelves_.find(scope);
  if (shelf == shelves_.end()) return std::nullopt;
  std::list<Entry>& entries = shelf->second.entries;
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.response.id == id; });
  if (found == entries.end() || now_s - found->since_s > kSecondsMax) return std::nullopt;
  entries.splice(entries.begin(), entries, found);
  return found->response;
}

bool ResponseStore::remove(const std::string& scope, const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto shelf = shelves_.find(scope);
  if (shelf == shelves_.end()) return false;
  std::list<Entry>& entries = shelf->second.entries;
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.response.id == id; });
  if (found == entries.end()) return false;
  shelf->second.bytes -= found->bytes;
  entries.erase(found);
  return true;
}

}  // namespace hadal::server
