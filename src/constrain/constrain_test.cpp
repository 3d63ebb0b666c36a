// Grammars, masks and the compilers of regular expressions and JSON Schemas, with the embedded model's vocabulary.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <random>

#include "base/check.h"
#include "base/io.h"
#include "constrain/json_schema.h"
#include "constrain/machine.h"
#include "constrain/regex.h"

namespace hadal::constrain {
namespace {

using ::testing::HasSubstr;

const Tokenizer& tiny_tokenizer() {
  static const Tokenizer kTokenizer = [] {
    const std::string path = std::string(HADAL_SOURCE_DIR) + "/models/v4-tiny/tokenizer.json";
    return Tokenizer::parse(read_file(path, 1 << 26).value(), "tokenizer.json").value();
  }();
  return kTokenizer;
}

std::shared_ptr<const TokenTrie> tiny_trie() {
  static const auto kTrie = std::make_shared<const TokenTrie>(tiny_tokenizer(), tiny_tokenizer().vocab_size());
  return kTrie;
}

constexpr TokenId kEos = 1;

std::shared_ptr<GrammarMachine> machine_of(Result<Grammar> grammar) {
  HADAL_CHECK(grammar.ok(), grammar.error().to_string());
  return std::make_shared<GrammarMachine>(tiny_trie(), std::move(grammar).value(), kEos);
}

bool accepts(GrammarMachine& machine, std::string_view text) {
  GrammarMachine::SetId set = machine.start();
  for (const char c : text) {
    set = machine.after_byte(set, static_cast<uint8_t>(c));
    if (set == GrammarMachine::kNone) return false;
  }
  return machine.can_end(set);
}

bool regex_accepts(std::string_view pattern, std::string_view text, RegexUse use = RegexUse::kWhole) {
  return accepts(*machine_of(regex_grammar(pattern, use)), text);
}

json::Value parse(std::string_view text) {
  return json::parse(text, "test").value();
}

std::shared_ptr<GrammarMachine> schema_machine(std::string_view schema, bool strict = true) {
  return machine_of(schema_grammar(parse(schema), {.strict = strict}));
}

Error schema_error(std::string_view schema) {
  const Result<Grammar> grammar = schema_grammar(parse(schema), {});
  EXPECT_FALSE(grammar.ok()) << schema;
  return grammar.ok() ? Error() : grammar.error();
}

// A text that follows the grammar, token by token through the mask; short ones, because EOS is taken when allowed.
std::string random_text(const std::shared_ptr<GrammarMachine>& machine, std::mt19937_64& random, int tokens_max) {
  GrammarMatcher matcher(machine);
  std::string text;
  std::vector<float> logits(static_cast<size_t>(tiny_tokenizer().vocab_size()));
  for (int n = 0; n < tokens_max; ++n) {
    for (float& logit : logits) logit = std::uniform_real_distribution<float>(0, 1)(random);
    // Closing characters are likely, so that texts end.
    for (const std::string_view close : {"\"", "}", "]", "0"}) {
      for (const TokenId id : tiny_tokenizer().encode(close, AddedTokens::kAsText))
        logits[static_cast<size_t>(id)] += n > 20 ? 1.0F : 0.0F;
    }
    matcher.apply_mask(logits);
    if (matcher.can_end() && n > 3) return text;
    const auto best = std::max_element(logits.begin(), logits.end());
    EXPECT_GT(*best, -std::numeric_limits<float>::infinity()) << "nothing may come after " << text;
    const auto token = static_cast<TokenId>(best - logits.begin());
    if (token == kEos) return text;
    EXPECT_TRUE(matcher.accept(token));
    text += tiny_tokenizer().token_bytes(token);
  }
  return matcher.can_end() ? text : "";
}

TEST(Regex, Language) {
  EXPECT_TRUE(regex_accepts("a(b|c)*d", "abcbd"));
  EXPECT_FALSE(regex_accepts("a(b|c)*d", "abxd"));
  EXPECT_TRUE(regex_accepts("[^a-c]{2,3}", "xyz"));
  EXPECT_FALSE(regex_accepts("[^a-c]{2,3}", "x"));
  EXPECT_FALSE(regex_accepts("[^a-c]{2,3}", "wxyz"));
  EXPECT_TRUE(regex_accepts("\\d+\\.\\d{2}", "12.50"));
  EXPECT_TRUE(regex_accepts("[äöü]+", "öäü"));
  EXPECT_TRUE(regex_accepts(".", "€"));
  EXPECT_TRUE(regex_accepts(".", "😀"));
  EXPECT_FALSE(regex_accepts(".", "ab"));
  EXPECT_TRUE(regex_accepts("(?:ab){2}", "abab"));
  EXPECT_TRUE(regex_accepts("", ""));
}

TEST(Regex, ASearchFindsInsideUnlessAnchored) {
  EXPECT_TRUE(regex_accepts("b+", "abbc", RegexUse::kSearch));
  EXPECT_FALSE(regex_accepts("^b+", "abbc", RegexUse::kSearch));
  EXPECT_TRUE(regex_accepts("^a|c$", "xc", RegexUse::kSearch));
  EXPECT_FALSE(regex_accepts("^b+$", "bbc", RegexUse::kSearch));
}

TEST(Regex, WhatIsNotRegularIsRefusedByName) {
  const auto error = [](std::string_view pattern) { return regex_grammar(pattern, RegexUse::kWhole).error(); };
  EXPECT_EQ(error("(a)\\1").code, ErrorCode::kUnsupported);
  EXPECT_THAT(error("(?=a)b").found, HasSubstr("look-ahead"));
  EXPECT_THAT(error("(?<!a)b").found, HasSubstr("look-behind"));
  EXPECT_EQ(error("a\\b").code, ErrorCode::kUnsupported);
  EXPECT_EQ(error("(a").code, ErrorCode::kInvalid);
  EXPECT_EQ(error("a)").code, ErrorCode::kInvalid);
  EXPECT_EQ(error("[b-a]").code, ErrorCode::kInvalid);
  EXPECT_EQ(error("a{3,1}").code, ErrorCode::kInvalid);
  EXPECT_EQ(error("*a").code, ErrorCode::kInvalid);
  EXPECT_FALSE(regex_grammar(std::string(20000, 'a'), RegexUse::kWhole).ok());
  EXPECT_FALSE(regex_grammar(std::string(5000, '('), RegexUse::kWhole).ok());
}

TEST(Regex, NestedCountsMeetTheLimitQuickly) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(regex_grammar("((a{1,2000}){1,2000}){1,2000}", RegexUse::kWhole).error().code, ErrorCode::kLimit);
  EXPECT_FALSE(regex_grammar("((((a*)*)*)*)*b{99999}c{99999}d{99999}", RegexUse::kWhole).ok());
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 5);
  // What takes others for ever is linear here.
  EXPECT_FALSE(regex_accepts("(a+)+b", std::string(5000, 'a')));
}

