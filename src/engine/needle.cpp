#include "engine/needle.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/generate.h"
#include "prompt/prompt_encoding.h"
#include "sampling/philox.h"

namespace hadal {
namespace {

constexpr std::array<std::string_view, 32> kWords = {
    "amber",  "anchor", "bridge", "candle", "castle", "copper", "dragon", "falcon", "garden", "hammer", "harbor",
    "island", "jungle", "kettle", "ladder", "lemon",  "marble", "meadow", "mirror", "orange", "pepper", "pillow",
    "pocket", "rabbit", "rocket", "saddle", "silver", "spider", "tunnel", "velvet", "window", "zebra"};
constexpr int64_t kFillerTokensMax = int64_t{1} << 24;

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

// The answer is all that counts.
class Ignoring final : public GenerationObserver {
 public:
  void event(const OutputEvent&) override {}
};

Error out_of_range(std::string_view option, std::string want, int64_t found) {
  return Error{.code = ErrorCode::kLimit,
               .what = "a number of the needle test is outside its range",
               .in = std::string(option),
               .want = std::move(want),
               .found = fmt::format("{}", found),
               .hint = ""};
}

Result<void> check_options(const Engine& engine, std::string_view filler, const NeedleOptions& options) {
  HADAL_TRY(check_tokenizer(engine.model()));
  for (const int64_t n : options.filler_tokens) {
    if (n < 1 || n > kFillerTokensMax)
      return out_of_range("--needle-tokens", fmt::format("1 to {}", kFillerTokensMax), n);
  }
  for (const int64_t depth : options.depths_percent) {
    if (depth < 0 || depth > 100) return out_of_range("--needle-depth", "0 to 100 percent", depth);
  }
  if (!filler.empty()) return {};
  return Error{.code = ErrorCode::kInvalid,
               .what = "there is no text to hide a needle in",
               .in = "",
               .want = "a file with some sentences",
               .found = "an empty one",
               .hint = ""};
}

Result<NeedleTry> try_once(Engine& engine, const std::string& text, int64_t depth_percent, uint64_t i_try,
                           const NeedleOptions& options) {
  NeedleTry result{.depth_percent = depth_percent, .code_word = code_word(options.seed, i_try, text), .answer = ""};
  const std::string sentence = fmt::format("Remember this: the code word is \"{}\".", result.code_word);
  const Message question =
      user_message(fmt::format("Read this text.\n\n{}\n\nWhat is the code word?", hide(text, sentence, depth_percent)));
  HADAL_ASSIGN(const Prompt prompt, render_prompt({&question, 1}, {.encoding = engine.model().prompt_encoding}));
  const std::vector<TokenId> ids = encode_prompt(*engine.model().tokenizer, prompt);
  result.prompt_tokens = static_cast<int64_t>(ids.size());
  HADAL_ASSIGN(const SequenceId id, engine.open());
  GenerationOptions generation;
  generation.sampling.temperature = 0;
  generation.max_tokens = options.answer_tokens_max;
  generation.starts_in_reasoning = prompt.starts_in_reasoning;
  Ignoring ignoring;
  // Nobody asks how long the answer took.
  const GenerationControl control{.now_s = [] { return 0.0; }, .is_cancelled = {}};
  HADAL_ASSIGN(const Generated generated, generate(engine, id, ids, generation, control, ignoring));
  engine.close(id);
  result.answer = generated.message.text();
  result.is_found = lower(result.answer).find(result.code_word) != std::string::npos;
  return result;
}

}  // namespace

std::string haystack(const Tokenizer& tokenizer, std::string_view filler, int64_t n_tokens) {
  std::string once;
  for (const char c : filler) once += c == '\0' ? std::string("\n\n") : std::string(1, c);
  std::vector<TokenId> ids = tokenizer.encode(once, AddedTokens::kAsText);
  if (ids.empty()) return {};
  const auto n = static_cast<size_t>(n_tokens);
  for (size_t i = 0; ids.size() < n; ++i) ids.push_back(ids[i]);
  ids.resize(n);
  return tokenizer.decode(ids, false);
}

std::string hide(std::string_view text, std::string_view sentence, int64_t depth_percent) {
  const size_t wanted = text.size() * static_cast<size_t>(depth_percent) / 100;
  const size_t at = wanted == 0 ? 0 : std::min(text.find_first_of(" \n", wanted), text.size());
  std::string result(text.substr(0, at));
  if (at > 0) result += "\n\n";
  result += sentence;
  if (at < text.size()) result.append("\n\n").append(text.substr(at == 0 ? 0 : at + 1));
  return result;
}

std::string code_word(uint64_t seed, uint64_t i_try, std::string_view text) {
  const std::string lower_text = lower(text);
  const uint64_t first = random_bits(seed, i_try) % kWords.size();
  for (size_t i = 0; i < kWords.size(); ++i) {
    const std::string_view word = kWords[(first + i) % kWords.size()];
    if (lower_text.find(word) == std::string::npos) return std::string(word);
  }
  // A text that has them all cannot have this one by chance.
  return fmt::format("{}{:04}", kWords[first], (random_bits(seed, i_try) >> 32) % 10000);
}

Result<std::vector<NeedleTry>> find_needles(Engine& engine, std::string_view filler, const NeedleOptions& options,
                                            const std::function<void(int64_t done, int64_t of)>& progress) {
  HADAL_TRY(check_options(engine, filler, options));
  const auto of = static_cast<int64_t>(options.filler_tokens.size() * options.depths_percent.size());
  std::vector<NeedleTry> tries;
  for (const int64_t n_tokens : options.filler_tokens) {
    const std::string text = haystack(*engine.model().tokenizer, filler, n_tokens);
    for (const int64_t depth : options.depths_percent) {
      progress(static_cast<int64_t>(tries.size()), of);
      HADAL_ASSIGN(NeedleTry result, try_once(engine, text, depth, tries.size(), options));
      tries.push_back(std::move(result));
    }
  }
  return tries;
}

json::Value needles_to_json(const std::vector<NeedleTry>& tries) {
  json::Value list = json::Value::array();
  int64_t n_found = 0;
  for (const NeedleTry& t : tries) {
    json::Value value = json::Value::object();
    value.set("prompt_tokens", json::Value::number(t.prompt_tokens));
    value.set("depth_percent", json::Value::number(t.depth_percent));
    value.set("code_word", json::Value::string(t.code_word));
    value.set("answer", json::Value::string(t.answer));
    value.set("found", json::Value::boolean(t.is_found));
    list.push(std::move(value));
    n_found += t.is_found;
  }
  json::Value value = json::Value::object();
  value.set("found_share", json::Value::number(
                               tries.empty() ? 0.0 : static_cast<double>(n_found) / static_cast<double>(tries.size())));
  value.set("tries", std::move(list));
  return value;
}

}  // namespace hadal
