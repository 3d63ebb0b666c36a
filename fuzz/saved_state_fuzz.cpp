// Arbitrary bytes as a saved sequence state: refused or restored, and what is restored can be saved and read again.
//
// The checksum would stop nearly every mutation, so it is put right first: what is behind it must stand on its own.

#include <cstring>

#include "base/hash.h"
#include "state/sequence_state.h"
#include "testing/small_state.h"

namespace {

class Discard final : public hadal::ByteSink {
 public:
  hadal::Result<void> write(std::span<const std::byte> piece) override {
    bytes += piece.size();
    return {};
  }
  size_t bytes = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::shared_ptr<const hadal::StateLayout> layout = hadal::test::small_layout();
  std::vector<std::byte> bytes(size);
  if (size > 0) std::memcpy(bytes.data(), data, size);
  if (bytes.size() > sizeof(hadal::Checksum)) {
    const hadal::Checksum sum = hadal::checksum(std::span(bytes).first(bytes.size() - sizeof(hadal::Checksum)));
    std::memcpy(bytes.data() + bytes.size() - sizeof sum, &sum, sizeof sum);
  }
  (void)hadal::inspect_saved_state(bytes, "fuzz").ok();
  hadal::Result<hadal::SequenceState> state =
      hadal::SequenceState::restore(hadal::test::one_cpu(), layout, bytes, "fuzz");
  if (!state.ok()) return 0;
  HADAL_CHECK(state->length() <= layout->context_tokens_max, "length", state->length());
  for (const int32_t id : state->tokens()) HADAL_CHECK(id >= 0 && id < layout->vocab_size, "token", id);
  Discard sink;
  HADAL_CHECK(state->save(sink).ok() && sink.bytes == bytes.size(), "saved bytes", sink.bytes, bytes.size());
  HADAL_CHECK(state->truncate(state->length() / 2).ok(), "truncate");
  return 0;
}
