// Pulls from hubs of all characters (testing/fake_hub.h). Blocks are small and waits short; nothing else differs.
#include "hub/pull.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/io.h"
#include "testing/fake_hub.h"
#include "testing/temp_folder.h"

namespace hadal::hub {
namespace {

using test::FakeHub;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr uint64_t kBlock = 1024;
constexpr size_t kShardBytes = 20'000;  // 20 blocks, the last one short: three requests
constexpr char kIndex[] = R"({"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}})";

std::string noise(size_t bytes, unsigned seed) {
  std::string text(bytes, '\0');
  for (char& c : text) {
    seed = seed * 1664525u + 1013904223u;
    c = static_cast<char>(seed >> 24);
  }
  return text;
}

std::map<std::string, std::string> small_model() {
  return {{"config.json", "{}"},
          {"tokenizer.json", "{\"model\":{}}"},
          {"model.safetensors.index.json", kIndex},
          {"model-1.safetensors", noise(kShardBytes, 1)},
          {"model-2.safetensors", noise(3000, 2)},
          {"README.md", "not needed"},
          {"consolidated.safetensors", noise(100, 3)},
          {"inference/model.py", "not needed either"}};
}

PullRequest request_to(const FakeHub& hub, const TempFolder& folder) {
  PullRequest request;
  request.name = parse_model_name("owner/model").value();
  request.hub = parse_url(hub.url()).value();
  request.models = folder.path();
  request.now_unix_s = 1000;
  request.fetch.block_bytes = kBlock;
  request.fetch.n_connections = 3;
  request.fetch.retry = {.tries_max = 3, .delay_ms_first = 1, .delay_ms_max = 4};
  request.fetch.http.silent_seconds_max = 1;
  return request;
}

Result<PulledModel> pull(const PullRequest& request) {
  std::atomic<uint64_t> fetched = 0;
  HADAL_ASSIGN(PullPlan plan, plan_pull(request));
  return carry_out(request, std::move(plan), fetched);
}

Error error_of(const PullRequest& request) {
  Result<PulledModel> result = pull(request);
  EXPECT_FALSE(result.ok());
  return result.ok() ? Error{} : result.error();
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  if (!fs::exists(folder)) return names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  return names;
}

fs::path model_folder(const TempFolder& folder) {
  return folder / "owner" / "model" / FakeHub::kCommit;
}

void expect_complete(const TempFolder& folder) {
  const auto files = small_model();
  EXPECT_THAT(names_in(model_folder(folder)),
              UnorderedElementsAre("config.json", "tokenizer.json", "model.safetensors.index.json",
                                   "model-1.safetensors", "model-2.safetensors", "hadal-pull.json"));
  for (const std::string& name : names_in(model_folder(folder))) {
    if (name == "hadal-pull.json") continue;
    EXPECT_EQ(read_file(model_folder(folder) / name, 1 << 20).value(), files.at(name));
  }
  const auto models = list_models(folder.path());
  ASSERT_EQ(models.size(), 1u);
  EXPECT_TRUE(models[0].is_complete);
}

bool is_shard(const FakeHub::Request& request) {
  return request.path.ends_with("/model-1.safetensors");
}

// ---- servers that do what they should ----

TEST(Pull, brings_what_the_model_needs_and_nothing_else) {
  const TempFolder folder;
  const FakeHub hub(small_model());
  const Result<PulledModel> model = pull(request_to(hub, folder));
  ASSERT_TRUE(model.ok()) << model.error().to_string();
  EXPECT_EQ(model->commit, FakeHub::kCommit);
  EXPECT_EQ(model->name.revision, "main");
  expect_complete(folder);
}

TEST(Pull, asks_for_each_range_once) {
  const TempFolder folder;
  const FakeHub hub(small_model());
  ASSERT_TRUE(pull(request_to(hub, folder)).ok());
  std::vector<std::string> ranges;
  for (const auto& request : hub.requests()) {
    if (is_shard(request)) ranges.push_back(request.range);
  }
  EXPECT_THAT(ranges, UnorderedElementsAre("bytes=0-8191", "bytes=8192-16383", "bytes=16384-19999"));
}

TEST(Pull, of_what_is_here_fetches_nothing) {
  const TempFolder folder;
  const FakeHub hub(small_model());
  ASSERT_TRUE(pull(request_to(hub, folder)).ok());
  const Result<PullPlan> plan = plan_pull(request_to(hub, folder));
  ASSERT_TRUE(plan.ok());
  EXPECT_TRUE(plan->is_here);
  EXPECT_EQ(plan->missing_bytes, 0u);
}

