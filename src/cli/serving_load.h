// Many clients at once, as a server has them: what `bench --streams` measures.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/bench_report.h"
#include "cli/session.h"

namespace mistral::cli {

struct ServingCase {
  std::int64_t streams = 1;  // requests on their way at once
  std::int64_t requests = 1;
  std::int64_t prompt = 64;  // tokens
  std::int64_t shared = 0;   // of those, the same for all requests
  std::int64_t answer = 64;  // tokens
  // Requests per second, which come at random times (Poisson) as long as a stream is free; 0: each
  // stream sends its next request when the one before is answered, all the first at once.
  double rate = 0;
};

struct ServingTimes {
  double seconds = 0;  // from the first request to the last token
  std::int64_t completion_tokens = 0;
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::vector<double> first_token;  // seconds, one per request
  std::vector<double> between;      // seconds between a request's tokens, on average; likewise
};

// Random prompts, greedy answers that ignore end tokens. Throws Error when a request fails or does
// not fit the context.
[[nodiscard]] ServingTimes run_serving(Session& session, const ServingCase& test,
                                       std::uint64_t seed);

struct ServingMeasurement {
  ServingCase test;
  ServingTimes times;
};
[[nodiscard]] std::string serving_table(const std::vector<ServingMeasurement>& measurements);
[[nodiscard]] std::string serving_json(const BenchModel& model,
                                       const std::vector<ServingMeasurement>& measurements);

}  // namespace mistral::cli
