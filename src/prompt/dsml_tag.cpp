#include "prompt/dsml_tag.h"

#include <algorithm>
#include <array>
#include <optional>

namespace hadal::dsml {
namespace {

constexpr std::string_view kBar = "｜";

struct NamedKind {
  std::string_view name;
  Tag::Kind kind;
};

constexpr std::array kNames = {
    NamedKind{"tool_calls", Tag::Kind::kBlock}, NamedKind{"function_calls", Tag::Kind::kBlock},  // V3.2's
    NamedKind{"calls", Tag::Kind::kBlock},                                                       // V4.1's
    NamedKind{"invoke", Tag::Kind::kInvoke},    NamedKind{"parameter", Tag::Kind::kParameter},
};

bool is_proper_prefix(std::string_view text, std::string_view of) {
  return text.size() < of.size() && of.starts_with(text);
}

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// The attributes behind `invoke` or `parameter`: a fixed opening, a value, one of the closings.
struct Attributes {
  std::string_view opening;
  std::array<std::string_view, 2> closings;
};
constexpr Attributes kInvokeAttributes = {" name=\"", {"\">", "\">"}};
constexpr Attributes kParameterAttributes = {" name=\"", {"\" string=\"true\">", "\" string=\"false\">"}};

// Sets kind, end, name and is_string of a tag whose attributes begin at `at`.
void read_attributes(std::string_view text, size_t at, const Attributes& attributes, Tag& tag) {
  const Tag::Kind complete = tag.kind;
  const std::string_view rest = text.substr(at, kTagBytesMax);
  tag.kind = Tag::Kind::kMalformed;
  tag.end = at;
  if (is_proper_prefix(rest, attributes.opening)) {
    tag.kind = Tag::Kind::kIncomplete;
    return;
  }
  if (!rest.starts_with(attributes.opening)) return;
  // The value ends at the first closing; another marker before it cannot belong to a name.
  const std::string_view value = rest.substr(attributes.opening.size());
  const size_t marker = value.find(kMarker);
  size_t end = std::string_view::npos;
  size_t which = 0;
  for (size_t i = 0; i < attributes.closings.size(); ++i) {
    if (const size_t found = value.find(attributes.closings[i]); found < end) {
      end = found;
      which = i;
    }
  }
  if (end < marker) {
    tag.kind = complete;
    tag.name = value.substr(0, end);
    tag.is_string = which == 0;
    tag.end = at + attributes.opening.size() + end + attributes.closings[which].size();
  } else if (marker == std::string_view::npos && rest.size() < kTagBytesMax) {
    tag.kind = Tag::Kind::kIncomplete;
  }
}

// A closing tag and tool_calls have no attributes; a missing `>` is forgiven.
void read_end(std::string_view text, size_t at, Tag& tag) {
  if (at == text.size()) {
    tag.kind = Tag::Kind::kIncomplete;
    return;
  }
  tag.end = text[at] == '>' ? at + 1 : at;
}

// What stands at `at`, behind the marker, its bar and V4.1's blank: a known name or not. Nothing: more text decides.
std::optional<Tag::Kind> read_name(std::string_view text, size_t& at) {
  const std::string_view rest = text.substr(at);
  for (const NamedKind& named : kNames) {
    if (is_proper_prefix(rest, named.name)) return std::nullopt;
    if (!rest.starts_with(named.name)) continue;
    if (rest.size() > named.name.size() && is_name_char(rest[named.name.size()])) break;
    at += named.name.size();
    return named.kind;
  }
  return Tag::Kind::kUnknown;
}

}  // namespace

size_t opener_suffix(std::string_view text) {
  for (const std::string_view opener : {"</｜", "<｜", "</", "<"}) {
    if (text.ends_with(opener)) return opener.size();
  }
  return 0;
}

Tag find_tag(std::string_view text) {
  Tag tag;
  const size_t marker = text.find(kMarker);
  if (marker == std::string_view::npos) return tag;
  const std::string_view opener = text.substr(0, marker).substr(marker - opener_suffix(text.substr(0, marker)));
  tag.begin = marker - opener.size();
  tag.is_closing = opener.starts_with("</");
  tag.end = marker + 1;
  tag.kind = Tag::Kind::kIncomplete;

  size_t at = marker + 1;
  if (is_proper_prefix(text.substr(at), kBar)) return tag;
  if (text.substr(at).starts_with(kBar)) at += kBar.size();
  if (text.substr(at).starts_with(' ')) ++at;
  const std::optional<Tag::Kind> kind = read_name(text, at);
  if (!kind) return tag;
  tag.kind = *kind;
  if (tag.kind == Tag::Kind::kUnknown) return tag;
  if (tag.is_closing || tag.kind == Tag::Kind::kBlock) {
    read_end(text, at, tag);
  } else {
    read_attributes(text, at, tag.kind == Tag::Kind::kInvoke ? kInvokeAttributes : kParameterAttributes, tag);
  }
  return tag;
}

}  // namespace hadal::dsml
