#include "constrain/json_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "constrain/characters.h"
#include "constrain/json_numbers.h"
#include "constrain/regex.h"

namespace hadal::constrain {
namespace {

using json::Value;
using Kind = Value::Kind;

constexpr int kDepthMax = 64;
constexpr size_t kSchemasMax = 10'000;
constexpr size_t kEnumValuesMax = 100'000;
constexpr int64_t kLengthMax = 20'000;

// Texts of the formats that strict mode has.
const std::map<std::string_view, std::string_view> kFormats = {
    {"date", R"(\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8]))"},
    {"time", R"(([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d))"},
    {"date-time",
     R"(\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d))"},
    {"duration",
     R"(P(\d{1,4}W|(\d{1,4}Y(\d{1,4}M(\d{1,4}D)?)?|\d{1,4}M(\d{1,4}D)?|\d{1,4}D)(T(\d{1,4}H(\d{1,4}M(\d{1,4}S)?)?|\d{1,4}M(\d{1,4}S)?|\d{1,4}S))?|T(\d{1,4}H(\d{1,4}M(\d{1,4}S)?)?|\d{1,4}M(\d{1,4}S)?|\d{1,4}S)))"},
    {"email",
     R"([A-Za-z0-9_+-]{1,32}(\.[A-Za-z0-9_+-]{1,32}){0,3}@[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?){1,3})"},
    {"hostname", R"([A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?){0,4})"},
    {"uuid", R"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"},
    {"ipv4", R"((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3})"},
    {"ipv6", R"([0-9a-f]{1,4}(:[0-9a-f]{1,4}){7})"},
    {"uri",
     R"([a-z][a-z0-9+.-]{0,15}://[A-Za-z0-9.-]{1,64}(:\d{1,4})?(/[A-Za-z0-9._~/-]{0,200})?(\?[A-Za-z0-9._~=&-]{0,200})?)"},
};

constexpr std::string_view kAnnotations[] = {"title",    "description", "default", "examples",    "$schema",
                                             "$id",      "$comment",    "$defs",   "definitions", "deprecated",
                                             "readOnly", "writeOnly",   "strict"};

Fragment space(GrammarBuilder& builder, bool may_be_blank) {
  const Fragment indent = builder.repeat([&] { return builder.literal(" "); }, 0, 64);
  const Fragment line = builder.sequence({builder.literal("\n"), indent});
  return may_be_blank ? builder.choice({builder.nothing(), builder.literal(" "), line}) : builder.optional(line);
}

Fragment quoted(GrammarBuilder& builder, Fragment inside) {
  return builder.sequence({builder.literal("\""), inside, builder.literal("\"")});
}

Fragment any_string(GrammarBuilder& builder, int64_t min = 0, int64_t max = -1) {
  const auto one = [&] { return character(builder, CodeSet::all(), Spelling::kJsonString); };
  return quoted(builder, builder.repeat(one, min, max));
}

// [ and ] or { and } around what may be nothing.
Fragment enclosed(GrammarBuilder& builder, std::string_view open, Fragment inside, std::string_view close) {
  return builder.sequence(
      {builder.literal(open), space(builder, false), inside, space(builder, false), builder.literal(close)});
}

Fragment comma(GrammarBuilder& builder) {
  return builder.sequence({builder.literal(","), space(builder, true)});
}

Fragment colon(GrammarBuilder& builder) {
  return builder.sequence({builder.literal(":"), builder.optional(builder.literal(" "))});
}

// first (comma other)*, as often as the counts say.
Fragment listed(GrammarBuilder& builder, const std::function<Fragment()>& item, int64_t min, int64_t max) {
  if (max == 0) return builder.nothing();
  const auto next = [&] { return builder.sequence({comma(builder), item()}); };
  const Fragment some =
      builder.sequence({item(), builder.repeat(next, std::max<int64_t>(min - 1, 0), max < 0 ? -1 : max - 1)});
  return min == 0 ? builder.optional(some) : some;
}

// The one spelling of a fixed value, blanks between tokens aside.
Fragment fixed(GrammarBuilder& builder, const Value& value) {
  std::vector<Fragment> parts;
  if (value.is_array()) {
    for (const Value& item : value.items()) {
      if (!parts.empty()) parts.push_back(comma(builder));
      parts.push_back(fixed(builder, item));
    }
    return enclosed(builder, "[", builder.sequence(parts), "]");
  }
  if (value.is_object()) {
    for (const auto& [key, member] : value.members()) {
      if (!parts.empty()) parts.push_back(comma(builder));
      parts.push_back(builder.literal(json::quote(key)));
      parts.push_back(colon(builder));
      parts.push_back(fixed(builder, member));
    }
    return enclosed(builder, "{", builder.sequence(parts), "}");
  }
  return builder.literal(json::dump(value));
}

struct AnyValue {
  explicit AnyValue(GrammarBuilder& builder) : value(builder.new_rule()), object(builder.new_rule()) {
    const auto member = [&] { return builder.sequence({any_string(builder), colon(builder), builder.call(value)}); };
    builder.define(object, enclosed(builder, "{", listed(builder, member, 0, -1), "}"));
    const Fragment array = enclosed(builder, "[",
                                    listed(
                                        builder, [&] { return builder.call(value); }, 0, -1),
                                    "]");
    builder.define(value, builder.choice({builder.call(object), array, any_string(builder), any_number(builder),
                                          builder.literal("true"), builder.literal("false"), builder.literal("null")}));
  }
  RuleId value, object;
};

class SchemaCompiler {
 public:
  SchemaCompiler(GrammarBuilder& builder, const Value& root, const SchemaOptions& options)
      : builder_(builder), root_(root), options_(options) {}

