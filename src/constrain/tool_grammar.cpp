#include "constrain/tool_grammar.h"

#include <fmt/format.h>

#include <algorithm>

#include "constrain/characters.h"
#include "constrain/json_schema.h"
#include "constrain/regex.h"

namespace hadal::constrain {
namespace {

using json::Value;

bool is_string_schema(const Value& schema) {
  const Value* type = schema.find("type");
  if (type != nullptr) return type->is_string() && type->as_string() == "string";
  const Value* values = schema.find("enum");
  const auto is_string = [](const Value& v) { return v.is_string(); };
  return values != nullptr && std::all_of(values->items().begin(), values->items().end(), is_string);
}

// Another type than string, for sure: such a parameter is never raw text.
bool is_other_schema(const Value& schema) {
  const Value* type = schema.find("type");
  if (type == nullptr) return false;
  if (type->is_string()) return type->as_string() != "string";
  return std::none_of(type->items().begin(), type->items().end(),
                      [](const Value& t) { return t.as_string() == "string"; });
}

class EnvelopeBuilder {
 public:
  EnvelopeBuilder(GrammarBuilder& builder, const EnvelopeTags& tags) : b_(builder), tags_(tags) {}

  Result<Fragment> block(const std::vector<ToolShape>& tools, bool is_parallel) {
    const RuleId rule = b_.new_rule();
    std::vector<Fragment> options;
    for (const ToolShape& tool : tools) {
      Result<Fragment> call = invoke(tool);
      if (!call.ok()) return std::move(call).error().within(fmt::format("tool {}", json::excerpt(tool.name)));
      options.push_back(*call);
    }
    b_.define(rule, b_.choice(options));
    const Fragment calls = b_.repeat([&] { return b_.call(rule); }, 1, is_parallel ? -1 : 1);
    return b_.sequence({open(tags_.block, ">\n"), calls, close(tags_.block, ">")});
  }

 private:
  Fragment open(std::string_view tag, std::string_view rest) {
    return b_.sequence({b_.literal("<"), b_.token(tags_.marker), b_.literal(std::string(tag) + std::string(rest))});
  }
  Fragment close(std::string_view tag, std::string_view rest) {
    return b_.sequence({b_.literal("</"), b_.token(tags_.marker), b_.literal(std::string(tag) + std::string(rest))});
  }

  Result<Fragment> invoke(const ToolShape& tool) {
    HADAL_ASSIGN(const Fragment inside, tool.is_strict ? strict_parameters(tool) : free_parameters(tool));
    // A call without parameters has a line feed of its own.
    return b_.sequence({open(tags_.invoke, fmt::format(" name=\"{}\">\n", tool.name)), inside,
                        b_.optional(b_.literal("\n")), close(tags_.invoke, ">\n")});
  }

  Fragment parameter(Fragment key, bool is_string, Fragment value) {
    return b_.sequence({open(tags_.parameter, " name=\""), key,
                        b_.literal(is_string ? "\" string=\"true\">" : "\" string=\"false\">"), value,
                        close(tags_.parameter, ">\n")});
  }

  Result<Fragment> free_parameters(const ToolShape& tool) {
    const Value* properties = tool.parameters.find("properties");
    const Value* additional = tool.parameters.find("additionalProperties");
    std::vector<Fragment> options;
    const auto add = [&](const std::function<Fragment()>& key, const Value& schema) {
      if (!is_other_schema(schema)) options.push_back(parameter(key(), true, b_.any_bytes()));
      if (!is_string_schema(schema)) options.push_back(parameter(key(), false, any_value_fragment(b_)));
    };
    static const Value kAnything = Value::object();
    for (size_t i = 0; properties != nullptr && i < properties->members().size(); ++i) {
      const auto& [name, schema] = properties->members()[i];
      add([&] { return b_.literal(name); }, schema);
    }
    const bool is_open = additional != nullptr && !(additional->is_bool() && !additional->as_bool());
    if (is_open || properties == nullptr || properties->members().empty()) {
      const CodeSet in_name = CodeSet({{'"', '"'}, {'\n', '\n'}, {'\r', '\r'}}).complement();
      add([&] { return b_.repeat([&] { return character(b_, in_name, Spelling::kUtf8); }, 1, 64); }, kAnything);
    }
    return b_.star(b_.choice(options));
  }

