// Short answers: what a hub knows of a model, and an index.
#include <fmt/format.h>

#include "base/format.h"
#include "hub/fetch.h"
#include "hub/patience.h"

namespace hadal::hub {
namespace {

class TextReceiver final : public HttpReceiver {
 public:
  explicit TextReceiver(uint64_t bytes_max) : bytes_max_(bytes_max) {}

  bool begin(const HttpAnswer& answer) override {
    text.clear();
    is_too_long = answer.length_bytes && *answer.length_bytes > bytes_max_;
    return !is_too_long;
  }
  bool take(std::span<const std::byte> bytes) override {
    is_too_long = text.size() + bytes.size() > bytes_max_;
    if (!is_too_long) text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return !is_too_long;
  }

  std::string text;
  bool is_too_long = false;

 private:
  uint64_t bytes_max_;
};

}  // namespace

Result<std::string> fetch_text(const FetchOptions& options, const Url& url, uint64_t bytes_max) {
  HADAL_ASSIGN(HttpClient client, HttpClient::create(options.http));
  Patience patience(options.retry, options.http.is_cancelled);
  while (true) {
    TextReceiver receiver(bytes_max);
    const HttpOutcome outcome = client.get(url, std::nullopt, receiver);
    if (receiver.is_too_long) {
      return Error{.code = ErrorCode::kLimit,
                   .what = "the hub's answer is too long",
                   .in = url.text(),
                   .want = "at most " + format_bytes(bytes_max),
                   .found = "more",
                   .hint = ""};
    }
    if (outcome.end == HttpOutcome::End::kStopped) return cancelled();
    if (outcome.end == HttpOutcome::End::kComplete && outcome.answer.status == 200) return std::move(receiver.text);
    HADAL_TRY(patience.wait_after(outcome, url.text(), !options.http.token.empty()));
  }
}

}  // namespace hadal::hub