  Result<Fragment> compile() { return schema(root_, "#", 0); }

 private:
  Error unsupported(const std::string& at, std::string_view keyword, std::string_view why = "") const {
    return {.code = ErrorCode::kUnsupported,
            .what = "the schema uses a keyword that cannot be enforced",
            .in = at + "/" + std::string(keyword),
            .want = "a keyword of docs/constrain.md",
            .found = std::string(keyword),
            .hint = std::string(why)};
  }
  Error invalid(const std::string& at, std::string_view what) const {
    return {.code = ErrorCode::kInvalid,
            .what = "the schema is not valid",
            .in = at,
            .want = "",
            .found = std::string(what),
            .hint = ""};
  }
  Fragment any_value() {
    if (!any_) any_.emplace(builder_);
    return builder_.call(any_->value);
  }

  Result<Fragment> schema(const Value& value, const std::string& at, int depth) {
    if (depth > kDepthMax || ++n_schemas_ > kSchemasMax || builder_.is_full()) {
      return Error{.code = ErrorCode::kLimit,
                   .what = "the schema is too large",
                   .in = at,
                   .want = fmt::format("at most {} schemas, {} deep", kSchemasMax, kDepthMax),
                   .found = "more",
                   .hint = ""};
    }
    if (value.is_bool()) {
      if (value.as_bool()) return any_value();
      return invalid(at, "false: nothing satisfies it");
    }
    if (!value.is_object()) return invalid(at, "a schema must be an object, true or false");
    HADAL_TRY(check_keywords(value, at));
    if (const Value* reference = value.find("$ref")) return referenced(*reference, at);
    if (const Value* constant = value.find("const")) return fixed(builder_, *constant);
    if (const Value* values = value.find("enum")) return enumeration(*values, at);
    for (const std::string_view keyword : {"anyOf", "oneOf"}) {
      if (const Value* list = value.find(keyword)) return alternatives(*list, keyword, at, depth);
    }
    if (const Value* all = value.find("allOf")) return merged(value, *all, at, depth);
    return typed(value, at, depth);
  }

  Result<void> check_keywords(const Value& value, const std::string& at) const {
    static constexpr std::string_view kKnown[] = {"type",
                                                  "properties",
                                                  "required",
                                                  "additionalProperties",
                                                  "items",
                                                  "prefixItems",
                                                  "minItems",
                                                  "maxItems",
                                                  "enum",
                                                  "const",
                                                  "pattern",
                                                  "format",
                                                  "minLength",
                                                  "maxLength",
                                                  "minimum",
                                                  "maximum",
                                                  "exclusiveMinimum",
                                                  "exclusiveMaximum",
                                                  "multipleOf",
                                                  "anyOf",
                                                  "oneOf",
                                                  "allOf",
                                                  "$ref"};
    for (const auto& [keyword, unused] : value.members()) {
      const bool is_known =
          std::find(std::begin(kKnown), std::end(kKnown), keyword) != std::end(kKnown) ||
          std::find(std::begin(kAnnotations), std::end(kAnnotations), keyword) != std::end(kAnnotations);
      if (!is_known && options_.strict) return unsupported(at, keyword);
    }
    return {};
  }

