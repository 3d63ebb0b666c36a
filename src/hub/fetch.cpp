#include "hub/fetch.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/format.h"
#include "hub/patience.h"

namespace hadal::hub {
namespace {

// Blocks of one request: 64 MiB, so that asking costs little and the last connections end together.
constexpr size_t kBlocksPerRequest = 8;
// A try that brought so much was no failure, however it ended.
constexpr uint64_t kProgressBytes = 1 << 20;

enum class Block : uint8_t { kMissing, kTaken, kDone };

struct Task {
  HubFile file;
  std::vector<Block> blocks;
  std::optional<PartialFile> partial;  // open while some of it is missing
  bool is_streamed_whole = false;      // its server ignores ranges: one connection brings all of it
  int n_workers = 0;                   // that may still write to it

  bool is_done() const {
    return std::all_of(blocks.begin(), blocks.end(), [](Block block) { return block == Block::kDone; });
  }
};

// Blocks [begin, end) of a task, taken by one worker.
struct Span {
  Task* task = nullptr;
  size_t begin = 0;
  size_t end = 0;
};

class Fetcher {
 public:
  Fetcher(const FetchOptions& options, const fs::path& folder, const UrlOfFile& url_of, std::atomic<uint64_t>& fetched)
      : options_(options), folder_(folder), url_of_(url_of), fetched_(fetched) {
    const auto is_cancelled = options.http.is_cancelled;
    options_.http.is_cancelled = [this, is_cancelled] { return is_over_.load() || is_cancelled(); };
  }

  Result<void> run(const std::vector<HubFile>& files) {
    for (const HubFile& file : files) HADAL_TRY(add(file));
    {
      std::vector<std::jthread> workers;
      for (int i = 0; i < std::max(1, options_.n_connections); ++i) workers.emplace_back([this] { work(); });
    }
    if (error_) return *error_;
    return {};
  }

  uint64_t block_bytes() const { return options_.block_bytes; }

  // Bytes at an offset of the file have arrived; true while the fetch goes on.
  bool store(Task& task, uint64_t offset, std::span<const std::byte> bytes) {
    return keep(task.partial->write(offset, bytes));
  }
  void count(uint64_t bytes) { fetched_ += bytes; }

  bool is_missing(Task& task, size_t block) {
    const std::lock_guard lock(mutex_);
    return task.blocks[block] != Block::kDone;
  }

  bool finish_block(Task& task, size_t block) {
    if (!keep(task.partial->finish_block(block))) return false;
    const std::lock_guard lock(mutex_);
    task.blocks[block] = Block::kDone;
    return true;
  }

  // Whether this worker may bring the whole file; false when another one does already.
  bool claim_whole(Task& task) {
    const std::lock_guard lock(mutex_);
    return !std::exchange(task.is_streamed_whole, true);
  }

  void fail(Error error) {
    const std::lock_guard lock(mutex_);
    // What others say while they are being stopped is no news.
    if (!error_) error_ = std::move(error);
    is_over_ = true;
  }

 private:
  Result<void> add(const HubFile& file) {
    if (is_finished(folder_, file)) return {};
    auto task = std::make_unique<Task>();
    task->file = file;
    for (const bool is_here : blocks_here(folder_, file, options_.block_bytes)) {
      task->blocks.push_back(is_here ? Block::kDone : Block::kMissing);
    }
    if (task->is_done()) {  // empty, or stopped between its last block and its checksum
      HADAL_ASSIGN(PartialFile partial, PartialFile::open(folder_, file, options_.block_bytes));
      return partial.finish(options_.http.is_cancelled);
    }
    tasks_.push_back(std::move(task));
    return {};
  }

  bool keep(Result<void> result) {
    if (!result.ok()) fail(std::move(result).error());
    return result.ok();
  }

