// One tag of V3.2's, V4's and V4.1's tool markup, found in a stretch of model output.
//
//   <M tool_calls>   <M invoke name="NAME">   <M parameter name="KEY" string="true|false">   and </M ...> of each
//   <M function_calls>, V3.2's name of the first; <M calls>, V4.1's
//
// M is the token ｜DSML｜; V4.1 writes a blank behind it, the others none, and each is read everywhere. In the text
// that these functions read it is the byte 0xFF, which UTF-8 never holds: the characters "｜DSML｜" are therefore never
// a tag. Source: parse_tool_calls of encoding/encoding_dsv4.py. Read as the same tag, because models write them: one
// more bar on either side of the marker
// (<｜｜DSML｜｜...), and a missing `<`.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace hadal::dsml {

inline constexpr char kMarker = '\xFF';

// A name or key longer than this breaks its call. Names of tools have at most 64 characters in the APIs; keys come from
// schemas. The bound keeps what is held back, and looked at again with each token, small.
inline constexpr size_t kTagBytesMax = 4096;

struct Tag {
  enum class Kind {
    kNone,        // no marker in the text
    kIncomplete,  // more text decides
    kBlock,       // tool_calls, function_calls or calls
    kInvoke,
    kParameter,
    kMalformed,  // begins like invoke or parameter, but its attributes are not those
    kUnknown,    // a marker without a known name behind it
  };
  Kind kind = Kind::kNone;
  bool is_closing = false;
  size_t begin = 0;  // of the tag in the text
  size_t end = 0;    // behind it; of an incomplete tag behind the marker
  std::string name;  // of an invoke or a parameter
  bool is_string = false;
};

// The first tag in text.
Tag find_tag(std::string_view text);

// How many bytes at the end of text may turn out to begin a tag when a marker follows: "<", "</", "<｜" or "</｜".
size_t opener_suffix(std::string_view text);

}  // namespace hadal::dsml
