// A sequence state as bytes: SequenceState::save and restore.
//
//   "HADALSEQ" | version u32 | header_bytes u32 | header (JSON) | pages | tail | kept tails | XXH3-128 of all before
//
// Numbers are little-endian. The header repeats every size, so that a file can be told apart from a state of another
// model before anything is allocated. Nothing in the file is a pointer or an index that is used unchecked: token ids
// are compared with the vocabulary. The checksum finds accidents; a file from a stranger cannot do worse than wrong
// numbers.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/hash.h"
#include "base/json.h"
#include "device/mirror.h"
#include "state/sequence_state.h"

namespace hadal {
namespace {

constexpr std::string_view kMagic = "HADALSEQ";
constexpr uint32_t kVersion = 1;
constexpr uint32_t kHeaderBytesMax = 1 << 20;  // a header has one number per kept tail: 8192 of them at 1M tokens
constexpr size_t kPrefixBytes = 8 + 4 + 4;

// Passes bytes on and hashes them.
class HashingSink {
 public:
  explicit HashingSink(ByteSink& sink) : sink_(sink) {}

  Result<void> write(std::span<const std::byte> bytes) {
    hasher_.update(bytes);
    return sink_.write(bytes);
  }
  Result<void> write(const void* data, size_t bytes) {
    return write(std::span(static_cast<const std::byte*>(data), bytes));
  }
  Checksum checksum() const { return hasher_.finish(); }

