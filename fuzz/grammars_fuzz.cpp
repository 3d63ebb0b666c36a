// The compilers of JSON Schemas and regular expressions against any input, and their masks: what compiles has a first
// token, or is empty, and never loops.
//
// Input: one byte (bit 0: a regular expression; bit 1: strict, or a search), then the schema or the pattern.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/check.h"
#include "base/io.h"
#include "base/json.h"
#include "constrain/json_schema.h"
#include "constrain/machine.h"
#include "constrain/regex.h"

namespace {

using hadal::Result;
using hadal::constrain::Grammar;
using hadal::constrain::GrammarMachine;
using hadal::constrain::TokenTrie;

std::shared_ptr<const TokenTrie> tiny_trie() {
  static const hadal::Tokenizer kTokenizer = [] {
    const std::string path = std::string(HADAL_SOURCE_DIR) + "/models/v4-tiny/tokenizer.json";
    const Result<std::string> text = hadal::read_file(path, 1 << 26);
    HADAL_CHECK(text.ok(), "no tokenizer at", path);
    return hadal::Tokenizer::parse(*text, path).value();
  }();
  static const auto kTrie = std::make_shared<const TokenTrie>(kTokenizer, 512);
  return kTrie;
}

Result<Grammar> compile(uint8_t options, std::string_view text) {
  if ((options & 1) != 0) {
    const auto use = (options & 2) != 0 ? hadal::constrain::RegexUse::kSearch : hadal::constrain::RegexUse::kWhole;
    return hadal::constrain::regex_grammar(text, use);
  }
  HADAL_ASSIGN(const hadal::json::Value schema,
               hadal::json::parse(text, "schema", {.bytes_max = 1 << 16, .depth_max = 64}));
  return hadal::constrain::schema_grammar(schema, {.strict = (options & 2) != 0});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > 4096) return 0;
  Result<Grammar> grammar = compile(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  if (!grammar.ok() || grammar->states.size() > 20'000) return 0;
  GrammarMachine machine(tiny_trie(), std::move(grammar).value(), 1);
  GrammarMachine::SetId set = machine.start();
  for (int n = 0; n < 8 && machine.n_sets() < 5'000; ++n) {
    const std::span<const uint64_t> mask = machine.mask(set);
    hadal::TokenId token = -1;
    for (hadal::TokenId id = 2; id < 512 && token < 0; ++id) {
      if ((mask[static_cast<size_t>(id) / 64] >> (id % 64) & 1) != 0) token = id;
    }
    if (token < 0) return 0;
    set = machine.after_token(set, token);
    HADAL_CHECK(set != GrammarMachine::kNone, "a token of the mask may not come", token);
  }
  return 0;
}
