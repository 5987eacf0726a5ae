// What `bench` measured, and the forms in which it is printed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mistral::cli {

struct Distribution {
  double mean = 0;
  double deviation = 0;  // of the sample; 0 for a single value
  double min = 0, p10 = 0, median = 0, p90 = 0, p95 = 0, p99 = 0, max = 0;
};
// Zeros without values. Percentiles lie between neighbouring values in proportion.
[[nodiscard]] Distribution distribution(std::vector<double> values);

struct BenchModel {
  std::string name;
  std::string architecture;
  std::int64_t parameters = 0;
};

struct Measurement {
  std::string test;  // "pp512", "tg128 @ d1024", "tg64 @ d128 x4"
  int threads = 0;
  // Per sequence and repetition.
  std::int64_t prompt_tokens = 0;
  std::int64_t generated_tokens = 0;
  std::int64_t depth = 0;
  std::int64_t batch = 1;
  std::vector<double> speeds;           // tokens per second of all sequences, one per repetition
  std::vector<double> first_token;      // seconds; empty when there is nothing to say
  std::vector<double> token_intervals;  // seconds; likewise
};

// A Markdown table.
[[nodiscard]] std::string bench_table(const BenchModel& model,
                                      const std::vector<Measurement>& measurements);
// One array, an object for each measurement.
[[nodiscard]] std::string bench_json(const BenchModel& model,
                                     const std::vector<Measurement>& measurements);
// A line of names, then a line for each measurement (RFC 4180).
[[nodiscard]] std::string bench_csv(const BenchModel& model,
                                    const std::vector<Measurement>& measurements);

}  // namespace mistral::cli
