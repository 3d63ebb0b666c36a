// Encodes and decodes for another program (npm_compare.mjs): one JSON request a line in, one JSON answer a line out.
//
//   tokenize_tool TOKENIZER_JSON
//   (at start) {"vocab_size":128815,"load_ms":120.5,"memory_bytes":6543210}
//   {"op":"encode","text":"hi","recognise":true}              {"ids":[6152],"ns":830}
//   {"op":"decode","ids":[6152],"skip_special":false}         {"text":"hi"}
//   {"op":"engram_classes","n_classes":98627}                 {"sha256":"..."} of the map as little-endian int32
//
// ns is the time of encoding alone. Any mistake ends the program with a message and exit code 1.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/hash.h"
#include "base/io.h"
#include "base/json.h"
#include "model/engram_token_classes.h"
#include "tokenizer/tokenizer.h"

namespace hadal {
namespace {

using Clock = std::chrono::steady_clock;
using json::Value;

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

template <class T>
T value_or_exit(Result<T> result) {
  if (!result.ok()) {
    fmt::print(stderr, "{}\n", result.error().to_string());
    std::exit(1);
  }
  return std::move(result).value();
}

std::string encode(const Tokenizer& tokenizer, const Value& request) {
  const std::string& text = request.find("text")->as_string();
  const AddedTokens added = request.find("recognise")->as_bool() ? AddedTokens::kRecognise : AddedTokens::kAsText;
  const Clock::time_point begin = Clock::now();
  const std::vector<TokenId> ids = tokenizer.encode(text, added);
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count();
  return fmt::format("{{\"ids\":[{}],\"ns\":{}}}\n", fmt::join(ids, ","), ns);
}

std::string decode(const Tokenizer& tokenizer, const Value& request) {
  std::vector<TokenId> ids;
  for (const Value& id : request.find("ids")->items()) ids.push_back(static_cast<TokenId>(id.as_int().value_or(-1)));
  const std::string text = tokenizer.decode(ids, request.find("skip_special")->as_bool());
  return fmt::format("{{\"text\":{}}}\n", json::quote(text));
}

std::string engram_classes(const Tokenizer& tokenizer, const Value& request) {
  ModelDescription d;
  d.vocab_size = tokenizer.vocab_size();
  d.engram_n_classes = request.find("n_classes")->as_int().value_or(0);
  const std::vector<int32_t> classes = value_or_exit(engram_token_classes(tokenizer, d, "tokenizer"));
  Sha256Hasher hasher;
  hasher.update(std::as_bytes(std::span(classes)));
  return fmt::format("{{\"sha256\":\"{}\"}}\n", to_hex(hasher.finish()));
}

std::string answer_to(const Tokenizer& tokenizer, const Value& request) {
  const std::string& op = request.find("op")->as_string();
  if (op == "encode") return encode(tokenizer, request);
  if (op == "decode") return decode(tokenizer, request);
  return engram_classes(tokenizer, request);
}

int run(const char* path) {
  const std::string file = value_or_exit(read_file(path, uint64_t{1} << 30));
  const Clock::time_point begin = Clock::now();
  const Tokenizer tokenizer = value_or_exit(Tokenizer::parse(file, path));
  fmt::print("{{\"vocab_size\":{},\"load_ms\":{:.1f},\"memory_bytes\":{}}}\n", tokenizer.vocab_size(),
             milliseconds_since(begin), tokenizer.memory_bytes());
  std::fflush(stdout);

  char* line = nullptr;
  size_t capacity = 0;
  while (true) {
    const ssize_t bytes = ::getline(&line, &capacity, stdin);
    if (bytes <= 0) break;
    const Value request = value_or_exit(json::parse({line, static_cast<size_t>(bytes)}, "request"));
    const std::string answer = answer_to(tokenizer, request);
    std::fwrite(answer.data(), 1, answer.size(), stdout);
    std::fflush(stdout);
  }
  std::free(line);
  return 0;
}

}  // namespace
}  // namespace hadal

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: tokenize_tool TOKENIZER_JSON\n");
    return 2;
  }
  return hadal::run(argv[1]);
}
