#include "tokenizer/char_classes.h"

#include <algorithm>
#include <map>

#include "tokenizer/unicode_categories.h"

namespace hadal::tokenizer {
namespace {

bool is_cjk(uint32_t c) {
  return (c >= 0x4E00 && c <= 0x9FA5) || (c >= 0x3040 && c <= 0x30FF);
}

uint8_t flags_of_category(char category) {
  switch (category) {
    case 'L':
    case 'M':
      return kLetter;
    case 'P':
    case 'S':
      return kSymbol;
    case 'N':
      return kNumber;
    case 'Z':
      return kSpace;
    default:
      return 0;
  }
}

uint8_t in_cjk_range(uint8_t flags) {
  uint8_t moved = kCjk;
  if (flags & kLetter) moved |= kCjkLetter;
  if (flags & kSymbol) moved |= kCjkSymbol;
  return moved;
}

}  // namespace

CharClasses::CharClasses() {
  std::vector<uint8_t> all(kCodePoints);
  for (const CategoryRange& range : category_ranges()) {
    std::fill(all.begin() + range.first, all.begin() + range.last + 1, flags_of_category(range.category));
  }
  for (uint32_t c = 0x3040; c <= 0x9FA5; ++c) {
    if (is_cjk(c)) all[c] = in_cjk_range(all[c]);
  }
  // \s is Unicode's White_Space: the separators (Z), tab to carriage return, and next line.
  for (const uint32_t c : {0x09u, 0x0Au, 0x0Bu, 0x0Cu, 0x0Du, 0x85u}) all[c] = kSpace;
  all['\n'] |= kNewline;
  all['\r'] |= kNewline;

  std::map<uint8_t, uint32_t> uniform_page;  // flags -> where the page with nothing else is
  for (uint32_t page = 0; page < page_of_.size(); ++page) {
    const auto begin = all.begin() + page * kPage;
    const bool is_uniform = std::all_of(begin, begin + kPage, [begin](uint8_t flags) { return flags == *begin; });
    const auto place = static_cast<uint32_t>(flags_.size());
    if (is_uniform) {
      const auto [shared, is_first] = uniform_page.emplace(*begin, place);
      page_of_[page] = shared->second;
      if (!is_first) continue;
    } else {
      page_of_[page] = place;
    }
    flags_.insert(flags_.end(), begin, begin + kPage);
  }
}

}  // namespace hadal::tokenizer