  // A rule for each place that is referred to; its body is made once.
  Result<Fragment> referenced(const Value& reference, const std::string& at) {
    if (!reference.is_string()) return invalid(at + "/$ref", "it must be a string");
    const std::string& place = reference.as_string();
    if (!place.starts_with("#")) return unsupported(at, "$ref", "only references inside the schema: #/$defs/NAME");
    const auto known = rules_.find(place);
    if (known != rules_.end()) return builder_.call(known->second);
    const Value* target = resolve(place);
    if (target == nullptr) return invalid(at + "/$ref", "it leads nowhere: " + json::excerpt(place));
    const RuleId rule = builder_.new_rule();
    rules_[place] = rule;
    if (++reference_depth_ > kDepthMax) return invalid(at, "references are nested too deep");
    HADAL_ASSIGN(const Fragment body, schema(*target, place, 0));
    --reference_depth_;
    builder_.define(rule, body);
    return builder_.call(rule);
  }

  const Value* resolve(std::string_view pointer) const {
    const Value* value = &root_;
    pointer.remove_prefix(1);
    while (!pointer.empty() && value != nullptr) {
      if (pointer.front() != '/') return nullptr;
      pointer.remove_prefix(1);
      const size_t end = std::min(pointer.find('/'), pointer.size());
      std::string key;
      for (size_t i = 0; i < end; ++i) {
        const bool is_escape = pointer[i] == '~' && i + 1 < end;
        key += is_escape ? (pointer[++i] == '1' ? '/' : '~') : pointer[i];
      }
      pointer.remove_prefix(end);
      if (value->is_array()) {
        const size_t index = key.find_first_not_of("0123456789") == std::string::npos && key.size() < 9 && !key.empty()
                                 ? std::stoul(key)
                                 : value->items().size();
        value = index < value->items().size() ? &value->items()[index] : nullptr;
      } else {
        value = value->find(key);
      }
    }
    return value;
  }

  Result<Fragment> enumeration(const Value& values, const std::string& at) {
    if (!values.is_array() || values.items().empty()) return invalid(at + "/enum", "it must be an array with values");
    n_enum_values_ += values.items().size();
    if (n_enum_values_ > kEnumValuesMax) return invalid(at + "/enum", "there are too many values");
    std::vector<Fragment> options;
    for (const Value& value : values.items()) options.push_back(fixed(builder_, value));
    return builder_.choice(options);
  }

  // What makes a branch another than its neighbours: its type, or a constant of one of its required keys.
  static bool are_apart(const Value& a, const Value& b) {
    const auto type_of = [](const Value& s) {
      const Value* type = s.find("type");
      return type != nullptr && type->is_string() ? type->as_string() : std::string();
    };
    const std::string x = type_of(a), y = type_of(b);
    const bool both_numbers = (x == "integer" && y == "number") || (x == "number" && y == "integer");
    if (!x.empty() && !y.empty() && x != y && !both_numbers) return true;
    const Value *first = a.find("properties"), *second = b.find("properties");
    if (a.find("const") && b.find("const")) return !(*a.find("const") == *b.find("const"));
    if (first == nullptr || second == nullptr) return false;
    for (const auto& [key, schema] : first->members()) {
      const Value* other = second->find(key);
      const Value* constant = schema.find("const");
      const Value* other_constant = other == nullptr ? nullptr : other->find("const");
      if (constant && other_constant && !(*constant == *other_constant)) return true;
    }
    return false;
  }

  Result<Fragment> alternatives(const Value& list, std::string_view keyword, const std::string& at, int depth) {
    if (!list.is_array() || list.items().empty())
      return invalid(at + "/" + std::string(keyword), "it must be an array with schemas");
    std::vector<Fragment> options;
    for (size_t i = 0; i < list.items().size(); ++i) {
      for (size_t k = 0; keyword == "oneOf" && options_.strict && k < i; ++k) {
        if (!are_apart(list.items()[i], list.items()[k])) {
          return unsupported(at, keyword, "its branches must differ by type or by a constant key; or use anyOf");
        }
      }
      HADAL_ASSIGN(const Fragment option, schema(list.items()[i], fmt::format("{}/{}/{}", at, keyword, i), depth + 1));
      options.push_back(option);
    }
    return builder_.choice(options);
  }

