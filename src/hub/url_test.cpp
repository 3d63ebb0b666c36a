#include "hub/url.h"

#include <gtest/gtest.h>

#include "hub/http_client.h"
#include "hub/model_name.h"
#include "hub/retry.h"

namespace hadal::hub {
namespace {

TEST(Url, is_taken_apart_and_put_together) {
  for (const char* text : {"https://huggingface.co", "https://hub.example:8443/a/b?c=d%20e", "http://localhost:80801",
                           "http://127.0.0.1:5000/x", "http://[::1]:5000?x", "https://h"}) {
    const Result<Url> url = parse_url(text);
    if (std::string_view(text).ends_with("80801")) {
      EXPECT_FALSE(url.ok());
      continue;
    }
    ASSERT_TRUE(url.ok()) << text;
    EXPECT_EQ(url->text(), text);
  }
  EXPECT_EQ(parse_url("HTTPS://Hub.Example:443/A")->text(), "https://hub.example/A");
}

TEST(Url, that_could_be_misread_is_refused) {
  for (const char* text : {"",
                           "https://",
                           "https:///x",
                           "huggingface.co",
                           "ftp://h/x",
                           "file:///etc/passwd",
                           "http://example.com",
                           "https://user:pass@h/",
                           "https://h@evil/",
                           "https://h\\@evil/",
                           "https://h:0/",
                           "https://h:/",
                           "https://h:+1/",
                           "https://h:99999/",
                           "https://h/a b",
                           "https://h/\r\nX: y",
                           "https://h/#x",
                           "https://h_x/",
                           "https://.h/",
                           "http://127.0.0.1.evil.com/",
                           "http://127.1/",
                           "http://127..0.1/",
                           "http://localhost.evil/",
                           "https://h/\x80"}) {
    EXPECT_FALSE(parse_url(text).ok()) << text;
  }
}

TEST(Url, of_another_port_scheme_or_host_is_another_origin) {
  const Url url = *parse_url("https://hub.example/a");
  EXPECT_TRUE(is_same_origin(url, *parse_url("https://HUB.example:443/b?c")));
  EXPECT_FALSE(is_same_origin(url, *parse_url("https://hub.example:444/a")));
  EXPECT_FALSE(is_same_origin(url, *parse_url("https://hub.example.evil/a")));
}

TEST(Url, parts_of_a_path_are_encoded) {
  EXPECT_EQ(percent_encoded("a b/c?d#e%.safetensors"), "a%20b/c%3Fd%23e%25.safetensors");
}

TEST(ModelName, is_owner_name_and_perhaps_a_revision) {
  EXPECT_EQ(parse_model_name("deepseek-ai/DeepSeek-V4_x.1")->text(), "deepseek-ai/DeepSeek-V4_x.1");
  EXPECT_EQ(parse_model_name("a/b@refs/pr/1")->revision, "refs/pr/1");
}

TEST(ModelName, that_could_be_a_path_is_refused) {
  for (const char* text :
       {"",     "a",    "/",     "a/",   "/b",       "a/b/c",  "./b",    "../b",     "a/..",  "a/b..c", ".locks/b",
        "a/-b", "-a/b", "a b/c", "a/b@", "a/b@../c", "a/b@-x", "a/b@x/", "a/b@x//y", "a/b\n", "~/b",    "a/b@x?y"}) {
    EXPECT_FALSE(parse_model_name(text).ok()) << text;
  }
}

TEST(HttpHeaders, are_read_strictly) {
  EXPECT_EQ(parse_content_range("bytes 0-9/10"), (ContentRange{.first = 0, .last = 9, .total = 10}));
  for (const char* text : {"", "bytes", "bytes 0-9", "bytes 0-9/*", "bytes */10", "bytes 9-0/10", "bytes 0-10/10",
                           "bytes 0-9/10 ", "bytes -1-9/10", "bytes 0-9/18446744073709551616"}) {
    EXPECT_FALSE(parse_content_range(text)) << text;
  }
  EXPECT_EQ(parse_content_length("120"), 120u);
  for (const char* text : {"", "abc", "-1", "1 2", "+1", "18446744073709551616"}) {
    EXPECT_FALSE(parse_content_length(text)) << text;
  }
  EXPECT_EQ(parse_retry_after("120"), 120);
  for (const char* text : {"", "-1", "1.5", "99999999999", "Wed, 21 Oct 2026 07:28:00 GMT"}) {
    EXPECT_FALSE(parse_retry_after(text)) << text;
  }
}

TEST(Retry, waits_twice_as_long_each_time_up_to_a_bound) {
  const RetryPolicy policy{.tries_max = 6, .delay_ms_first = 500, .delay_ms_max = 3000, .retry_after_s_max = 60};
  EXPECT_EQ(retry_delay_ms(policy, 1, {}), 500);
  EXPECT_EQ(retry_delay_ms(policy, 3, {}), 2000);
  EXPECT_EQ(retry_delay_ms(policy, 5, {}), 3000);
  EXPECT_EQ(retry_delay_ms(policy, 6, {}), std::nullopt);
  EXPECT_EQ(retry_delay_ms(policy, 1, 60), 60'000) << "the server's wish comes first";
  EXPECT_EQ(retry_delay_ms(policy, 1, 61), std::nullopt) << "within bounds";
}

}  // namespace
}  // namespace hadal::hub
