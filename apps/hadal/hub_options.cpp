#include "hub_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>

#include "base/io.h"

namespace hadal::cli {
namespace {

constexpr std::string_view kDefaultHub = "https://huggingface.co";
constexpr uint64_t kTokenBytesMax = 4096;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The first of them that says something.
std::string first_of(std::initializer_list<std::string> texts) {
  for (const std::string& text : texts) {
    if (!text.empty()) return text;
  }
  return "";
}

// HF_TOKEN is meant for Hugging Face, or what HF_ENDPOINT names in its place. It does not go to a hub that only Hadal's
// own settings name.
std::string hugging_face_token(const HubOptions& options) {
  const bool is_own_hub = !options.hub.empty() || !environment("HADAL_HUB").empty();
  return is_own_hub ? "" : environment("HF_TOKEN");
}

Result<std::string> find_token(const HubOptions& options) {
  std::string place = "HADAL_HUB_TOKEN or HF_TOKEN";
  std::string token = first_of({environment("HADAL_HUB_TOKEN"), hugging_face_token(options)});
  if (!options.token_file.empty()) {
    place = options.token_file;
    HADAL_ASSIGN(token, read_file(options.token_file, kTokenBytesMax));
    while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  }
  // It becomes a line of a request: nothing in it may begin another one.
  const bool is_plain = std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  const bool is_missing = token.empty() && !options.token_file.empty();
  if (is_plain && !is_missing && token.size() <= kTokenBytesMax) return token;
  return Error{.code = ErrorCode::kInvalid,
               .what = "this is no token",
               .in = place,
               .want = "one line of letters, digits and punctuation",
               .found = is_missing ? "nothing" : "spaces, control characters or too many bytes",
               .hint = ""};
}

}  // namespace

void HubOptions::add_to(CLI::App& command) {
  command.add_option("--hub", hub, "The hub to ask; default: HADAL_HUB, HF_ENDPOINT or " + std::string(kDefaultHub))
      ->type_name("URL")
      ->group("Hub");
  command
      .add_option(
          "--mirror", mirror,
          "Another server for the files alone; default: HADAL_HUB_MIRROR. It gets no token, and what it sends is "
          "held against the hub's checksums")
      ->type_name("URL")
      ->group("Hub");
  command
      .add_option("--token-file", token_file,
                  "File with an access token for private and gated models; default: HADAL_HUB_TOKEN, or HF_TOKEN for "
                  "Hugging Face itself. It is sent to the hub alone and never shown")
      ->type_name("FILE")
      ->group("Hub");
  command.add_option("--connections", connections, "Connections that fetch at the same time")
      ->capture_default_str()
      ->check(CLI::Range(1, 64))
      ->group("Hub");
  command.add_option("--timeout", timeout_s, "Seconds to wait for a connection, or for a silent one")
      ->capture_default_str()
      ->check(CLI::Range(1, 3600))
      ->group("Hub");
  command.add_option("--tries", tries, "Tries in a row without progress before it gives up")
      ->capture_default_str()
      ->check(CLI::Range(1, 100))
      ->group("Hub");
}

Result<void> HubOptions::apply(hub::PullRequest& request) const {
  const std::string hub_text =
      first_of({hub, environment("HADAL_HUB"), environment("HF_ENDPOINT"), std::string(kDefaultHub)});
  HADAL_ASSIGN(request.hub, hub::parse_url(hub_text));
  if (const std::string text = first_of({mirror, environment("HADAL_HUB_MIRROR")}); !text.empty()) {
    HADAL_ASSIGN(request.mirror, hub::parse_url(text));
  }
  HADAL_ASSIGN(request.fetch.http.token, find_token(*this));
  request.fetch.http.connect_seconds_max = timeout_s;
  request.fetch.http.silent_seconds_max = timeout_s;
  request.fetch.retry.tries_max = tries;
  request.fetch.n_connections = connections;
  return {};
}

}  // namespace hadal::cli
