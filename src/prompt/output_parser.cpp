// From token ids to the markers and bytes that dsml::Parser reads.
#include "prompt/output_parser.h"

#include <algorithm>
#include <utility>

#include "prompt/dsml_parser.h"
#include "prompt/v4_literals.h"

namespace hadal {
namespace {

// Added tokens that begin another party's turn, or the text of another document.
constexpr std::string_view kRoleMarkers[] = {v4::kBos, v4::kUser, v4::kAssistant, v4::kLatestReminder, "<|EOT|>"};

class MarkerTable {
 public:
  explicit MarkerTable(const Tokenizer& tokenizer) {
    const auto add = [&](std::string_view spelling, dsml::Marker marker) {
      if (const auto id = tokenizer.added_token(spelling)) markers_.emplace_back(*id, marker);
    };
    add(v4::kThink, dsml::Marker::kThink);
    add(v4::kEndThink, dsml::Marker::kEndThink);
    add(v4::kDsml, dsml::Marker::kDsml);
    add(v4::kEos, dsml::Marker::kEos);
    for (const std::string_view spelling : kRoleMarkers) add(spelling, dsml::Marker::kRole);
  }

  dsml::Marker find(TokenId id) const {
    const auto found = std::ranges::find(markers_, id, &std::pair<TokenId, dsml::Marker>::first);
    return found == markers_.end() ? dsml::Marker::kOther : found->second;
  }

 private:
  std::vector<std::pair<TokenId, dsml::Marker>> markers_;
};

}  // namespace

struct OutputParser::Impl {
  Impl(const Tokenizer& t, bool starts_in_reasoning, const json::Value& tools)
      : tokenizer(&t), markers(t), parser(starts_in_reasoning, tools) {}

  const Tokenizer* tokenizer;
  MarkerTable markers;
  dsml::Parser parser;
};

OutputParser::OutputParser(const Tokenizer& tokenizer, bool starts_in_reasoning)
    : OutputParser(tokenizer, starts_in_reasoning, json::Value()) {}

OutputParser::OutputParser(const Tokenizer& tokenizer, bool starts_in_reasoning, const json::Value& tools)
    : impl_(std::make_unique<Impl>(tokenizer, starts_in_reasoning, tools)) {}

OutputParser::~OutputParser() = default;
OutputParser::OutputParser(OutputParser&&) noexcept = default;
OutputParser& OutputParser::operator=(OutputParser&&) noexcept = default;

void OutputParser::push(TokenId id, std::vector<OutputEvent>& events) {
  const std::string_view bytes = impl_->tokenizer->token_bytes(id);
  if (impl_->tokenizer->is_added(id)) {
    impl_->parser.push_marker(impl_->markers.find(id), bytes, events);
  } else {
    impl_->parser.push_text(bytes, events);
  }
}

void OutputParser::finish(std::vector<OutputEvent>& events) {
  impl_->parser.finish(events);
}

bool OutputParser::is_done() const {
  return impl_->parser.is_done();
}

bool OutputParser::in_reasoning() const {
  return impl_->parser.in_reasoning();
}

const Message& OutputParser::message() const {
  return impl_->parser.message();
}

}  // namespace hadal