  // Objects whose properties are put together; anything else that has to hold at once is not regular.
  Result<Fragment> merged(const Value& value, const Value& all, const std::string& at, int depth) {
    if (!all.is_array() || all.items().empty()) return invalid(at + "/allOf", "it must be an array with schemas");
    Value sum = Value::object();
    const auto add = [&](const Value& part) -> Result<void> {
      for (const auto& [keyword, content] : part.members()) {
        if (keyword == "allOf") continue;
        const Value* have = sum.find(keyword);
        if (have == nullptr) {
          sum.set(keyword, content);
        } else if (keyword == "properties") {
          Value properties = *have;
          for (const auto& [name, schema] : content.members()) {
            if (properties.find(name) != nullptr) return unsupported(at, "allOf", "a property is described twice");
            properties.set(name, schema);
          }
          sum.set("properties", properties);
        } else if (keyword == "required") {
          Value required = *have;
          for (const Value& name : content.items()) required.push(name);
          sum.set("required", required);
        } else if (!(*have == content)) {
          return unsupported(at, "allOf", "only objects can be put together");
        }
      }
      return {};
    };
    HADAL_TRY(add(value));
    for (const Value& part : all.items()) {
      const Value* reference = part.find("$ref");
      const Value* target = reference != nullptr && reference->is_string() && reference->as_string().starts_with('#')
                                ? resolve(reference->as_string())
                                : &part;
      if (target == nullptr) return invalid(at + "/allOf", "a reference leads nowhere");
      HADAL_TRY(add(*target));
    }
    return schema(sum, at, depth + 1);
  }

  Result<Fragment> typed(const Value& value, const std::string& at, int depth) {
    std::vector<std::string> types;
    if (const Value* type = value.find("type")) {
      if (type->is_string()) types.push_back(type->as_string());
      for (const Value& one : type->items()) types.push_back(one.as_string());
      if (types.empty()) return invalid(at + "/type", "it must be a name or a list of names");
    } else if (value.find("properties") != nullptr || value.find("additionalProperties") != nullptr ||
               value.find("required") != nullptr) {
      types = {"object"};
    } else if (value.find("items") != nullptr || value.find("prefixItems") != nullptr) {
      types = {"array"};
    } else if (value.find("pattern") != nullptr || value.find("format") != nullptr ||
               value.find("minLength") != nullptr || value.find("maxLength") != nullptr) {
      types = {"string"};
    } else if (value.find("minimum") != nullptr || value.find("maximum") != nullptr ||
               value.find("multipleOf") != nullptr) {
      types = {"number"};
    } else {
      return any_value();
    }
    std::vector<Fragment> options;
    for (const std::string& type : types) {
      HADAL_ASSIGN(const Fragment option, of_type(type, value, at, depth));
      options.push_back(option);
    }
    return options.size() == 1 ? options.front() : builder_.choice(options);
  }

  Result<Fragment> of_type(const std::string& type, const Value& value, const std::string& at, int depth) {
    if (type == "null") return builder_.literal("null");
    if (type == "boolean") return builder_.choice({builder_.literal("true"), builder_.literal("false")});
    if (type == "string") return string(value, at);
    if (type == "integer" || type == "number") return number(value, type == "integer", at);
    if (type == "array") return array(value, at, depth);
    if (type == "object") return object(value, at, depth);
    return invalid(at + "/type", "there is no type " + json::excerpt(type));
  }

  Result<std::optional<int64_t>> count(const Value& value, std::string_view keyword, const std::string& at) const {
    const Value* found = value.find(keyword);
    if (found == nullptr) return std::optional<int64_t>();
    const std::optional<int64_t> n = found->is_number() ? found->as_int() : std::nullopt;
    if (!n || *n < 0) return invalid(at + "/" + std::string(keyword), "it must be a count");
    if (*n > kLengthMax)
      return Error{.code = ErrorCode::kLimit,
                   .what = "the schema is too large",
                   .in = at + "/" + std::string(keyword),
                   .want = fmt::format("at most {}", kLengthMax),
                   .found = fmt::format("{}", *n),
                   .hint = ""};
    return n;
  }