TEST(Pull, asks_for_the_revision_and_then_only_for_its_commit) {
  const TempFolder folder;
  const FakeHub hub(small_model());
  PullRequest request = request_to(hub, folder);
  request.name = parse_model_name("owner/model@refs/pr/1").value();
  ASSERT_TRUE(pull(request).ok());
  EXPECT_EQ(hub.requests()[0].path, "/api/models/owner/model/revision/refs%2Fpr%2F1?blobs=true");
  for (const auto& asked : hub.requests()) {
    if (asked.is_file()) {
      EXPECT_THAT(asked.path, HasSubstr(FakeHub::kCommit));
    }
  }
}

TEST(Pull, of_gguf_takes_the_files_that_fit) {
  const TempFolder folder;
  const FakeHub hub({{"README.md", ""}, {"x-Q4_K_M.gguf", noise(2000, 1)}, {"q8/x-Q8_0.gguf", noise(2000, 2)}});
  PullRequest request = request_to(hub, folder);
  EXPECT_THAT(error_of(request).hint, HasSubstr("--gguf"));
  request.gguf = "*q8_0*";
  const Result<PulledModel> model = pull(request);
  ASSERT_TRUE(model.ok()) << model.error().to_string();
  EXPECT_EQ(path_to_open(*model), model_folder(folder) / "x-Q8_0.gguf");
  request.gguf = "*IQ1*";
  EXPECT_THAT(error_of(request).found, HasSubstr("x-Q4_K_M.gguf"));
}

// ---- servers that fail, and are forgiven ----

TEST(Pull, goes_on_where_a_connection_was_cut) {
  const TempFolder folder;
  std::atomic<int> n = 0;
  const FakeHub hub(small_model(), [&](const auto& request, FakeHub::Answer& answer) {
    if (is_shard(request) && n++ < 4) answer.sent_bytes = 1500;
  });
  PullRequest request = request_to(hub, folder);
  request.fetch.retry.tries_max = 6;
  const Result<PulledModel> model = pull(request);
  ASSERT_TRUE(model.ok()) << model.error().to_string();
  expect_complete(folder);
  uint64_t wanted = 0;
  for (const HubFile& file : model->files) wanted += file.bytes;
  EXPECT_EQ(hub.sent_file_bytes(), wanted) << "no byte is fetched twice";
}

TEST(Pull, that_failed_is_resumed_by_the_next_one) {
  const TempFolder folder;
  {
    const FakeHub hub(small_model(), [&](const auto& request, FakeHub::Answer& answer) {
      if (is_shard(request)) answer.sent_bytes = 5000;
    });
    PullRequest request = request_to(hub, folder);
    request.fetch.retry.tries_max = 1;
    request.fetch.n_connections = 1;
    EXPECT_EQ(error_of(request).code, ErrorCode::kIo);
  }
  const auto before = list_models(folder.path());
  ASSERT_EQ(before.size(), 1u);
  EXPECT_FALSE(before[0].is_complete);
  const FakeHub hub(small_model());
  ASSERT_TRUE(pull(request_to(hub, folder)).ok());
  expect_complete(folder);
  for (const auto& request : hub.requests()) {
    if (is_shard(request)) {
      EXPECT_NE(request.range, "bytes=0-8191") << "four blocks of it are here";
    }
  }
}

TEST(Pull, of_a_server_without_ranges_takes_the_whole_file) {
  const TempFolder folder;
  std::atomic<bool> was_cut = false;
  const auto files = small_model();
  const FakeHub hub(files, [&](const auto& request, FakeHub::Answer& answer) {
    if (!request.is_file()) return;
    answer = {.status = 200, .headers = {}, .body = files.at(request.path.substr(request.path.rfind('/') + 1))};
    if (is_shard(request) && !was_cut.exchange(true)) answer.sent_bytes = 9000;
  });
  const Result<PulledModel> model = pull(request_to(hub, folder));
  ASSERT_TRUE(model.ok()) << model.error().to_string();
  expect_complete(folder);
}

TEST(Pull, waits_as_long_as_a_busy_hub_asks) {
  const TempFolder folder;
  std::atomic<int> n = 0;
  const FakeHub hub(small_model(), [&](const auto& request, FakeHub::Answer& answer) {
    if (is_shard(request) && n++ == 0) answer = {.status = 429, .headers = {"Retry-After: 1"}, .body = "slow down"};
  });
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(pull(request_to(hub, folder)).ok());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(990));
  expect_complete(folder);
}

