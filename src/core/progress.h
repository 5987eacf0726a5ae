// A progress bar on stderr, shown only when stderr is a terminal.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

namespace mistral {

// Called with (done, total) in the unit of the work, from any thread but never concurrently.
using ProgressCallback = std::function<void(std::uint64_t done, std::uint64_t total)>;

class ProgressBar {
 public:
  explicit ProgressBar(std::string label);
  ~ProgressBar();  // clears the line
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void update(std::uint64_t done, std::uint64_t total);

 private:
  std::string label_;
  bool visible_;
  int last_percent_ = -1;
};

}  // namespace mistral