  Result<Fragment> string(const Value& value, const std::string& at) {
    HADAL_ASSIGN(const std::optional<int64_t> min, count(value, "minLength", at));
    HADAL_ASSIGN(const std::optional<int64_t> max, count(value, "maxLength", at));
    if (max && *max < min.value_or(0)) return invalid(at, "maxLength is below minLength");
    const Value* pattern = value.find("pattern");
    const Value* format = value.find("format");
    const bool has_length = min || max;
    if (pattern != nullptr) {
      if (!pattern->is_string()) return invalid(at + "/pattern", "it must be a string");
      if (has_length && options_.strict)
        return unsupported(at, "pattern", "not together with minLength or maxLength: put the count into the pattern");
      Result<Fragment> text = regex_fragment(builder_, pattern->as_string(), RegexUse::kSearch, Spelling::kJsonString);
      if (text.ok()) return quoted(builder_, *text);
      if (options_.strict) return std::move(text).error().within(at + "/pattern");
    }
    if (format != nullptr && pattern == nullptr) {
      const auto known = kFormats.find(format->as_string());
      if (known == kFormats.end() && options_.strict)
        return unsupported(at, "format",
                           "known: date, date-time, time, duration, email, hostname, uuid, ipv4, ipv6, uri");
      if (known != kFormats.end()) {
        HADAL_ASSIGN(const Fragment text,
                     regex_fragment(builder_, known->second, RegexUse::kWhole, Spelling::kJsonString));
        return quoted(builder_, text);
      }
    }
    return any_string(builder_, min.value_or(0), max.value_or(-1));
  }

  // The bounds as integers, rounded inwards when only integers count.
  Result<IntegerRange> bounds(const Value& value, bool is_integer, const std::string& at) const {
    IntegerRange range;
    for (const std::string_view keyword : {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}) {
      const Value* found = value.find(keyword);
      if (found == nullptr) continue;
      const std::optional<double> bound = found->is_number() ? found->as_double() : std::nullopt;
      if (!bound || std::abs(*bound) > static_cast<double>(kBoundMax))
        return invalid(at + "/" + std::string(keyword), "it must be a number of at most 15 digits");
      const bool is_lower = keyword.ends_with("inimum"), excludes = keyword.starts_with("exclusive");
      const bool is_whole = std::floor(*bound) == *bound;
      if (!is_integer && (!is_whole || excludes)) {
        if (options_.strict) return unsupported(at, keyword, "bounds of type number must be whole and inclusive");
        continue;
      }
      auto whole = static_cast<int64_t>(is_lower ? std::ceil(*bound) : std::floor(*bound));
      if (excludes && is_whole) whole += is_lower ? 1 : -1;
      if (is_lower) range.min = range.min ? std::max(*range.min, whole) : whole;
      if (!is_lower) range.max = range.max ? std::min(*range.max, whole) : whole;
    }
    if (range.min && range.max && *range.min > *range.max) return invalid(at, "no number lies between the bounds");
    return range;
  }

  Result<Fragment> number(const Value& value, bool is_integer, const std::string& at) {
    HADAL_ASSIGN(const IntegerRange range, bounds(value, is_integer, at));
    int decimals = is_integer ? 0 : 15;
    bool is_bounded = range.min || range.max;
    if (const Value* multiple = value.find("multipleOf")) {
      const std::optional<double> step = multiple->is_number() ? multiple->as_double() : std::nullopt;
      if (!step || !(*step > 0)) return invalid(at + "/multipleOf", "it must be a number above 0");
      int places = 0;
      double power = *step;
      while (power < 0.999 && places < 15) power *= 10, ++places;
      const bool is_power = std::abs(power - 1) < 1e-9;
      if (!is_power && options_.strict) return unsupported(at, "multipleOf", "known: 1 and powers of ten below it");
      if (is_power) {
        decimals = std::min(decimals, places);
        is_bounded = true;
      }
    }
    if (is_integer) return integer_in(builder_, range);
    return is_bounded ? decimal_in(builder_, range, decimals) : any_number(builder_);
  }