 private:
  ByteSink& sink_;
  ChecksumHasher hasher_;
};

Error corrupt(std::string_view name, std::string what, std::string want, std::string found) {
  return Error{.code = ErrorCode::kCorrupt,
               .what = std::move(what),
               .in = std::string(name),
               .want = std::move(want),
               .found = std::move(found),
               .hint = "the file is damaged or was cut; delete it and save the conversation again"};
}

Result<int64_t> header_int(const json::Value& header, std::string_view key, std::string_view name) {
  const json::Value* value = header.find(key);
  const std::optional<int64_t> number = value == nullptr ? std::nullopt : value->as_int();
  if (!number || *number < 0) {
    return corrupt(name, fmt::format("saved state without a usable \"{}\"", key), "a number of at least 0",
                   value == nullptr ? "nothing" : json::dump(*value));
  }
  return *number;
}

// A header that was parsed, and where the body lies.
struct Parsed {
  SavedStateInfo info;
  int64_t checkpoint_bytes = 0;
  std::span<const std::byte> body;
};

Result<Parsed> parse_header(std::span<const std::byte> bytes, std::string_view name) {
  if (!is_saved_state(bytes)) {
    return corrupt(name, "not a saved state", fmt::format("\"{}\" at byte 0", kMagic), "something else");
  }
  if (bytes.size() < kPrefixBytes + sizeof(Checksum)) {
    return corrupt(name, "saved state is cut short", fmt::format("at least {} bytes", kPrefixBytes + sizeof(Checksum)),
                   fmt::format("{} bytes", bytes.size()));
  }
  Parsed parsed;
  uint32_t header_bytes = 0;
  std::memcpy(&parsed.info.version, bytes.data() + 8, 4);
  std::memcpy(&header_bytes, bytes.data() + 12, 4);
  if (parsed.info.version != kVersion) {
    return Error{.code = ErrorCode::kUnsupported,
                 .what = "saved state has another version",
                 .in = std::string(name),
                 .want = fmt::format("version {}", kVersion),
                 .found = fmt::format("version {}", parsed.info.version),
                 .hint = "it was written by another version of hadal; save the conversation again with this one"};
  }
  if (header_bytes > kHeaderBytesMax || header_bytes > bytes.size() - kPrefixBytes - sizeof(Checksum)) {
    return corrupt(name, "saved state has an impossible header length",
                   fmt::format("at most {} bytes", kHeaderBytesMax), fmt::format("{} bytes", header_bytes));
  }
  const std::string_view header_text(reinterpret_cast<const char*>(bytes.data()) + kPrefixBytes, header_bytes);
  HADAL_ASSIGN(const json::Value header, json::parse(header_text, fmt::format("{}, byte {}", name, kPrefixBytes)));
  const json::Value* identity = header.find("identity");
  if (identity == nullptr || !identity->is_string()) {
    return corrupt(name, "saved state without identity", "a string", "none");
  }
  parsed.info.identity = identity->as_string();
  HADAL_ASSIGN(parsed.info.length, header_int(header, "length", name));
  HADAL_ASSIGN(parsed.info.page_tokens, header_int(header, "page_tokens", name));
  HADAL_ASSIGN(parsed.info.page_bytes, header_int(header, "page_bytes", name));
  HADAL_ASSIGN(parsed.info.tail_bytes, header_int(header, "tail_bytes", name));
  HADAL_ASSIGN(parsed.checkpoint_bytes, header_int(header, "checkpoint_bytes", name));
  const json::Value* checkpoints = header.find("checkpoints");
  if (checkpoints == nullptr || !checkpoints->is_array()) {
    return corrupt(name, "saved state without \"checkpoints\"", "an array", "none");
  }
  for (const json::Value& value : checkpoints->items()) {
    const std::optional<int64_t> at = value.as_int();
    const int64_t before = parsed.info.checkpoints.empty() ? 0 : parsed.info.checkpoints.back();
    if (!at || *at <= before || *at > parsed.info.length || parsed.info.page_tokens == 0 ||
        *at % parsed.info.page_tokens != 0) {
      return corrupt(name, "saved state has an impossible checkpoint", "ascending page borders up to the length",
                     json::dump(value));
    }
    parsed.info.checkpoints.push_back(*at);
  }
  parsed.body =
      bytes.subspan(kPrefixBytes + header_bytes, bytes.size() - kPrefixBytes - header_bytes - sizeof(Checksum));
  return parsed;
}

bool checksum_matches(std::span<const std::byte> bytes) {
  Checksum stored;
  std::memcpy(&stored, bytes.data() + bytes.size() - sizeof stored, sizeof stored);
  return checksum(bytes.first(bytes.size() - sizeof stored)) == stored;
}

}  // namespace

bool is_saved_state(std::span<const std::byte> bytes) {
  return bytes.size() >= kMagic.size() && std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0;
}

Result<SavedStateInfo> inspect_saved_state(std::span<const std::byte> bytes, std::string_view name) {
  HADAL_ASSIGN(Parsed parsed, parse_header(bytes, name));
  parsed.info.checksum_ok = checksum_matches(bytes);
  return parsed.info;
}

Result<void> SequenceState::save(ByteSink& sink) const {
  json::Value header = json::Value::object();
  header.set("identity", json::Value::string(layout_->identity));
  header.set("length", json::Value::number(length_));
  header.set("page_tokens", json::Value::number(layout_->page_tokens));
  header.set("page_bytes", json::Value::number(layout_->page_bytes));
  header.set("tail_bytes", json::Value::number(layout_->tail_bytes));
  header.set("checkpoint_bytes", json::Value::number(layout_->checkpoint_bytes));
  json::Value lengths = json::Value::array();
  for (const int64_t length : checkpoints()) lengths.push(json::Value::number(length));
  header.set("checkpoints", std::move(lengths));
  const std::string text = json::dump(header);
  const auto header_bytes = static_cast<uint32_t>(text.size());

  HashingSink out(sink);
  HADAL_TRY(out.write(kMagic.data(), kMagic.size()));
  HADAL_TRY(out.write(&kVersion, sizeof kVersion));
  HADAL_TRY(out.write(&header_bytes, sizeof header_bytes));
  HADAL_TRY(out.write(text.data(), text.size()));
  const auto n_pages = static_cast<size_t>((length_ + layout_->page_tokens - 1) / layout_->page_tokens);
  for (size_t i = 0; i < n_pages; ++i) {
    HADAL_ASSIGN(const auto rows, HostView<std::byte>::of(*device_, pages_[i]->rows.data(), layout_->page_bytes));
    const auto ids = std::as_bytes(std::span(pages_[i]->ids));
    HADAL_TRY(out.write(ids));
    HADAL_TRY(out.write(rows.data() + ids.size(), static_cast<size_t>(layout_->page_bytes) - ids.size()));
  }
  HADAL_ASSIGN(const auto tail, HostView<std::byte>::of(*device_, tail_.data(), layout_->tail_bytes));
  HADAL_TRY(out.write(tail.data(), static_cast<size_t>(layout_->tail_bytes)));
  for (const auto& checkpoint : checkpoints_) {
    HADAL_ASSIGN(const auto kept,
                 HostView<std::byte>::of(*device_, checkpoint->tail.data(), layout_->checkpoint_bytes));
    HADAL_TRY(out.write(kept.data(), static_cast<size_t>(layout_->checkpoint_bytes)));
  }
  const Checksum sum = out.checksum();
  return sink.write(std::as_bytes(std::span(&sum, 1)));
}

Result<SequenceState> SequenceState::restore(Device& device, std::shared_ptr<const StateLayout> layout,
                                             std::span<const std::byte> bytes, std::string_view name) {
  HADAL_ASSIGN(const Parsed parsed, parse_header(bytes, name));
  const SavedStateInfo& info = parsed.info;
  if (info.identity != layout->identity) {
    return Error{.code = ErrorCode::kInvalid,
                 .what = "saved state belongs to another model, mode or layout",
                 .in = std::string(name),
                 .want = layout->identity,
                 .found = json::excerpt(info.identity),
                 .hint = "load the model and mode that it was saved with"};
  }
  if (info.page_tokens != layout->page_tokens || info.page_bytes != layout->page_bytes ||
      info.tail_bytes != layout->tail_bytes || parsed.checkpoint_bytes != layout->checkpoint_bytes ||
      info.length > layout->context_tokens_max) {
    return corrupt(name, "saved state has sizes that its identity does not have",
                   fmt::format("pages of {} tokens and {} bytes, tail {}, kept tails {}", layout->page_tokens,
                               layout->page_bytes, layout->tail_bytes, layout->checkpoint_bytes),
                   fmt::format("pages of {} tokens and {} bytes, tail {}, kept tails {}, {} tokens", info.page_tokens,
                               info.page_bytes, info.tail_bytes, parsed.checkpoint_bytes, info.length));
  }
  const int64_t n_pages = (info.length + layout->page_tokens - 1) / layout->page_tokens;
  const int64_t want = n_pages * layout->page_bytes + layout->tail_bytes +
                       static_cast<int64_t>(info.checkpoints.size()) * layout->checkpoint_bytes;
  if (static_cast<int64_t>(parsed.body.size()) != want) {
    return corrupt(name, "saved state has the wrong length", fmt::format("{} bytes behind the header", want),
                   fmt::format("{} bytes", parsed.body.size()));
  }
  if (!checksum_matches(bytes)) return corrupt(name, "saved state fails its checksum", "equal XXH3-128", "another");

  HADAL_ASSIGN(SequenceState state, create(device, layout));
  const std::byte* from = parsed.body.data();
  const auto take = [&](std::byte* to, int64_t n) {
    device.upload(to, from, n);
    from += n;
  };
  for (int64_t i = 0; i < n_pages; ++i) {
    HADAL_ASSIGN(Page page, state.new_page());
    std::memcpy(page.ids.data(), from, page.ids.size() * sizeof(int32_t));
    take(page.rows.data(), layout->page_bytes);
    state.pages_.push_back(std::make_shared<Page>(std::move(page)));
  }
  state.length_ = info.length;
  take(state.tail_.data(), layout->tail_bytes);
  for (const int64_t length : info.checkpoints) {
    HADAL_ASSIGN(Buffer tail, device.allocate(layout->checkpoint_bytes));
    take(tail.data(), layout->checkpoint_bytes);
    state.checkpoints_.push_back(std::make_shared<const Checkpoint>(Checkpoint{length, std::move(tail)}));
  }
  HADAL_TRY(device.synchronize());
  for (int64_t i = 0; i < state.length_; ++i) {
    if (state.token(i) < 0 || state.token(i) >= layout->vocab_size) {
      return corrupt(name, fmt::format("saved state holds an impossible token at position {}", i),
                     fmt::format("0 to {}", layout->vocab_size - 1), fmt::format("{}", state.token(i)));
    }
  }
  return state;
}

}  // namespace hadal