TEST(Pull, survives_a_hub_that_has_trouble_for_a_while) {
  const TempFolder folder;
  std::atomic<int> n = 0;
  const FakeHub hub(small_model(), [&](const auto&, FakeHub::Answer& answer) {
    if (n++ % 2 == 0) answer = {.status = 503, .headers = {}, .body = "no"};
  });
  PullRequest request = request_to(hub, folder);
  request.fetch.retry.tries_max = 20;
  ASSERT_TRUE(pull(request).ok());
  expect_complete(folder);
}

TEST(Pull, leaves_a_silent_connection_for_another) {
  const TempFolder folder;
  std::atomic<int> n = 0;
  const FakeHub hub(small_model(), [&](const auto& request, FakeHub::Answer& answer) {
    if (!is_shard(request) || n++ > 0) return;
    answer.sent_bytes = 100;
    answer.stalls = true;
  });
  ASSERT_TRUE(pull(request_to(hub, folder)).ok());
  expect_complete(folder);
}

// ---- servers that lie ----

TEST(Pull, throws_away_what_has_the_wrong_checksum) {
  const TempFolder folder;
  {
    const FakeHub hub(small_model(), [&](const auto& request, FakeHub::Answer& answer) {
      if (is_shard(request)) answer.body[7] = static_cast<char>(answer.body[7] ^ 1);
    });
    const Error error = error_of(request_to(hub, folder));
    EXPECT_EQ(error.code, ErrorCode::kCorrupt);
    EXPECT_THAT(error.want, HasSubstr(to_hex(sha256(small_model().at("model-1.safetensors")))));
    for (const std::string& name : names_in(model_folder(folder))) EXPECT_FALSE(name.starts_with("model-1."));
  }
  const FakeHub hub(small_model());
  ASSERT_TRUE(pull(request_to(hub, folder)).ok());
  expect_complete(folder);
}

TEST(Pull, checks_the_small_files_of_git_as_well) {
  const TempFolder folder;
  const FakeHub hub(small_model(), [&](const auto& request, FakeHub::Answer& answer) {
    if (request.path.ends_with("/config.json")) answer.body = "[]";
  });
  const Error error = error_of(request_to(hub, folder));
  EXPECT_EQ(error.code, ErrorCode::kCorrupt);
  EXPECT_THAT(error.want, HasSubstr("git SHA-1"));
  EXPECT_FALSE(fs::exists(model_folder(folder) / "config.json"));
}

TEST(Pull, checks_the_index_before_it_believes_it) {
  const TempFolder folder;
  const FakeHub hub(small_model(), [&](const auto& request, FakeHub::Answer& answer) {
    if (request.path.ends_with("index.json")) answer.body[2] = 'x';
  });
  EXPECT_EQ(error_of(request_to(hub, folder)).code, ErrorCode::kCorrupt);
  EXPECT_FALSE(fs::exists(folder / "owner"));
}

TEST(Pull, refuses_another_range_than_it_asked_for) {
  for (const char* lie : {"Content-Range: bytes 1-8192/20000", "Content-Range: bytes 0-8191/20001",
                          "Content-Range: bytes 0-8191/*", "Content-Range: chars 0-8191/20000", "X-No: range"}) {
    const TempFolder folder;
    const FakeHub hub(small_model(), [&](const auto& request, FakeHub::Answer& answer) {
      if (is_shard(request)) answer.headers = {lie};
    });
    const Error error = error_of(request_to(hub, folder));
    EXPECT_EQ(error.code, ErrorCode::kCorrupt) << lie;
    EXPECT_EQ(error.what, "the hub's file is not the range that was asked for") << lie;
  }
}

TEST(Pull, refuses_more_bytes_than_it_asked_for) {
  const TempFolder folder;
  const FakeHub hub(small_model(), [&](const auto& request, FakeHub::Answer& answer) {
    if (is_shard(request)) answer.body += "more";
  });
  const Error error = error_of(request_to(hub, folder));
  EXPECT_EQ(error.what, "the hub's file is not as long as the hub says");
  EXPECT_EQ(error.found, "more");
}

TEST(Pull, gives_up_on_a_file_that_is_always_too_short) {
  const TempFolder folder;
  const FakeHub hub(small_model(), [&](const auto& request, FakeHub::Answer& answer) {
    if (is_shard(request)) answer.body.clear();
  });
  const Error error = error_of(request_to(hub, folder));
  EXPECT_EQ(error.what, "the hub's file is shorter than the hub says");
  EXPECT_THAT(error.found, HasSubstr("3 times in a row"));
}