  Result<Fragment> array(const Value& value, const std::string& at, int depth) {
    HADAL_ASSIGN(const std::optional<int64_t> min, count(value, "minItems", at));
    HADAL_ASSIGN(const std::optional<int64_t> max, count(value, "maxItems", at));
    if (max && *max < min.value_or(0)) return invalid(at, "maxItems is below minItems");
    static const Value kAny = Value::boolean(true);
    const Value* items = value.find("items");
    const Value* first = value.find("prefixItems");
    const bool is_closed = items != nullptr && items->is_bool() && !items->as_bool();
    RuleId rule = -1;
    if (!is_closed) {
      rule = builder_.new_rule();
      HADAL_ASSIGN(const Fragment item, schema(items == nullptr ? kAny : *items, at + "/items", depth + 1));
      builder_.define(rule, item);
    }
    const auto rest = [&] { return builder_.call(rule); };
    if (first == nullptr) {
      if (is_closed && min.value_or(0) > 0) return invalid(at, "items are asked for and forbidden");
      return enclosed(builder_, "[", listed(builder_, rest, min.value_or(0), is_closed ? 0 : max.value_or(-1)), "]");
    }
    // The first ones by their place; each place may be the end once minItems are there.
    std::vector<Fragment> parts;
    const StateId end = builder_.new_state();
    StateId at_state = builder_.new_state();
    const StateId start = at_state;
    const auto n_first = static_cast<int64_t>(first->items().size());
    for (int64_t i = 0; i < n_first && (!max || i < *max); ++i) {
      if (i >= min.value_or(0)) builder_.skip(at_state, end);
      HADAL_ASSIGN(const Fragment item,
                   schema(first->items()[static_cast<size_t>(i)], fmt::format("{}/prefixItems/{}", at, i), depth + 1));
      const Fragment whole = i == 0 ? item : builder_.sequence({comma(builder_), item});
      builder_.skip(at_state, whole.start);
      at_state = whole.end;
    }
    const int64_t more_min = std::max<int64_t>(min.value_or(0) - n_first, 0);
    const int64_t more_max = is_closed ? 0 : max ? std::max<int64_t>(*max - n_first, 0) : -1;
    if (is_closed && more_min > 0) return invalid(at, "minItems asks for more items than there may be");
    if (n_first == 0) return enclosed(builder_, "[", listed(builder_, rest, more_min, more_max), "]");
    const auto next = [&] { return builder_.sequence({comma(builder_), rest()}); };
    const Fragment more = more_max == 0 ? builder_.nothing() : builder_.repeat(next, more_min, more_max);
    builder_.skip(at_state, more.start);
    builder_.skip(more.end, end);
    return enclosed(builder_, "[", {start, end}, "]");
  }

  // A key that is none of these names: it leaves their tree somewhere, or ends inside it.
  Fragment other_key(const std::vector<std::string>& names) {
    std::map<std::string, StateId> tree;
    const StateId start = builder_.new_state(), free = builder_.new_state(), end = builder_.new_state();
    tree[""] = start;
    std::set<std::string> whole;
    for (const std::string& name : names) {
      std::string spelled = json::quote(name);
      spelled = spelled.substr(1, spelled.size() - 2);
      whole.insert(spelled);
      for (size_t n = 1; n <= spelled.size(); ++n) tree.try_emplace(spelled.substr(0, n), builder_.new_state());
    }
    const auto one = [&] { return character(builder_, CodeSet::all(), Spelling::kJsonString); };
    const Fragment rest = builder_.star(one());
    builder_.skip(free, rest.start);
    builder_.skip(rest.end, end);
    for (const auto& [prefix, state] : tree) {
      // ASCII characters that no name goes on with lead out; other bytes only along the names, which keeps it small.
      for (int c = 0x20; c < 0x7f; ++c) {
        const auto byte = static_cast<uint8_t>(c);
        const auto along = tree.find(prefix + static_cast<char>(c));
        if (along != tree.end()) {
          builder_.edge(state, byte, byte, along->second);
        } else if (c != '"' && c != '\\') {
          builder_.edge(state, byte, byte, free);
        }
      }
      for (int c = 0x80; c < 0x100; ++c) {
        const auto along = tree.find(prefix + static_cast<char>(c));
        if (along != tree.end()) builder_.edge(state, static_cast<uint8_t>(c), static_cast<uint8_t>(c), along->second);
      }
      const bool is_character_end = prefix.empty() || static_cast<unsigned char>(prefix.back()) < 0x80;
      if (whole.count(prefix) == 0 && is_character_end && !prefix.ends_with('\\')) builder_.skip(state, end);
    }
    return quoted(builder_, {start, end});
  }