  std::optional<Span> take_span() {
    const std::lock_guard lock(mutex_);
    if (is_over_) return std::nullopt;
    for (const auto& task : tasks_) {
      if (task->is_streamed_whole) continue;
      auto& blocks = task->blocks;
      const auto first = std::find(blocks.begin(), blocks.end(), Block::kMissing);
      if (first == blocks.end()) continue;
      if (!task->partial) {
        Result<PartialFile> partial = PartialFile::open(folder_, task->file, options_.block_bytes);
        if (!partial.ok()) {
          error_ = std::move(partial).error();
          is_over_ = true;
          return std::nullopt;
        }
        task->partial.emplace(std::move(partial).value());
      }
      Span span{.task = task.get(), .begin = static_cast<size_t>(first - blocks.begin()), .end = 0};
      span.end = span.begin;
      while (span.end < blocks.size() && span.end - span.begin < kBlocksPerRequest &&
             blocks[span.end] == Block::kMissing) {
        blocks[span.end++] = Block::kTaken;
      }
      ++task->n_workers;
      return span;
    }
    return std::nullopt;
  }

  void work();
  bool fetch_span(HttpClient& client, const Span& span);

  // The last worker to leave a file whose blocks are all there verifies it; the others go on fetching.
  void leave(Task& task) {
    std::optional<PartialFile> partial;
    {
      const std::lock_guard lock(mutex_);
      if (--task.n_workers > 0 || !task.partial || !task.is_done()) return;
      partial.swap(task.partial);
    }
    if (Result<void> result = partial->finish(options_.http.is_cancelled); !result.ok())
      fail(std::move(result).error());
  }

  FetchOptions options_;
  const fs::path& folder_;
  const UrlOfFile& url_of_;
  std::atomic<uint64_t>& fetched_;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::mutex mutex_;  // guards the tasks but for writing through `partial`, and error_
  std::optional<Error> error_;
  std::atomic<bool> is_over_ = false;
};

// Bytes of a span into its file. It outlives tries: one that is cut off goes on where it ended.
class SpanReceiver final : public HttpReceiver {
 public:
  SpanReceiver(Fetcher& fetcher, const Span& span)
      : fetcher_(fetcher), span_(span), at_(span.begin * fetcher.block_bytes()), end_(end_of(span.end)) {}

  bool is_complete() const { return at_ == end_; }
  bool gives_way() const { return gives_way_; }  // another worker brings the whole file
  const std::optional<Error>& problem() const { return problem_; }
  uint64_t taken_bytes() const { return taken_bytes_; }
  HttpRange range() const { return {.first = at_, .last = end_ - 1}; }

  bool begin(const HttpAnswer& answer) override {
    const uint64_t total = span_.task->file.bytes;
    if (answer.status == 206) {
      const ContentRange wanted{.first = at_, .last = end_ - 1, .total = total};
      if (answer.range != wanted)
        return refuse("the range that was asked for", describe(wanted), describe(answer.range));
      return true;
    }
    // The server ignores ranges. One worker stays and takes the whole file, from its start and at every try.
    if (!is_whole_ && !fetcher_.claim_whole(*span_.task)) {
      gives_way_ = true;
      return false;
    }
    if (answer.length_bytes && *answer.length_bytes != total) {
      return refuse("as long as the hub says", format_count(total) + " bytes", format_count(*answer.length_bytes));
    }
    is_whole_ = true;
    at_ = 0;
    end_ = total;
    return true;
  }

  bool take(std::span<const std::byte> bytes) override {
    if (bytes.size() > end_ - at_) {
      return refuse("as long as the hub says", format_count(end_) + " bytes", "more");
    }
    while (!bytes.empty()) {
      const size_t block = static_cast<size_t>(at_ / fetcher_.block_bytes());
      const uint64_t block_end = end_of(block + 1);
      const auto piece = bytes.first(static_cast<size_t>(std::min<uint64_t>(bytes.size(), block_end - at_)));
      if (!take_piece(block, piece, block_end)) return false;
      bytes = bytes.subspan(piece.size());
    }
    return true;
  }

 private:
  // Bytes of one block, which may be here already when the whole file is streamed.
  bool take_piece(size_t block, std::span<const std::byte> piece, uint64_t block_end) {
    const bool is_missing = fetcher_.is_missing(*span_.task, block);
    if (is_missing && !fetcher_.store(*span_.task, at_, piece)) return false;
    at_ += piece.size();
    taken_bytes_ += piece.size();
    // Bytes of a stream that began anew were counted the first time.
    if (is_missing && at_ > counted_until_) {
      fetcher_.count(std::min<uint64_t>(piece.size(), at_ - counted_until_));
      counted_until_ = at_;
    }
    return at_ != block_end || !is_missing || fetcher_.finish_block(*span_.task, block);
  }

