// tokenizer.json from strangers, and text through what it describes: parsing, encoding and decoding never crash, hang
// or lose text. The input is the file; its first bytes are also the text.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/utf8.h"
#include "tokenizer/tokenizer.h"

using hadal::AddedTokens;
using hadal::StreamDecoder;
using hadal::TokenId;
using hadal::Tokenizer;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  const hadal::Result<Tokenizer> tokenizer = Tokenizer::parse(file, "fuzz");
  if (!tokenizer.ok()) return 0;
  // Long enough to leave a regex's window, short enough for thousands of inputs a second.
  const std::string_view text = file.substr(0, 600);
  for (const AddedTokens added : {AddedTokens::kRecognise, AddedTokens::kAsText}) {
    const std::vector<TokenId> ids = tokenizer->encode(text, added);
    HADAL_CHECK(tokenizer->decode(ids, false) == hadal::utf8::sanitize(text), "decodes to another text", ids.size());
    StreamDecoder stream(*tokenizer, true);
    std::string streamed;
    for (const TokenId id : ids) streamed += stream.push(id);
    streamed += stream.finish();
    HADAL_CHECK(streamed == tokenizer->decode(ids, true), "the stream decodes to another text", ids.size());
  }
  return 0;
}