  Result<Fragment> object(const Value& value, const std::string& at, int depth) {
    static const Value kNone = Value::object();
    const Value* properties = value.find("properties");
    if (properties != nullptr && !properties->is_object()) return invalid(at + "/properties", "it must be an object");
    if (properties == nullptr) properties = &kNone;
    std::set<std::string> required;
    if (const Value* list = value.find("required")) {
      for (const Value& name : list->items()) required.insert(name.as_string());
    }
    std::vector<std::pair<std::string, const Value*>> members;
    std::vector<std::string> names;
    for (const auto& [name, schema] : properties->members()) {
      members.emplace_back(name, &schema);
      names.push_back(name);
    }
    // What is required but not described comes last, as anything.
    static const Value kAny = Value::boolean(true);
    const Value* additional = value.find("additionalProperties");
    const bool is_closed = additional != nullptr && additional->is_bool() && !additional->as_bool();
    for (const std::string& name : required) {
      if (std::find(names.begin(), names.end(), name) != names.end()) continue;
      if (is_closed)
        return invalid(at + "/required", "it asks for a key that may not be there: " + json::excerpt(name));
      members.emplace_back(name, additional == nullptr ? &kAny : additional);
      names.push_back(name);
    }
    // Two ways through the members: before the first that is written, and behind one, where a comma is due.
    StateId fresh = builder_.new_state(), behind = builder_.new_state();
    const StateId start = fresh, end = builder_.new_state();
    for (const auto& [name, schema_of] : members) {
      const RuleId rule = builder_.new_rule();
      HADAL_ASSIGN(const Fragment body, schema(*schema_of, at + "/properties/" + name, depth + 1));
      builder_.define(rule, builder_.sequence({builder_.literal(json::quote(name)), colon(builder_), body}));
      const StateId next_fresh = builder_.new_state(), next_behind = builder_.new_state();
      const Fragment alone = builder_.call(rule);
      const Fragment after = builder_.sequence({comma(builder_), builder_.call(rule)});
      builder_.skip(fresh, alone.start);
      builder_.skip(alone.end, next_behind);
      builder_.skip(behind, after.start);
      builder_.skip(after.end, next_behind);
      if (required.count(name) == 0) {
        builder_.skip(fresh, next_fresh);
        builder_.skip(behind, next_behind);
      }
      fresh = next_fresh;
      behind = next_behind;
    }
    // Strict mode of OpenAI wants additionalProperties: false; where it is not said, other keys are left out as well,
    // unless nothing is described.
    const bool has_others = !is_closed && (additional != nullptr || members.empty());
    if (has_others) {
      const RuleId rule = builder_.new_rule();
      HADAL_ASSIGN(const Fragment body,
                   schema(additional == nullptr ? kAny : *additional, at + "/additionalProperties", depth + 1));
      builder_.define(rule, builder_.sequence({other_key(names), colon(builder_), body}));
      const Fragment alone = builder_.call(rule);
      builder_.skip(fresh, alone.start);
      builder_.skip(alone.end, behind);
      const Fragment after = builder_.star(builder_.sequence({comma(builder_), builder_.call(rule)}));
      builder_.skip(behind, after.start);
      builder_.skip(after.end, end);
    }
    builder_.skip(fresh, end);
    builder_.skip(behind, end);
    return enclosed(builder_, "{", {start, end}, "}");
  }

  GrammarBuilder& builder_;
  const Value& root_;
  SchemaOptions options_;
  std::optional<AnyValue> any_;
  std::map<std::string, RuleId> rules_;  // by $ref
  size_t n_schemas_ = 0;
  size_t n_enum_values_ = 0;
  int reference_depth_ = 0;
};

}  // namespace

Result<Fragment> schema_fragment(GrammarBuilder& builder, const Value& schema, const SchemaOptions& options) {
  return SchemaCompiler(builder, schema, options).compile();
}

Result<Grammar> schema_grammar(const Value& schema, const SchemaOptions& options) {
  GrammarBuilder builder;
  const RuleId root = builder.new_rule();
  HADAL_ASSIGN(const Fragment body, schema_fragment(builder, schema, options));
  builder.define(root, body);
  return builder.finish(root);
}

Grammar any_object_grammar() {
  GrammarBuilder builder;
  const AnyValue any(builder);
  Result<Grammar> grammar = builder.finish(any.object);
  return std::move(grammar).value();
}

Fragment any_value_fragment(GrammarBuilder& builder) {
  return builder.call(AnyValue(builder).value);
}

}  // namespace hadal::constrain