TEST(Mask, IsWhatEachTokenAloneSays) {
  const auto machine = schema_machine(
      R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"enum":["x","yz"]}},"required":["a"]})");
  std::mt19937_64 random(3);
  for (int round = 0; round < 20; ++round) {
    GrammarMachine::SetId set = machine->start();
    std::string text;
    for (int n = 0; n < 12; ++n) {
      const std::span<const uint64_t> mask = machine->mask(set);
      std::vector<TokenId> allowed;
      for (TokenId token = 0; token < tiny_tokenizer().vocab_size(); ++token) {
        const bool is_allowed = (mask[static_cast<size_t>(token) / 64] >> (token % 64) & 1) != 0;
        const bool fits =
            token == kEos ? machine->can_end(set) : machine->after_token(set, token) != GrammarMachine::kNone;
        ASSERT_EQ(is_allowed, fits) << text << " then token " << token;
        if (is_allowed && token != kEos) allowed.push_back(token);
      }
      if (allowed.empty()) break;
      const TokenId token = allowed[random() % allowed.size()];
      text += tiny_tokenizer().token_bytes(token);
      set = machine->after_token(set, token);
    }
  }
}

TEST(Schema, Values) {
  const auto yes = [](std::string_view schema, std::string_view text) {
    EXPECT_TRUE(accepts(*schema_machine(schema), text)) << schema << " should take " << text;
  };
  const auto no = [](std::string_view schema, std::string_view text) {
    EXPECT_FALSE(accepts(*schema_machine(schema), text)) << schema << " should not take " << text;
  };
  yes(R"({"type":"string"})", R"("a \"quoted\" \\ text\n\u0001 €")");
  no(R"({"type":"string"})", "\"a\nb\"");
  no(R"({"type":"string"})", R"("open)");
  yes(R"({"type":"string","minLength":2,"maxLength":3})", R"("äö")");
  no(R"({"type":"string","minLength":2,"maxLength":3})", R"("a")");
  no(R"({"type":"string","minLength":2,"maxLength":3})", R"("abcd")");
  yes(R"({"type":"string","pattern":"^[A-Z]{2}-\\d+$"})", R"("AB-12")");
  no(R"({"type":"string","pattern":"^[A-Z]{2}-\\d+$"})", R"("ab-12")");
  yes(R"({"type":"string","format":"date"})", R"("2026-11-24")");
  no(R"({"type":"string","format":"date"})", R"("2026-13-24")");
  yes(R"({"enum":["a",1,null,{"k":[1,2]}]})", R"({"k": [1, 2]})");
  no(R"({"enum":["a",1]})", "2");
  yes(R"({"type":["integer","null"]})", "null");
  yes("true", R"({"any":[1,{"thing":null}]})");
  yes(R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3})", "[1, 2,3]");
  no(R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3})", "[]");
  no(R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3})", "[1,2,3,4]");
  yes(R"({"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"items":false})", R"(["a",1])");
  yes(R"({"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"items":false})", R"([])");
  no(R"({"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"items":false})", R"(["a",1,2])");
  yes(R"({"anyOf":[{"type":"string"},{"type":"integer"}]})", "5");
}