  Result<Fragment> strict_parameters(const ToolShape& tool) {
    std::vector<Fragment> parts = {b_.nothing()};
    const Value* properties = tool.parameters.find("properties");
    const Value* required = tool.parameters.find("required");
    for (size_t i = 0; properties != nullptr && i < properties->members().size(); ++i) {
      const auto& [name, schema] = properties->members()[i];
      const bool is_string = is_string_schema(schema);
      HADAL_ASSIGN(const Fragment value,
                   is_string ? raw_string(schema, name) : json_value(schema, name, tool.parameters));
      const Fragment whole = parameter(b_.literal(name), is_string, value);
      const auto is_name = [&key = name](const Value& v) { return v.as_string() == key; };
      const bool is_required =
          required != nullptr && std::any_of(required->items().begin(), required->items().end(), is_name);
      parts.push_back(is_required ? whole : b_.optional(whole));
    }
    return b_.sequence(parts);
  }

  // Definitions of the whole are seen by references inside a property.
  Result<Fragment> json_value(const Value& schema, const std::string& name, const Value& whole) {
    Value with_definitions = schema;
    for (const std::string_view key : {"$defs", "definitions"}) {
      const Value* definitions = whole.find(key);
      if (definitions != nullptr && with_definitions.is_object()) with_definitions.set(key, *definitions);
    }
    kept_.push_back(std::make_unique<Value>(std::move(with_definitions)));
    Result<Fragment> value = schema_fragment(b_, *kept_.back(), {.strict = true});
    if (!value.ok()) return std::move(value).error().within(name);
    return value;
  }

  // The text itself, without JSON's quotes and escapes.
  Result<Fragment> raw_string(const Value& schema, const std::string& name) {
    std::vector<Fragment> options;
    const Value* constant = schema.find("const");
    if (constant != nullptr) return b_.literal(constant->as_string());
    if (const Value* values = schema.find("enum")) {
      for (const Value& value : values->items()) options.push_back(b_.literal(value.as_string()));
      return b_.choice(options);
    }
    if (const Value* pattern = schema.find("pattern")) {
      Result<Fragment> text = regex_fragment(b_, pattern->as_string(), RegexUse::kSearch, Spelling::kUtf8);
      if (!text.ok()) return std::move(text).error().within(name);
      return text;
    }
    const auto count = [&](std::string_view keyword, int64_t other) {
      const Value* value = schema.find(keyword);
      return value != nullptr && value->is_number() ? std::clamp<int64_t>(value->as_int().value_or(other), -1, 20'000)
                                                    : other;
    };
    const int64_t min = count("minLength", 0), max = count("maxLength", -1);
    if (min <= 0 && max < 0) return b_.any_bytes();
    return b_.repeat([&] { return character(b_, CodeSet::all(), Spelling::kUtf8); }, std::max<int64_t>(min, 0), max);
  }

  GrammarBuilder& b_;
  const EnvelopeTags& tags_;
  std::vector<std::unique_ptr<Value>> kept_;
};

}  // namespace

Result<Grammar> answer_grammar(const EnvelopeTags& tags, const std::vector<ToolShape>& tools,
                               const EnvelopeOptions& options) {
  GrammarBuilder builder;
  const RuleId root = builder.new_rule();
  const auto line_feeds = [&] { return builder.repeat([&] { return builder.literal("\n"); }, 0, 2); };
  std::vector<Fragment> ways;
  const bool is_json = options.answers_in_json || !options.answer_schema.is_null();
  if (!options.is_forced && is_json) {
    Fragment json_text = builder.nothing();
    if (options.answer_schema.is_null()) {
      static const Value kObject = Value::object({{"type", Value::string("object")}});
      HADAL_ASSIGN(json_text, schema_fragment(builder, kObject, {.strict = true}));
    } else {
      HADAL_ASSIGN(json_text, schema_fragment(builder, options.answer_schema, {.strict = options.is_answer_strict}));
    }
    ways.push_back(builder.sequence({line_feeds(), json_text}));
  }
  if (!tools.empty()) {
    HADAL_ASSIGN(const Fragment block, EnvelopeBuilder(builder, tags).block(tools, options.is_parallel));
    const bool has_text = !options.is_forced && !is_json;
    const Fragment before = has_text ? builder.any_bytes() : line_feeds();
    const Fragment calls = builder.sequence({before, block});
    ways.push_back(calls);
    if (has_text) ways.push_back(builder.any_bytes());
  } else if (!is_json) {
    ways.push_back(builder.any_bytes());
  }
  builder.define(root, builder.choice(ways));
  return builder.finish(root);
}

}  // namespace hadal::constrain
