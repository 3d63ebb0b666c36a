#include "terminal/chat_settings.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace hadal {
namespace {

constexpr int64_t kVocab = 129280;

Result<void> set(ChatSettings& settings, std::string_view name, std::string_view value) {
  return apply_setting(settings, name, value, {}, kVocab);
}

TEST(ChatSettings, each_setting_is_read_from_its_text) {
  ChatSettings settings;
  EXPECT_TRUE(set(settings, "temperature", "0.7").ok());
  EXPECT_TRUE(set(settings, "top_k", "40").ok());
  EXPECT_TRUE(set(settings, "top_p", ".95").ok());
  EXPECT_TRUE(set(settings, "min_p", "0.05").ok());
  EXPECT_TRUE(set(settings, "repetition_penalty", "1.1").ok());
  EXPECT_TRUE(set(settings, "repetition_window", "-1").ok());
  EXPECT_TRUE(set(settings, "presence_penalty", "-0.5").ok());
  EXPECT_TRUE(set(settings, "frequency_penalty", "0.25").ok());
  EXPECT_TRUE(set(settings, "seed", "18446744073709551615").ok());
  EXPECT_TRUE(set(settings, "max_tokens", "512").ok());
  EXPECT_TRUE(set(settings, "stop", "END").ok());
  EXPECT_EQ(settings.sampling.temperature, 0.7);
  EXPECT_EQ(settings.sampling.top_k, 40);
  EXPECT_EQ(settings.sampling.top_p, 0.95);
  EXPECT_EQ(settings.sampling.min_p, 0.05);
  EXPECT_EQ(settings.sampling.repetition_penalty, 1.1);
  EXPECT_EQ(settings.sampling.repetition_window, -1);
  EXPECT_EQ(settings.sampling.presence_penalty, -0.5);
  EXPECT_EQ(settings.sampling.frequency_penalty, 0.25);
  EXPECT_EQ(settings.seed, ~uint64_t{0});
  EXPECT_EQ(settings.max_tokens, 512);
  EXPECT_EQ(settings.stop, (std::vector<std::string>{"END"}));
}

TEST(ChatSettings, default_gives_back_what_the_program_started_with) {
  ChatSettings defaults;
  defaults.sampling.temperature = 0.3;
  ChatSettings settings = defaults;
  for (const std::string_view name : setting_names()) {
    EXPECT_TRUE(apply_setting(settings, name, "default", defaults, kVocab).ok()) << name;
  }
  EXPECT_TRUE(set(settings, "temperature", "1.5").ok());
  EXPECT_TRUE(apply_setting(settings, "temperature", "default", defaults, kVocab).ok());
  EXPECT_EQ(settings.sampling.temperature, 0.3);
}

TEST(ChatSettings, a_wrong_value_is_named_and_changes_nothing) {
  const struct {
    std::string_view name, value, want;
  } cases[] = {
      {"temperature", "warm", "a number"},
      {"temperature", "0.5x", "a number"},
      {"temperature", "", "a number"},
      {"temperature", "3", "0 to 2"},
      {"top_k", "1.5", "an integer"},
      {"top_p", "nan", "0 to 1"},
      {"max_tokens", "0", "at least 1, or -1 for no limit"},
      {"seed", "-1", "an integer from 0 to 2^64 - 1"},
      {"stop", "[1]", "strings"},
  };
  for (const auto& [name, value, want] : cases) {
    ChatSettings settings;
    const std::string before = describe_settings(settings);
    const Result<void> result = set(settings, name, value);
    ASSERT_FALSE(result.ok()) << name << " " << value;
    EXPECT_EQ(result.error().in, name);
    EXPECT_EQ(result.error().want, want);
    EXPECT_EQ(describe_settings(settings), before);
  }
}

TEST(ChatSettings, an_unknown_name_lists_the_known_ones) {
  ChatSettings settings;
  const Result<void> result = set(settings, "temp", "1");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
  EXPECT_NE(result.error().want.find("temperature, top_k"), std::string::npos);
}

TEST(ChatSettings, stop_takes_json_for_line_feeds_and_for_several) {
  ChatSettings settings;
  EXPECT_TRUE(set(settings, "stop", R"("\nUser:")").ok());
  EXPECT_EQ(settings.stop, (std::vector<std::string>{"\nUser:"}));
  EXPECT_TRUE(set(settings, "stop", R"(["a", "b"])").ok());
  EXPECT_EQ(settings.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(set(settings, "stop", "[]").ok());
  EXPECT_TRUE(settings.stop.empty());
  EXPECT_FALSE(set(settings, "stop", R"(["a", ""])").ok());
}

TEST(ChatSettings, the_description_has_every_name_and_value) {
  ChatSettings settings;
  settings.seed = 7;
  const std::string text = describe_settings(settings);
  for (const std::string_view name : setting_names()) EXPECT_NE(text.find(name), std::string::npos) << name;
  EXPECT_NE(text.find("  seed                7        "), std::string::npos) << text;
}

}  // namespace
}  // namespace hadal