TEST(Pull, refuses_a_whole_file_of_another_length) {
  const TempFolder folder;
  const FakeHub hub(small_model(), [&](const auto& request, FakeHub::Answer& answer) {
    if (is_shard(request)) answer = {.status = 200, .headers = {}, .body = "short"};
  });
  EXPECT_EQ(error_of(request_to(hub, folder)).what, "the hub's file is not as long as the hub says");
}

TEST(Pull, refuses_names_that_lead_elsewhere_before_it_writes_anything) {
  for (const std::string name : {"../evil", "/etc/evil", "a/../../evil", "a//b", "evil\\u001b[2J", "a\\\\b", ""}) {
    const TempFolder folder;
    const FakeHub hub(small_model(), [&](const auto& request, FakeHub::Answer& answer) {
      if (request.is_file()) return;
      answer.body.insert(answer.body.find("{\"rfilename\""), "{\"rfilename\":\"" + name + "\",\"size\":1},");
    });
    const Error error = error_of(request_to(hub, folder));
    EXPECT_EQ(error.what, "the hub lists a file name that Hadal refuses") << name;
    EXPECT_EQ(error.found.find('\x1b'), std::string::npos);
    EXPECT_THAT(names_in(folder.path()), IsEmpty());
  }
}

TEST(Pull, refuses_an_index_that_names_files_elsewhere) {
  for (const char* shard : {"../model-1.safetensors", "/model-1.safetensors", "evil.sh", "sub/model-1.safetensors"}) {
    const TempFolder folder;
    auto files = small_model();
    files["model.safetensors.index.json"] = std::string("{\"weight_map\":{\"a\":\"") + shard + "\"}}";
    const FakeHub hub(files);
    EXPECT_EQ(error_of(request_to(hub, folder)).what, "the index names a file that Hadal refuses") << shard;
  }
}

// ---- statuses, in words ----

