#include "saved_conversation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace hadal::cli {
namespace {

constexpr int64_t kVersion = 1;
constexpr uint64_t kConversationBytesMax = 256 << 20;

Error corrupt(const fs::path& path, std::string_view field, std::string_view want) {
  return {.code = ErrorCode::kCorrupt,
          .what = "not a saved conversation",
          .in = fmt::format("{}: \"{}\"", path.string(), field),
          .want = std::string(want),
          .found = "something else",
          .hint = ""};
}

Result<fs::path> conversations_folder() {
  HADAL_ASSIGN(const fs::path folder, state_folder());
  return folder / "conversations";
}

Result<void> create_private_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) fs::permissions(folder, fs::perms::owner_all, error);
  if (!error) return {};
  return Error{.code = ErrorCode::kIo,
               .what = "the folder for conversations cannot be made",
               .in = folder.string(),
               .want = "a folder that can be written",
               .found = error.message(),
               .hint = "XDG_STATE_HOME names another place"};
}

json::Value to_json(const Conversation& conversation, const std::string& identity) {
  json::Value messages = json::Value::array();
  for (const Message& message : conversation.messages) messages.push(message_to_json(message));
  json::Value value = json::Value::object();
  value.set("version", json::Value::number(kVersion));
  value.set("model", json::Value::string(identity));
  value.set("system", json::Value::string(conversation.system));
  value.set("think", json::Value::string(think_name(conversation)));
  value.set("tools", conversation.tools);
  value.set("messages", std::move(messages));
  return value;
}

Result<Conversation> from_json(const json::Value& value, const fs::path& path) {
  const json::Value* version = value.find("version");
  const std::optional<int64_t> number = version == nullptr ? std::nullopt : version->as_int();
  if (!number) return corrupt(path, "version", "a number");
  if (*number != kVersion) {
    return Error{.code = ErrorCode::kUnsupported,
                 .what = "the conversation was saved by another version",
                 .in = path.string(),
                 .want = fmt::format("version {}", kVersion),
                 .found = fmt::format("version {}", *number),
                 .hint = ""};
  }
  Conversation conversation;
  const json::Value* system = value.find("system");
  if (system == nullptr || !system->is_string()) return corrupt(path, "system", "a text");
  conversation.system = system->as_string();
  const json::Value* think = value.find("think");
  const Result<ChatCommand> parsed = parse_chat_command("/think " + (think == nullptr ? "" : think->as_string()));
  if (!parsed.ok()) return corrupt(path, "think", std::string(kThinkWanted));
  conversation.think = parsed->think;
  conversation.effort_level = parsed->effort_level;
  if (const json::Value* tools = value.find("tools")) conversation.tools = *tools;
  if (Result<void> checked = check_tools(conversation.tools); !checked.ok()) {
    return std::move(checked.error().within(path.string()));
  }
  const json::Value* messages = value.find("messages");
  if (messages == nullptr || !messages->is_array()) return corrupt(path, "messages", "a list");
  for (size_t i = 0; i < messages->items().size(); ++i) {
    Result<Message> message = parse_message(messages->items()[i]);
    if (!message.ok()) return std::move(message.error().within(fmt::format("{}: messages[{}]", path.string(), i)));
    conversation.messages.push_back(std::move(message).value());
  }
  return conversation;
}

// For the message that a name is not among them.
std::string names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names.empty() ? "none is saved" : fmt::format("{}", fmt::join(names, ", "));
}

Result<SequenceId> restore_state(Engine& engine, const fs::path& path) {
  HADAL_ASSIGN(const MappedFile state, MappedFile::open(path));
  return engine.restore(state.bytes(), path.string());
}

}  // namespace

Result<fs::path> state_folder() {
  const char* const state = std::getenv("XDG_STATE_HOME");
  // The specification has relative paths ignored.
  if (state != nullptr && fs::path(state).is_absolute()) return fs::path(state) / "hadal";
  const char* const home = std::getenv("HOME");
  if (home != nullptr && fs::path(home).is_absolute()) return fs::path(home) / ".local" / "state" / "hadal";
  return Error{.code = ErrorCode::kNotFound,
               .what = "there is no place for saved conversations",
               .in = "environment",
               .want = "XDG_STATE_HOME or HOME, an absolute path",
               .found = "neither",
               .hint = ""};
}

Result<fs::path> save_conversation(const Conversation& conversation, const Engine& engine, SequenceId id,
                                   const std::string& name) {
  HADAL_ASSIGN(const fs::path folder, conversations_folder());
  HADAL_TRY(create_private_folder(folder));
  HADAL_ASSIGN(AtomicFile state, AtomicFile::create(folder / (name + ".state"), true));
  HADAL_TRY(engine.save(id, state));
  const fs::path path = folder / (name + ".json");
  HADAL_ASSIGN(AtomicFile messages, AtomicFile::create(path, true));
  HADAL_TRY(messages.write(json::dump_pretty(to_json(conversation, engine.model().identity)) + "\n"));
  // Both are written before either takes its place: a disk that is full for one leaves what was saved before.
  HADAL_TRY(state.commit());
  HADAL_TRY(messages.commit());
  return path;
}

Result<SavedConversation> parse_conversation(const json::Value& value, const fs::path& path) {
  SavedConversation saved;
  HADAL_ASSIGN(saved.conversation, from_json(value, path));
  if (const json::Value* model = value.find("model")) saved.model_identity = model->as_string();
  return saved;
}

Result<ResumedConversation> resume_conversation(Engine& engine, const std::string& name) {
  HADAL_ASSIGN(const fs::path folder, conversations_folder());
  const fs::path path = folder / (name + ".json");
  std::error_code ignored;
  if (!fs::exists(path, ignored)) {
    return Error{.code = ErrorCode::kNotFound,
                 .what = "no such conversation",
                 .in = path.string(),
                 .want = fmt::format("one of those in the folder: {}", names_in(folder)),
                 .found = name,
                 .hint = ""};
  }
  ResumedConversation resumed;
  HADAL_ASSIGN(const std::string text, read_file(path, kConversationBytesMax));
  HADAL_ASSIGN(const json::Value value, json::parse(text, path.string()));
  HADAL_ASSIGN(SavedConversation saved, parse_conversation(value, path));
  resumed.conversation = std::move(saved.conversation);
  Result<SequenceId> restored = restore_state(engine, folder / (name + ".state"));
  if (restored.ok()) {
    resumed.id = *restored;
  } else {
    resumed.state_problem = std::move(restored).error();
    HADAL_ASSIGN(resumed.id, engine.open());
  }
  return resumed;
}

}  // namespace hadal::cli
