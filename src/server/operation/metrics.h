// What the server counts, in the text form of Prometheus.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>

#include "engine/engine_stats.h"

namespace mistral::server {

inline constexpr std::array<double, 14> kLatencyBounds = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
                                                          2.5,  5,     10,   30,  60,   120, 300};

// Thread safe.
class HttpMetrics {
 public:
  void count(std::string_view route, std::string_view method, int status);

  struct Snapshot {
    std::map<std::tuple<std::string, std::string, int>, std::int64_t> requests;
    engine::Histogram<kLatencyBounds.size()> generation_seconds{kLatencyBounds};
  };
  [[nodiscard]] Snapshot snapshot() const;
  // Besides, how long a request for a chat or a completion took from its arrival to its end.
  void add_generation(double seconds);
  // About how long one takes at the moment; 0: not known.
  [[nodiscard]] double usual_seconds() const;

 private:
  mutable std::mutex mutex_;
  Snapshot counted_;
  double usual_seconds_ = 0;
};

struct ServerState {
  std::string model;
  std::size_t connections = 0;
  std::int64_t refused = 0;  // for lack of room
  bool ready = false;
};

// Our own names, and those of vLLM for what both count.
[[nodiscard]] std::string metrics_text(const HttpMetrics::Snapshot& http, const ServerState& state,
                                       const engine::EngineStats* engine);

}  // namespace mistral::server
