// The tokens of calls that the model made, by the calls' ids: when a client sends a call back, the prompt gets the very
// tokens that were sampled, whatever the client made of them.
//
// Clients reformat arguments and some forget the reasoning; rendered anew, such a turn would be other tokens than those
// in the prefix cache, and everything behind it would be computed again. Ids are unguessable and looked up by key, so a
// foreign id finds nothing. In memory, bounded, the latest used kept. Thread-safe.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "prompt/message.h"
#include "tokenizer/tokenizer.h"

namespace hadal::server {

// An assistant's turn: from the header of the reply to the marker that ended it.
struct RecordedTurn {
  std::vector<TokenId> tokens;
  Message message;
};

class ReplayStore {
 public:
  static constexpr size_t kTokensMax = size_t{16} << 20;  // of all turns: 64 MiB

  // Does nothing for a turn without calls.
  void put(const std::string& scope, RecordedTurn turn);
  // The turn that made these calls: all of them, in any order, and the same text beside them. Else null.
  std::shared_ptr<const RecordedTurn> find(const std::string& scope, const Message& message);

 private:
  struct Entry {
    std::string scope;
    std::shared_ptr<const RecordedTurn> turn;
  };
  using Place = std::list<Entry>::iterator;
  void drop_last();

  std::mutex mutex_;
  std::list<Entry> entries_;              // the latest used first
  std::map<std::string, Place> by_call_;  // by scope and id of each call
  size_t n_tokens_ = 0;
};

}  // namespace hadal::server
