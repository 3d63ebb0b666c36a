#include "inspect_saved.h"

#include <fmt/format.h>

#include "base/format.h"
#include "base/utf8.h"
#include "saved_conversation.h"
#include "state/sequence_state.h"
#include "terminal/visible_text.h"

namespace hadal::cli {
namespace {

constexpr size_t kShownBytesMax = 200;  // of texts and identities, which strangers may have written

void print_row(std::string_view label, std::string_view text) {
  fmt::print("  {:<13}{}\n", label, without_controls(utf8::front(text, kShownBytesMax)));
}

// ---- a state ----

json::Value state_to_json(const fs::path& path, uint64_t bytes, const SavedStateInfo& info) {
  json::Value checkpoints = json::Value::array();
  for (const int64_t tokens : info.checkpoints) checkpoints.push(json::Value::number(tokens));
  json::Value value = json::Value::object();
  value.set("kind", json::Value::string("state"));
  value.set("place", json::Value::string(path.string()));
  value.set("version", json::Value::number(int64_t{info.version}));
  value.set("identity", json::Value::string(info.identity));
  value.set("tokens", json::Value::number(info.length));
  value.set("bytes", json::Value::number(static_cast<int64_t>(bytes)));
  value.set("page_tokens", json::Value::number(info.page_tokens));
  value.set("page_bytes", json::Value::number(info.page_bytes));
  value.set("tail_bytes", json::Value::number(info.tail_bytes));
  value.set("checkpoints", std::move(checkpoints));
  value.set("checksum_ok", json::Value::boolean(info.checksum_ok));
  return value;
}

void print_state(const fs::path& path, uint64_t bytes, const SavedStateInfo& info) {
  fmt::print("{}: saved state, version {}\n", path.string(), info.version);
  print_row("tokens",
            fmt::format("{} in pages of {}", format_count(static_cast<uint64_t>(info.length)), info.page_tokens));
  print_row("checkpoints", format_count(info.checkpoints.size()));
  print_row("size", fmt::format("{}: {} a page, {} of tail", format_bytes(bytes),
                                format_bytes(static_cast<uint64_t>(info.page_bytes)),
                                format_bytes(static_cast<uint64_t>(info.tail_bytes))));
  print_row("model", info.identity);
  print_row("checksum", info.checksum_ok ? "right" : "WRONG: the file is damaged");
}

Result<int> inspect_state(const fs::path& path, std::span<const std::byte> bytes, bool json) {
  HADAL_ASSIGN(const SavedStateInfo info, inspect_saved_state(bytes, path.string()));
  if (json) {
    fmt::print("{}\n", json::dump_pretty(state_to_json(path, bytes.size(), info)));
  } else {
    print_state(path, bytes.size(), info);
  }
  return info.checksum_ok ? 0 : 1;
}

// ---- a conversation ----

json::Value conversation_to_json(const fs::path& path, const SavedConversation& saved) {
  const Conversation& conversation = saved.conversation;
  json::Value roles = json::Value::array();
  for (const Message& message : conversation.messages) roles.push(json::Value::string(role_name(message.role)));
  json::Value value = json::Value::object();
  value.set("kind", json::Value::string("conversation"));
  value.set("place", json::Value::string(path.string()));
  value.set("identity", json::Value::string(saved.model_identity));
  value.set("system", json::Value::string(conversation.system));
  value.set("think", json::Value::string(think_name(conversation)));
  value.set("n_tools", json::Value::number(static_cast<int64_t>(conversation.tools.items().size())));
  value.set("roles", std::move(roles));
  return value;
}

void print_conversation(const fs::path& path, const SavedConversation& saved) {
  const Conversation& conversation = saved.conversation;
  fmt::print("{}: saved conversation\n", path.string());
  print_row("messages", format_count(conversation.messages.size()));
  if (!conversation.messages.empty()) print_row("first", json::quote(conversation.messages.front().text()));
  if (!conversation.system.empty()) print_row("system", json::quote(conversation.system));
  print_row("think", think_name(conversation));
  if (!conversation.tools.is_null()) print_row("tools", format_count(conversation.tools.items().size()));
  print_row("model", saved.model_identity);
  std::error_code ignored;
  const fs::path state = fs::path(path).replace_extension(".state");
  print_row("state",
            fs::exists(state, ignored) ? state.filename().string() : "none: resuming reads all messages again");
}

Error unknown_file(const fs::path& path) {
  return Error{.code = ErrorCode::kUnsupported,
               .what = "not a file that can be inspected",
               .in = path.string(),
               .want = "a model's folder, a .safetensors file or its index, or what /save wrote",
               .found = "another file",
               .hint = "of a model, name the folder"};
}

}  // namespace

Result<int> inspect_saved(const fs::path& path, bool json) {
  HADAL_ASSIGN(const MappedFile file, MappedFile::open(path));
  if (is_saved_state(file.bytes())) return inspect_state(path, file.bytes(), json);
  if (file.bytes().empty() || file.bytes().front() != std::byte{'{'}) return unknown_file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  HADAL_ASSIGN(const json::Value value, json::parse(text, path.string()));
  if (value.find("messages") == nullptr) return unknown_file(path);
  HADAL_ASSIGN(const SavedConversation saved, parse_conversation(value, path));
  if (json) {
    fmt::print("{}\n", json::dump_pretty(conversation_to_json(path, saved)));
  } else {
    print_conversation(path, saved);
  }
  return 0;
}

}  // namespace hadal::cli