  uint64_t end_of(size_t block) const { return std::min(block * fetcher_.block_bytes(), span_.task->file.bytes); }

  static std::string describe(const std::optional<ContentRange>& range) {
    return range ? fmt::format("bytes {}-{}/{}", range->first, range->last, range->total) : "no Content-Range";
  }

  bool refuse(std::string_view what, std::string want, std::string found) {
    problem_ = Error{.code = ErrorCode::kCorrupt,
                     .what = fmt::format("the hub's file is not {}", what),
                     .in = span_.task->file.path,
                     .want = std::move(want),
                     .found = std::move(found),
                     .hint = "try again later, or another hub (--hub) or mirror (--mirror)"};
    return false;
  }

  Fetcher& fetcher_;
  Span span_;
  uint64_t at_;
  uint64_t end_;
  uint64_t counted_until_ = 0;
  uint64_t taken_bytes_ = 0;
  bool is_whole_ = false;
  bool gives_way_ = false;
  std::optional<Error> problem_;
};

// False when the worker has to end.
bool Fetcher::fetch_span(HttpClient& client, const Span& span) {
  const Url url = url_of_(span.task->file);
  Patience patience(options_.retry, options_.http.is_cancelled);
  SpanReceiver receiver(*this, span);
  while (!receiver.is_complete()) {
    const uint64_t before = receiver.taken_bytes();
    HttpOutcome outcome = client.get(url, receiver.range(), receiver);
    if (receiver.is_complete() || receiver.gives_way()) break;
    if (receiver.problem() || outcome.end == HttpOutcome::End::kStopped) {
      fail(receiver.problem() ? *receiver.problem() : cancelled());
      return false;
    }
    const int status = outcome.answer.status;
    if (outcome.end == HttpOutcome::End::kComplete && (status == 200 || status == 206)) {
      // Shorter than its own headers say would have been an error of the connection.
      outcome.end = HttpOutcome::End::kFailed;
      outcome.is_transient = true;
      outcome.error = Error{.code = ErrorCode::kCorrupt,
                            .what = "the hub's file is shorter than the hub says",
                            .in = span.task->file.path,
                            .want = format_count(span.task->file.bytes) + " bytes",
                            .found = "fewer",
                            .hint = "try again later, or another hub (--hub) or mirror (--mirror)"};
    }
    if (receiver.taken_bytes() - before >= kProgressBytes) patience.progress();
    if (Result<void> waited = patience.wait_after(outcome, span.task->file.path, !options_.http.token.empty());
        !waited.ok()) {
      fail(std::move(waited).error());
      return false;
    }
  }
  leave(*span.task);
  return true;
}

void Fetcher::work() {
  Result<HttpClient> client = HttpClient::create(options_.http);
  if (!client.ok()) return fail(std::move(client).error());
  while (const std::optional<Span> span = take_span()) {
    if (!fetch_span(*client, *span)) return;
  }
}

}  // namespace

uint64_t missing_bytes(const fs::path& folder, const std::vector<HubFile>& files, uint64_t block_bytes) {
  uint64_t missing = 0;
  for (const HubFile& file : files) {
    uint64_t offset = 0;
    for (const bool is_here : blocks_here(folder, file, block_bytes)) {
      const uint64_t bytes = std::min(block_bytes, file.bytes - offset);
      if (!is_here) missing += bytes;
      offset += bytes;
    }
  }
  return missing;
}

Result<void> fetch_files(const FetchOptions& options, const fs::path& folder, const std::vector<HubFile>& files,
                         const UrlOfFile& url_of, std::atomic<uint64_t>& fetched_bytes) {
  Fetcher fetcher(options, folder, url_of, fetched_bytes);
  return fetcher.run(files);
}

}  // namespace hadal::hub