TEST(Schema, NumbersInTheirBounds) {
  const auto check = [](int64_t min, int64_t max) {
    const auto machine = schema_machine(R"({"type":"integer","minimum":)" + std::to_string(min) + R"(,"maximum":)" +
                                        std::to_string(max) + "}");
    for (int64_t n = min - 130; n <= max + 130; ++n) {
      ASSERT_EQ(accepts(*machine, std::to_string(n)), n >= min && n <= max) << n << " in " << min << ".." << max;
    }
  };
  check(0, 9);
  check(-5, 5);
  check(7, 123);
  check(-1234, -99);
  check(99, 1001);
  check(-100, 1000);
  const auto machine = schema_machine(R"({"type":"number","minimum":-2,"maximum":3})");
  for (const std::string_view text : {"-2", "-1.5", "-0.25", "0.5", "2.99", "3", "3.0"})
    EXPECT_TRUE(accepts(*machine, text)) << text;
  for (const std::string_view text : {"-2.5", "3.1", "4", "-3", "01", "1e5"})
    EXPECT_FALSE(accepts(*machine, text)) << text;
  const auto cents = schema_machine(R"({"type":"number","minimum":0,"multipleOf":0.01})");
  EXPECT_TRUE(accepts(*cents, "12.34"));
  EXPECT_FALSE(accepts(*cents, "12.345"));
}

TEST(Schema, ObjectsInTheOrderOfTheSchema) {
  const auto machine = schema_machine(
      R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"},"c":{"type":"null"}},"required":["a","c"],"additionalProperties":false})");
  EXPECT_TRUE(accepts(*machine, R"({"a": 1, "b": "x", "c": null})"));
  EXPECT_TRUE(accepts(*machine, R"({"a":1,"c":null})"));
  EXPECT_TRUE(accepts(*machine, "{\n  \"a\": 1,\n  \"c\": null\n}"));
  EXPECT_FALSE(accepts(*machine, R"({"a":1})"));
  EXPECT_FALSE(accepts(*machine, R"({"c":null,"a":1})"));
  EXPECT_FALSE(accepts(*machine, R"({"a":1,"c":null,"d":1})"));
  EXPECT_FALSE(accepts(*machine, R"({"a":1,"a":1,"c":null})"));
  const auto open = schema_machine(
      R"({"type":"object","properties":{"ab":{"type":"integer"}},"additionalProperties":{"type":"boolean"}})");
  EXPECT_TRUE(accepts(*open, R"({"ab":1,"abc":true,"a":false,"x":true})"));
  EXPECT_TRUE(accepts(*open, R"({"x":true})"));
  EXPECT_FALSE(accepts(*open, R"({"x":true,"ab":true})"));
}