TEST(Pull, explains_what_a_hub_refuses) {
  const std::tuple<int, std::string, std::string> cases[] = {
      {401, "the hub has no such model, or shows it only to those whom it knows", "HADAL_HUB_TOKEN"},
      {403, "the hub does not let you have this model", "terms"},
      {404, "the hub has no such model, revision or file", "name right"},
      {416, "the hub's file is shorter than the hub says", "mirror"},
      {418, "the hub does not give the file", ""},
      {429, "the hub has had too many requests from here", "kept"},
      {500, "the hub has trouble of its own", "later"}};
  for (const auto& [status, what, hint] : cases) {
    const TempFolder folder;
    const FakeHub hub(small_model(), [status = status](const auto&, FakeHub::Answer& answer) {
      answer = {.status = status, .headers = {}, .body = std::string(200'000, 'x')};
    });
    const Error error = error_of(request_to(hub, folder));
    EXPECT_EQ(error.what, what) << status;
    EXPECT_THAT(error.hint, HasSubstr(hint));
    EXPECT_THAT(error.found, HasSubstr("HTTP status " + std::to_string(status)));
  }
}

TEST(Pull, does_not_wait_longer_than_people_do) {
  const TempFolder folder;
  const FakeHub hub(small_model(), [](const auto&, FakeHub::Answer& answer) {
    answer = {.status = 429, .headers = {"Retry-After: 86400"}, .body = ""};
  });
  EXPECT_THAT(error_of(request_to(hub, folder)).hint, HasSubstr("wait"));
  EXPECT_EQ(hub.requests().size(), 1u);
}

// ---- redirects and the token ----

TEST(Pull, follows_redirects_but_sends_the_token_to_the_hub_alone) {
  const TempFolder folder;
  const FakeHub elsewhere(small_model());  // another port is another origin
  const FakeHub hub(small_model(), [&](const auto& request, FakeHub::Answer& answer) {
    if (request.is_file())
      answer = {.status = 302, .headers = {"Location: " + elsewhere.url() + request.path}, .body = ""};
  });
  PullRequest request = request_to(hub, folder);
  request.fetch.http.token = "secret";
  ASSERT_TRUE(pull(request).ok());
  expect_complete(folder);
  for (const auto& asked : hub.requests()) EXPECT_EQ(asked.authorization, "Bearer secret");
  EXPECT_FALSE(elsewhere.requests().empty());
  for (const auto& asked : elsewhere.requests()) EXPECT_EQ(asked.authorization, "");
}

TEST(Pull, keeps_the_token_on_a_redirect_within_the_hub) {
  const TempFolder folder;
  const FakeHub hub(small_model(), [&](const auto& request, FakeHub::Answer& answer) {
    if (request.path.starts_with("/api/models/owner/")) {
      answer = {.status = 307, .headers = {"Location: /api/models/renamed/model/revision/main?blobs=true"}, .body = ""};
    }
  });
  PullRequest request = request_to(hub, folder);
  request.fetch.http.token = "secret";
  ASSERT_TRUE(pull(request).ok());
  for (const auto& asked : hub.requests()) EXPECT_EQ(asked.authorization, "Bearer secret");
}

TEST(Pull, gives_a_mirror_no_token_and_no_trust) {
  const TempFolder folder;
  const FakeHub hub(small_model());
  const FakeHub mirror(small_model());
  PullRequest request = request_to(hub, folder);
  request.mirror = parse_url(mirror.url()).value();
  request.fetch.http.token = "secret";
  ASSERT_TRUE(pull(request).ok());
  expect_complete(folder);
  EXPECT_EQ(hub.requests().size(), 1u);
  for (const auto& asked : mirror.requests()) EXPECT_EQ(asked.authorization, "");
}

TEST(Pull, follows_no_redirect_out_of_https) {
  for (const char* target : {"file:///etc/passwd", "http://example.com/x", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x",
                             "https://user@127.0.0.1/x"}) {
    const TempFolder folder;
    const FakeHub hub(small_model(), [&](const auto&, FakeHub::Answer& answer) {
      answer = {.status = 302, .headers = {std::string("Location: ") + target}, .body = ""};
    });
    EXPECT_EQ(error_of(request_to(hub, folder)).what, "the hub sends us to an address that Hadal refuses") << target;
  }
}

TEST(Pull, follows_only_so_many_redirects) {
  const TempFolder folder;
  const FakeHub hub(small_model(), [&](const auto& request, FakeHub::Answer& answer) {
    answer = {.status = 302, .headers = {"Location: " + request.path}, .body = ""};
  });
  EXPECT_EQ(error_of(request_to(hub, folder)).what, "the hub sends us from place to place");
  EXPECT_EQ(hub.requests().size(), 6u);
}

// ---- this side ----

TEST(Pull, asks_for_the_space_before_it_fetches) {
  const TempFolder folder;
  const FakeHub hub(small_model(), [&](const auto& request, FakeHub::Answer& answer) {
    const std::string honest = "\"size\":20000";  // 900 GiB instead
    for (size_t at = 0; !request.is_file() && (at = answer.body.find(honest)) != std::string::npos;) {
      answer.body.replace(at, honest.size(), "\"size\":966367641600");
    }
  });
  const Error error = error_of(request_to(hub, folder));
  EXPECT_EQ(error.what, "not enough space on the disk");
  EXPECT_THAT(error.want, HasSubstr("900.0 GiB"));
  EXPECT_THAT(names_in(model_folder(folder)), IsEmpty());
}

TEST(Pull, that_is_cancelled_says_so_and_can_be_resumed) {
  const TempFolder folder;
  std::atomic<bool> is_cancelled = false;
  {
    const FakeHub hub(small_model(), [&](const auto& request, FakeHub::Answer& answer) {
      if (!is_shard(request)) return;
      answer.sent_bytes = 3000;
      answer.stalls = true;
      is_cancelled = true;
    });
    PullRequest request = request_to(hub, folder);
    request.fetch.http.is_cancelled = [&] { return is_cancelled.load(); };
    EXPECT_EQ(error_of(request).code, ErrorCode::kCancelled);
  }
  const FakeHub hub(small_model());
  ASSERT_TRUE(pull(request_to(hub, folder)).ok());
  expect_complete(folder);
}

TEST(Pull, does_not_write_through_a_link) {
  const TempFolder folder;
  const FakeHub hub(small_model());
  fs::create_directories(model_folder(folder));
  folder.write("mine", "precious");
  fs::create_symlink(folder / "mine", model_folder(folder) / "model-1.safetensors.part");
  EXPECT_EQ(error_of(request_to(hub, folder)).code, ErrorCode::kIo);
  EXPECT_EQ(read_file(folder / "mine", 100).value(), "precious");
}

}  // namespace
}  // namespace hadal::hub
