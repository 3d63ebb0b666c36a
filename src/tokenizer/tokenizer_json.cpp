#include "tokenizer/tokenizer_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <string>

#include "tokenizer/errors.h"
#include "tokenizer/merge_table.h"
#include "tokenizer/vocabulary.h"

namespace hadal::tokenizer {
namespace {

using json::Value;
using Kind = Value::Kind;

// A value as a message shows it: its text when it is short, else its kind.
std::string shown(const Value& value) {
  if (value.is_string()) return quoted(value.as_string());
  if (value.is_array()) return fmt::format("an array of {}", value.items().size());
  if (value.is_object()) return fmt::format("an object of {}", value.members().size());
  return json::dump(value);
}

std::string join(std::string_view path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

// An object of the file and its JSON path. Its members are asked for by name; what nobody asked for is refused, because
// a field that we do not know might change the ids.
class Fields {
 public:
  static Result<Fields> of(const Value& value, std::string path) {
    if (!value.is_object()) {
      return make_error(ErrorCode::kCorrupt, "value has the wrong kind", std::move(path), "an object", shown(value));
    }
    return Fields(value, std::move(path));
  }

  const std::string& path() const { return path_; }

  // The member, or null when it is absent or null.
  const Value* optional(std::string_view key) {
    asked_.push_back(key);
    const Value* value = object_->find(key);
    return value != nullptr && value->is_null() ? nullptr : value;
  }

  Result<const Value*> required(std::string_view key, Kind kind) {
    const Value* value = optional(key);
    if (value != nullptr && value->kind() == kind) return value;
    return make_error(ErrorCode::kCorrupt, value == nullptr ? "field is missing" : "value has the wrong kind",
                      join(path_, key), std::string(json::kind_name(kind)), value == nullptr ? "" : shown(*value));
  }

  // A field that must be absent, null or this value, because the rest is not implemented.
  Result<void> only(std::string_view key, const Value& allowed) {
    const Value* value = optional(key);
    if (value == nullptr || *value == allowed) return {};
    return unsupported(key, shown(allowed), *value);
  }

  Result<void> only_null(std::string_view key) {
    const Value* value = optional(key);
    if (value == nullptr) return {};
    return unsupported(key, "null", *value);
  }

  // A field that cannot change ids or text.
  void ignore(std::string_view key) { asked_.push_back(key); }

  // Reads "type" and refuses another one by its name.
  Result<void> type(std::string_view wanted) {
    HADAL_ASSIGN(const Value* found, required("type", Kind::kString));
    if (found->as_string() == wanted) return {};
    return unsupported("type", json::quote(wanted), *found);
  }

  Result<void> no_others() const {
    for (const auto& [key, value] : object_->members()) {
      if (std::find(asked_.begin(), asked_.end(), key) == asked_.end()) {
        return make_error(ErrorCode::kUnsupported, "field is not known", join(path_, quoted(key)), "", shown(value),
                          "it might change the token ids, so the file is not used without it");
      }
    }
    return {};
  }

 private:
  Fields(const Value& object, std::string path) : object_(&object), path_(std::move(path)) {}

  Error unsupported(std::string_view key, std::string want, const Value& found) const {
    return make_error(ErrorCode::kUnsupported, "tokenizer uses something that Hadal does not have", join(path_, key),
                      std::move(want), shown(found), "Hadal reads byte-level BPE as DeepSeek publishes it");
  }

  const Value* object_;
  std::string path_;
  std::vector<std::string_view> asked_;
};

Result<bool> boolean(Fields& fields, std::string_view key, bool when_absent) {
  const Value* value = fields.optional(key);
  if (value == nullptr) return when_absent;
  if (value->is_bool()) return value->as_bool();
  return make_error(ErrorCode::kCorrupt, "value has the wrong kind", join(fields.path(), key), "boolean",
                    shown(*value));
}

Error not_an_id(std::string place, const Value& found) {
  return make_error(ErrorCode::kCorrupt, "not a token id", std::move(place), fmt::format("0 to {}", kVocabMax - 1),
                    shown(found));
}

bool is_id(const Value& value) {
  const std::optional<int64_t> id = value.as_int();
  return id && *id >= 0 && *id < kVocabMax;
}

Error too_many(std::string_view what, std::string place, size_t max, size_t found) {
  return make_error(ErrorCode::kLimit, fmt::format("too many {}", what), std::move(place),
                    fmt::format("at most {}", max), fmt::format("{}", found));
}

Result<void> read_normalizer(const Value* value) {
  if (value == nullptr) return {};
  HADAL_ASSIGN(Fields fields, Fields::of(*value, "normalizer"));
  HADAL_TRY(fields.type("Sequence"));
  HADAL_TRY(fields.only("normalizers", Value::array()));
  return fields.no_others();
}

Result<std::string_view> read_split(const Value& value, std::string path) {
  HADAL_ASSIGN(Fields fields, Fields::of(value, std::move(path)));
  HADAL_TRY(fields.type("Split"));
  HADAL_TRY(fields.only("behavior", Value::string("Isolated")));
  HADAL_TRY(fields.only("invert", Value::boolean(false)));
  HADAL_ASSIGN(const Value* pattern, fields.required("pattern", Kind::kObject));
  HADAL_TRY(fields.no_others());
  HADAL_ASSIGN(Fields pattern_fields, Fields::of(*pattern, fields.path() + ".pattern"));
  HADAL_TRY(pattern_fields.only_null("String"));
  HADAL_ASSIGN(const Value* regex, pattern_fields.required("Regex", Kind::kString));
  HADAL_TRY(pattern_fields.no_others());
  return std::string_view(regex->as_string());
}

Result<void> read_byte_level(const Value& value, std::string path) {
  HADAL_ASSIGN(Fields fields, Fields::of(value, std::move(path)));
  HADAL_TRY(fields.type("ByteLevel"));
  // Both default to true where they are absent.
  for (const std::string_view key : {"add_prefix_space", "use_regex"}) {
    HADAL_ASSIGN(const Value* flag, fields.required(key, Kind::kBool));
    (void)flag;
    HADAL_TRY(fields.only(key, Value::boolean(false)));
  }
  fields.ignore("trim_offsets");
  return fields.no_others();
}

Result<std::vector<std::string_view>> read_pre_tokenizer(const Value& value) {
  HADAL_ASSIGN(Fields fields, Fields::of(value, "pre_tokenizer"));
  HADAL_TRY(fields.type("Sequence"));
  HADAL_ASSIGN(const Value* stages, fields.required("pretokenizers", Kind::kArray));
  HADAL_TRY(fields.no_others());
  const std::string path = "pre_tokenizer.pretokenizers";
  const json::Array& items = stages->items();
  if (items.empty()) {
    return make_error(ErrorCode::kUnsupported, "pre-tokenizer does not end with ByteLevel", path, "a last ByteLevel",
                      "an empty array");
  }
  std::vector<std::string_view> splits;
  for (size_t i = 0; i + 1 < items.size(); ++i) {
    HADAL_ASSIGN(const std::string_view regex, read_split(items[i], fmt::format("{}[{}]", path, i)));
    splits.push_back(regex);
  }
  HADAL_TRY(read_byte_level(items.back(), fmt::format("{}[{}]", path, items.size() - 1)));
  return splits;
}

// post_processor and decoder: ByteLevel, whose options concern offsets and prefix spaces that are never added.
Result<void> read_byte_level_of(const Value& value, std::string path) {
  HADAL_ASSIGN(Fields fields, Fields::of(value, std::move(path)));
  return fields.type("ByteLevel");
}

Result<std::vector<TokenizerJsonView::Token>> read_vocab(const Value& value) {
  const json::Object& members = value.members();
  if (members.size() > static_cast<size_t>(kVocabMax)) {
    return too_many("tokens", "model.vocab", static_cast<size_t>(kVocabMax), members.size());
  }
  std::vector<TokenizerJsonView::Token> vocab;
  vocab.reserve(members.size());
  for (const auto& [spelled, id] : members) {
    if (!is_id(id)) return not_an_id(fmt::format("model.vocab.{}", quoted(spelled)), id);
    if (spelled.empty() || spelled.size() > kTokenBytesMax) {
      return make_error(spelled.empty() ? ErrorCode::kCorrupt : ErrorCode::kLimit, "token has a bad length",
                        fmt::format("model.vocab.{}", quoted(spelled)), fmt::format("1 to {} bytes", kTokenBytesMax),
                        fmt::format("{}", spelled.size()));
    }
    vocab.push_back({.spelled = spelled, .id = *id.as_int()});
  }
  return vocab;
}

// "a b" or ["a", "b"].
std::optional<TokenizerJsonView::Merge> merge_of(const Value& value) {
  if (value.is_array()) {
    const json::Array& pair = value.items();
    if (pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string()) return std::nullopt;
    return TokenizerJsonView::Merge{.left = pair[0].as_string(), .right = pair[1].as_string()};
  }
  const std::string_view text = value.as_string();  // empty when it is no string
  const size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) return std::nullopt;
  return TokenizerJsonView::Merge{.left = text.substr(0, space), .right = text.substr(space + 1)};
}

Result<std::vector<TokenizerJsonView::Merge>> read_merges(const Value& value) {
  const json::Array& items = value.items();
  if (items.size() > static_cast<size_t>(kMergesMax)) {
    return too_many("merges", "model.merges", static_cast<size_t>(kMergesMax), items.size());
  }
  std::vector<TokenizerJsonView::Merge> merges;
  merges.reserve(items.size());
  for (const Value& item : items) {
    const std::optional<TokenizerJsonView::Merge> merge = merge_of(item);
    if (!merge) {
      return make_error(ErrorCode::kCorrupt, "not a merge", fmt::format("model.merges[{}]", merges.size()),
                        "\"left right\" or [\"left\", \"right\"]", shown(item));
    }
    merges.push_back(*merge);
  }
  return merges;
}

Result<void> read_model(const Value& value, TokenizerJsonView& view) {
  HADAL_ASSIGN(Fields fields, Fields::of(value, "model"));
  HADAL_TRY(fields.type("BPE"));
  HADAL_TRY(fields.only_null("dropout"));
  HADAL_TRY(fields.only_null("unk_token"));
  HADAL_TRY(fields.only("continuing_subword_prefix", Value::string("")));
  HADAL_TRY(fields.only("end_of_word_suffix", Value::string("")));
  HADAL_TRY(fields.only("byte_fallback", Value::boolean(false)));
  HADAL_TRY(fields.only("ignore_merges", Value::boolean(false)));
  fields.ignore("fuse_unk");  // there is no unknown token
  HADAL_ASSIGN(const Value* vocab, fields.required("vocab", Kind::kObject));
  HADAL_ASSIGN(const Value* merges, fields.required("merges", Kind::kArray));
  HADAL_TRY(fields.no_others());
  HADAL_ASSIGN(view.vocab, read_vocab(*vocab));
  HADAL_ASSIGN(view.merges, read_merges(*merges));
  return {};
}

Result<TokenizerJsonView::Added> read_added_token(const Value& value, std::string path) {
  HADAL_ASSIGN(Fields fields, Fields::of(value, std::move(path)));
  HADAL_ASSIGN(const Value* id, fields.required("id", Kind::kNumber));
  HADAL_ASSIGN(const Value* content, fields.required("content", Kind::kString));
  HADAL_ASSIGN(const bool is_special, boolean(fields, "special", false));
  HADAL_ASSIGN(const bool is_normalized, boolean(fields, "normalized", !is_special));
  HADAL_TRY(fields.only("single_word", Value::boolean(false)));
  HADAL_TRY(fields.only("lstrip", Value::boolean(false)));
  HADAL_TRY(fields.only("rstrip", Value::boolean(false)));
  HADAL_TRY(fields.no_others());
  if (!is_id(*id)) return not_an_id(fields.path() + ".id", *id);
  const std::string& text = content->as_string();
  if (text.empty() || text.size() > kAddedTokenBytesMax) {
    return make_error(text.empty() ? ErrorCode::kCorrupt : ErrorCode::kLimit, "added token has a bad length",
                      fields.path() + ".content", fmt::format("1 to {} bytes", kAddedTokenBytesMax),
                      fmt::format("{}", text.size()));
  }
  return TokenizerJsonView::Added{
      .content = text, .id = *id->as_int(), .is_normalized = is_normalized, .is_special = is_special};
}

Result<std::vector<TokenizerJsonView::Added>> read_added_tokens(const Value* value) {
  std::vector<TokenizerJsonView::Added> added;
  if (value == nullptr) return added;
  if (!value->is_array()) {
    return make_error(ErrorCode::kCorrupt, "value has the wrong kind", "added_tokens", "array", shown(*value));
  }
  const json::Array& items = value->items();
  if (items.size() > kAddedTokensMax) {
    return too_many("added tokens", "added_tokens", kAddedTokensMax, items.size());
  }
  for (size_t i = 0; i < items.size(); ++i) {
    HADAL_ASSIGN(TokenizerJsonView::Added token, read_added_token(items[i], fmt::format("added_tokens[{}]", i)));
    added.push_back(token);
  }
  return added;
}

}  // namespace

Result<TokenizerJsonView> read_tokenizer_json(const Value& root) {
  HADAL_ASSIGN(Fields fields, Fields::of(root, ""));
  HADAL_TRY(fields.only("version", Value::string("1.0")));
  HADAL_TRY(fields.only_null("truncation"));
  HADAL_TRY(fields.only_null("padding"));
  HADAL_TRY(read_normalizer(fields.optional("normalizer")));
  HADAL_ASSIGN(const Value* pre_tokenizer, fields.required("pre_tokenizer", Kind::kObject));
  HADAL_ASSIGN(const Value* decoder, fields.required("decoder", Kind::kObject));
  HADAL_ASSIGN(const Value* model, fields.required("model", Kind::kObject));
  const Value* post_processor = fields.optional("post_processor");
  const Value* added_tokens = fields.optional("added_tokens");
  HADAL_TRY(fields.no_others());

  TokenizerJsonView view;
  HADAL_ASSIGN(view.splits, read_pre_tokenizer(*pre_tokenizer));
  HADAL_TRY(read_byte_level_of(*decoder, "decoder"));
  if (post_processor != nullptr) HADAL_TRY(read_byte_level_of(*post_processor, "post_processor"));
  HADAL_TRY(read_model(*model, view));
  HADAL_ASSIGN(view.added, read_added_tokens(added_tokens));
  return view;
}

}  // namespace hadal::tokenizer
