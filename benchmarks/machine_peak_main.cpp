// machine_peak: prints the bandwidth and the multiply-add rates that kernels are compared with.
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

#include "benchmarks/machine_peak.h"
#include "benchmarks/peak_kernels.h"
#include "core/error.h"
#include "core/json.h"
#include "core/thread_pool.h"

namespace {

using namespace mistral;

struct Options {
  std::vector<int> threads;
  double seconds = 0.2;
  bool json = false;
};

struct Figure {
  std::string what;          // "bandwidth"
  std::string instructions;  // "" where there is nothing to say
  std::string unit;
  benchmarks::Rate rate;
};

std::vector<Figure> measure(int threads, double seconds) {
  const benchmarks::MachinePeak peak(threads);
  const auto name = [](const std::optional<benchmarks::PeakKernel>& kernel) {
    return std::string(kernel ? kernel->name : "no instructions known");
  };
  return {{"bandwidth", "", "GB/s", peak.bandwidth(seconds)},
          {"int8", name(benchmarks::int8_kernel()), "Gop/s", peak.int8_operations(seconds)},
          {"bf16", name(benchmarks::bf16_kernel()), "Gop/s", peak.bf16_operations(seconds)},
          {"f32", name(benchmarks::f32_kernel()), "Gop/s", peak.f32_operations(seconds)}};
}

int run(const Options& options) {
  Json all = Json::array();
  for (const int threads : options.threads) {
    Json entry;
    entry["threads"] = threads;
    for (const Figure& figure : measure(threads, options.seconds)) {
      const double best = figure.rate.best / 1e9;
      const double median = figure.rate.median / 1e9;
      entry[figure.what] = {{"best", best},
                            {"median", median},
                            {"unit", figure.unit},
                            {"instructions", figure.instructions}};
      if (options.json) continue;
      const std::string value =
          best > 0 ? fmt::format("{:8.1f} {} (median {:.1f})", best, figure.unit, median) : "-";
      fmt::print("{:>3} threads  {:<10} {:<30} {}\n", threads, figure.what, value,
                 figure.instructions);
    }
    all.push_back(std::move(entry));
  }
  if (options.json) fmt::print("{}\n", all.dump(2));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  options.threads = {1};
  if (ThreadPool::default_size() > 1) options.threads.push_back(ThreadPool::default_size());
  CLI::App app(
      "Measures bytes read from memory per second, and operations per second of int8, bf16 "
      "and f32 multiply-adds, which count as two.");
  app.add_option("--threads", options.threads, "numbers of threads")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024))
      ->type_name("N[,N...]")
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "how long each figure is measured")
      ->check(CLI::Range(0.0, 3600.0))
      ->type_name("S")
      ->capture_default_str();
  app.add_flag("--json", options.json, "print JSON");
  CLI11_PARSE(app, argc, argv);
  try {
    return run(options);
  } catch (const Error& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
