// How models on the hub are reached: the options of that, and what a person sees meanwhile.
#pragma once

#include <optional>
#include <string>

#include <CLI/App.hpp>

#include "cli/interrupt.h"
#include "core/progress.h"
#include "models/fetch.h"

namespace mistral::cli {

class HubAccessOptions {
 public:
  void add_options(CLI::App& app);

  // Calls `fetch(access)`: with a progress bar on a terminal, and Ctrl-C as a way out that leaves
  // what was downloaded. Throws what it throws.
  template <typename Fetch>
  auto with_access(Fetch&& fetch) const {
    InterruptScope interrupt;
    ProgressBar bar("downloading");
    models::HubAccess access;
    access.revision = revision_;
    access.token_source = token_source_;
    access.cancelled = [&interrupt] { return interrupt.interrupted(); };
    access.on_progress = [&bar](std::uint64_t done, std::uint64_t total) {
      bar.update(done, total);
    };
    return fetch(access);
  }

 private:
  std::string revision_ = "main";
  std::string token_source_ = "cache";
};

}  // namespace mistral::cli
