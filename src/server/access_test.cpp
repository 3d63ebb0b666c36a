// Routes, keys, rates and the store of responses: what is decided before an engine is asked.

#include <gtest/gtest.h>

#include "server/keys.h"
#include "server/response_store.h"
#include "server/routes.h"

namespace hadal::server {
namespace {

TEST(Routes, PathsOfEachClient) {
  EXPECT_EQ(find_route("POST", "/v1/chat/completions").name, RouteName::kChatCompletions);
  EXPECT_EQ(find_route("POST", "/chat/completions").name, RouteName::kChatCompletions);
  EXPECT_EQ(find_route("POST", "/beta/completions").name, RouteName::kCompletions);
  EXPECT_EQ(find_route("POST", "/v1/messages/").name, RouteName::kMessages);
  EXPECT_EQ(find_route("GET", "/models/a/b:c").argument, "a/b:c");
  EXPECT_EQ(find_route("HEAD", "/").name, RouteName::kRoot);
  EXPECT_EQ(find_route("DELETE", "/v1/responses/resp_1").name, RouteName::kResponse);
  EXPECT_TRUE(find_route("GET", "/v1/responses/resp_1/input_items").wants_items);
  EXPECT_EQ(find_route("GET", "/v1/chat/completions").name, RouteName::kWrongMethod);
  EXPECT_EQ(find_route("GET", "/v1/chat/completions").allowed, "POST");
  EXPECT_EQ(find_route("GET", "/nowhere").name, RouteName::kNone);
  EXPECT_EQ(find_route("POST", "/api/none").dialect, Dialect::kOllama);
}

TEST(KeyRing, BearerOrHeaderInAnyCase) {
  const KeyRing ring = KeyRing::of("secret");
  EXPECT_NE(ring.find("Bearer secret", ""), nullptr);
  EXPECT_NE(ring.find("bearer secret", ""), nullptr);
  EXPECT_NE(ring.find("", "secret"), nullptr);
  EXPECT_EQ(ring.find("Basic secret", ""), nullptr);
  EXPECT_EQ(ring.find("", ""), nullptr);
  EXPECT_EQ(KeyRing().find("", "")->name, "local");
}

TEST(RateLimits, BucketsFillWithTime) {
  RateLimits limits;
  Key key;
  key.name = "a";
  key.requests_per_minute = 2;
  key.tokens_per_minute = 600;
  EXPECT_FALSE(limits.take(key, 100, 0));
  EXPECT_FALSE(limits.take(key, 100, 0));
  const std::optional<double> wait_s = limits.take(key, 100, 0);
  ASSERT_TRUE(wait_s);
  EXPECT_NEAR(*wait_s, 30, 1e-6);
  EXPECT_FALSE(limits.take(key, 100, 30));
  // More tokens than a minute has: when the bucket is full, and then for long nothing.
  EXPECT_FALSE(limits.take(key, 5000, 60));
  EXPECT_TRUE(limits.take(key, 1, 200));
  EXPECT_FALSE(limits.take(key, 1, 600));
  // A clock that goes back stands still: one request of the minute's two is left.
  EXPECT_FALSE(limits.take(key, 1, 10));
  EXPECT_TRUE(limits.take(key, 1, 20));
}

StoredResponse response(const std::string& id, size_t bytes = 10) {
  StoredResponse stored;
  stored.id = id;
  stored.body = json::Value::string(std::string(bytes, 'x'));
  return stored;
}

TEST(ResponseStore, BoundedByCountTimeAndScope) {
  ResponseStore store;
  store.put("a", response("1"), 0);
  EXPECT_TRUE(store.get("a", "1", 10));
  EXPECT_FALSE(store.get("b", "1", 10));
  EXPECT_FALSE(store.get("a", "1", ResponseStore::kSecondsMax + 1));
  for (size_t i = 0; i < ResponseStore::kResponsesMax; ++i) store.put("a", response("n" + std::to_string(i)), 1);
  EXPECT_FALSE(store.get("a", "1", 2));
  EXPECT_TRUE(store.get("a", "n0", 2));
  EXPECT_TRUE(store.remove("a", "n0"));
  EXPECT_FALSE(store.remove("a", "n0"));
}

TEST(ResponseStore, BoundedByBytes) {
  ResponseStore store;
  store.put("a", response("big", ResponseStore::kBytesMax / 2), 0);
  store.put("a", response("bigger", ResponseStore::kBytesMax * 3 / 4), 0);
  EXPECT_FALSE(store.get("a", "big", 1));
  EXPECT_TRUE(store.get("a", "bigger", 1));
}

}  // namespace
}  // namespace hadal::server
