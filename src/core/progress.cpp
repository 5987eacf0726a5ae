#include "core/progress.h"

#include <cstdio>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace mistral {
namespace {

constexpr int kBarCells = 40;

int percent_of(std::uint64_t done, std::uint64_t total) {
  if (total == 0 || done >= total) return 100;
  return static_cast<int>(static_cast<double>(done) / static_cast<double>(total) * 100.0);
}

void put(const std::string& text) {
  (void)std::fwrite(text.data(), 1, text.size(), stderr);
  (void)std::fflush(stderr);
}

}  // namespace

ProgressBar::ProgressBar(std::string label)
    : label_(std::move(label)), visible_(::isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() {
  // Return to the first column and erase to the end of the line.
  if (visible_ && last_percent_ >= 0) put("\r\x1b[K");
}

void ProgressBar::update(std::uint64_t done, std::uint64_t total) {
  if (!visible_) return;
  const int percent = percent_of(done, total);
  if (percent == last_percent_) return;
  last_percent_ = percent;
  const auto filled = static_cast<std::size_t>(percent * kBarCells / 100);
  put(fmt::format("\r\x1b[K{} [{}{}] {:3d} %", label_, std::string(filled, '#'),
                  std::string(kBarCells - filled, '.'), percent));
}

}  // namespace mistral
