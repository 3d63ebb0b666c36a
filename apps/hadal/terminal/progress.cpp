#include "terminal/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/format.h"
#include "base/utf8.h"

namespace hadal {
namespace {

constexpr double kRedrawSeconds = 0.1;     // ten times a second looks continuous and costs a slow terminal nothing
constexpr double kRateAfterSeconds = 0.5;  // a rate and a remaining time before that are noise
constexpr int kBarCellsMin = 8;
constexpr int kBarCellsMax = 40;

// Cells of a terminal, counted high: what may be wide (East Asian, emoji) counts as two, so that the line never wraps.
int cells(char32_t code_point) {
  return code_point >= 0x1100 ? 2 : 1;
}

int cells(std::string_view text) {
  int n = 0;
  while (!text.empty()) {
    const utf8::Decoded d = utf8::decode(text);
    n += cells(d.code_point);
    text.remove_prefix(static_cast<size_t>(d.length));
  }
  return n;
}

// As many whole characters as fit.
std::string cut_to_cells(std::string_view text, int n_max) {
  std::string kept;
  for (int n = 0; !text.empty();) {
    const utf8::Decoded d = utf8::decode(text);
    n += cells(d.code_point);
    if (n > n_max) break;
    kept += text.substr(0, static_cast<size_t>(d.length));
    text.remove_prefix(static_cast<size_t>(d.length));
  }
  return kept;
}

std::string amount(ProgressOptions::Unit unit, uint64_t n) {
  return unit == ProgressOptions::Unit::kBytes ? format_bytes(n) : fmt::format("{} tokens", format_count(n));
}

std::string rate_text(ProgressOptions::Unit unit, double per_second) {
  if (unit == ProgressOptions::Unit::kBytes) return format_bytes(static_cast<uint64_t>(per_second)) + "/s";
  return fmt::format("{:.{}f} tokens/s", per_second, per_second < 100 ? 1 : 0);
}

// "[=====>    ]" with `width` cells between the brackets.
std::string bar_text(double share, int width) {
  const int filled = static_cast<int>(std::floor(share * width));
  std::string bar(static_cast<size_t>(width), ' ');
  std::fill_n(bar.begin(), filled, '=');
  if (filled < width) bar[static_cast<size_t>(filled)] = '>';
  return "[" + bar + "]";
}

}  // namespace

ProgressBar::ProgressBar(const ProgressOptions& options, const TerminalFacts& facts, double now_s)
    : options_(options), is_drawn_anywhere_(facts.has_motion), start_s_(now_s) {}

std::string ProgressBar::update(uint64_t done, double now_s, int columns) {
  if (!is_drawn_anywhere_) return {};
  if (!drawn_.empty() && now_s - drawn_s_ < kRedrawSeconds) return {};
  std::string next = line(done, now_s, columns);
  if (next == drawn_) return {};
  drawn_s_ = now_s;
  drawn_ = std::move(next);
  return "\r" + drawn_ + "\033[K";
}

std::string ProgressBar::clear() {
  if (drawn_.empty()) return {};
  drawn_.clear();
  return "\r\033[K";
}

std::string ProgressBar::line(uint64_t done, double now_s, int columns) const {
  const double elapsed_s = now_s - start_s_;
  const double rate = elapsed_s >= kRateAfterSeconds ? static_cast<double>(done) / elapsed_s : 0;
  const bool is_total_known = options_.total > 0;
  std::string facts;
  if (is_total_known) {
    done = std::min(done, options_.total);
    facts = fmt::format("  {:3} %", done * 100 / options_.total);
  } else {
    facts = "  " + amount(options_.unit, done);
  }
  if (rate > 0) facts += "  " + rate_text(options_.unit, rate);
  // Nothing is done yet: that the time goes on shows that the program is alive.
  if (done == 0 && elapsed_s >= kRateAfterSeconds) facts += "  " + format_seconds(elapsed_s);
  if (rate > 0 && is_total_known && done < options_.total) {
    facts += fmt::format("  {} left", format_seconds(static_cast<double>(options_.total - done) / rate));
  }

  // One column stays free: a full line makes some terminals wrap.
  const int room = std::max(columns - 1, 1);
  const int bar_width = std::min(room - cells(options_.label) - static_cast<int>(facts.size()) - 4, kBarCellsMax);
  std::string text = options_.label;
  if (is_total_known && bar_width >= kBarCellsMin) {
    const double share = static_cast<double>(done) / static_cast<double>(options_.total);
    text += "  " + bar_text(share, bar_width);
  }
  return cut_to_cells(text + facts, room);
}

}  // namespace hadal