TEST(Schema, ReferencesAndRecursion) {
  const auto tree = schema_machine(
      R"({"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["v","next"],"additionalProperties":false}}})");
  EXPECT_TRUE(accepts(*tree, R"({"v":1,"next":{"v":2,"next":null}})"));
  EXPECT_FALSE(accepts(*tree, R"({"v":1,"next":{"v":2}})"));
  EXPECT_EQ(schema_error(R"({"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}})").code, ErrorCode::kInvalid);
  EXPECT_EQ(schema_error(R"({"$ref":"http://x/y"})").found, "$ref");
  EXPECT_EQ(schema_error(R"({"$ref":"#/nowhere"})").code, ErrorCode::kInvalid);
}

TEST(Schema, WhatCannotBeEnforcedIsRefusedByNameAndPlace) {
  const Error error = schema_error(R"({"type":"object","properties":{"x":{"type":"string","not":{"const":"a"}}}})");
  EXPECT_EQ(error.code, ErrorCode::kUnsupported);
  EXPECT_EQ(error.in, "#/properties/x/not");
  EXPECT_EQ(error.found, "not");
  EXPECT_EQ(schema_error(R"({"if":{},"then":{}})").code, ErrorCode::kUnsupported);
  EXPECT_EQ(schema_error(R"({"oneOf":[{"minimum":1},{"maximum":5}]})").found, "oneOf");
  EXPECT_EQ(schema_error(R"({"type":"integer","minimum":5,"maximum":3})").code, ErrorCode::kInvalid);
  EXPECT_EQ(schema_error("false").code, ErrorCode::kInvalid);
  EXPECT_EQ(schema_error(R"({"type":"string","maxLength":99999999})").code, ErrorCode::kLimit);
  EXPECT_TRUE(schema_grammar(parse(R"({"type":"string","not":{}})"), {.strict = false}).ok());
}

TEST(Schema, RandomTextsThroughTheMaskAreJson) {
  std::mt19937_64 random(7);
  for (
      const std::string_view schema :
      {R"({"type":"object","properties":{"name":{"type":"string","maxLength":8},"age":{"type":"integer","minimum":0,"maximum":150},"tags":{"type":"array","items":{"enum":["a","b"]},"maxItems":3}},"required":["name","age"],"additionalProperties":false})",
       R"({"type":"array","items":{"type":"number"},"maxItems":4})", R"({"type":"string","maxLength":12})"}) {
    const auto machine = schema_machine(schema);
    for (int round = 0; round < 10; ++round) {
      const std::string text = random_text(machine, random, 300);
      const Result<json::Value> value = json::parse(text, "text");
      ASSERT_TRUE(value.ok()) << schema << "\n" << text;
    }
  }
  const auto any = std::make_shared<GrammarMachine>(tiny_trie(), any_object_grammar(), kEos);
  for (int round = 0; round < 10; ++round) {
    const std::string text = random_text(any, random, 400);
    if (text.empty()) continue;
    ASSERT_TRUE(json::parse(text, "text").ok()) << text;
  }
}

TEST(Grammar, LeftRecursionIsRefused) {
  GrammarBuilder builder;
  const RuleId rule = builder.new_rule();
  builder.define(rule,
                 builder.choice({builder.sequence({builder.call(rule), builder.literal("a")}), builder.literal("b")}));
  EXPECT_EQ(builder.finish(rule).error().code, ErrorCode::kInvalid);
}

TEST(Grammar, TokensAreNamed) {
  GrammarBuilder builder;
  const RuleId rule = builder.new_rule();
  builder.define(rule, builder.sequence({builder.literal("x"), builder.token(5), builder.literal("y")}));
  const auto machine = machine_of(builder.finish(rule));
  GrammarMatcher matcher(machine);
  EXPECT_FALSE(matcher.accept(5));
  EXPECT_TRUE(matcher.accept(tiny_tokenizer().encode("x", AddedTokens::kAsText).at(0)));
  std::vector<float> logits(static_cast<size_t>(tiny_tokenizer().vocab_size()), 0.0F);
  matcher.apply_mask(logits);
  EXPECT_EQ(std::count(logits.begin(), logits.end(), 0.0F), 1);
  EXPECT_TRUE(matcher.accept(5));
  EXPECT_FALSE(matcher.can_end());
}

}  // namespace
}  // namespace hadal::constrain
