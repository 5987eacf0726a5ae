// machine_peak: prints the bandwidth and the multiply-add rates that kernels are compared with.
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "benchmarks/machine_peak.h"
#include "benchmarks/peak_kernels.h"
#include "core/error.h"
#include "core/json.h"
#include "core/thread_pool.h"

namespace {

using namespace mistral;

constexpr std::string_view kUsage =
    "usage: machine_peak [--threads N[,N...]] [--seconds S] [--json]\n"
    "\n"
    "Measures for S seconds each (default 0.2) and on N threads (default: one, and one per\n"
    "physical core): bytes read from memory per second, and operations per second of int8, bf16\n"
    "and f32 multiply-adds, which count as two.\n";

struct Options {
  std::vector<int> threads;
  double seconds = 0.2;
  bool json = false;
};

double number(const std::string& option, const std::string& text, double low, double high) {
  std::size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used == 0 || used != text.size() || !(value >= low && value <= high)) {
    throw make_error(ErrorKind::kInvalidArgument, "{}: '{}' is not a number from {} to {}", option,
                     text, low, high);
  }
  return value;
}

std::vector<int> numbers(const std::string& option, const std::string& text) {
  std::vector<int> values;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    values.push_back(static_cast<int>(number(option, text.substr(begin, end - begin), 1, 1024)));
    begin = end + 1;
  }
  return values;
}

Options parse(const std::vector<std::string>& arguments) {
  Options options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& option = arguments[i];
    if (option == "--json") {
      options.json = true;
    } else if ((option == "--threads" || option == "--seconds") && i + 1 < arguments.size()) {
      const std::string& value = arguments[++i];
      if (option == "--threads") options.threads = numbers(option, value);
      if (option == "--seconds") options.seconds = number(option, value, 0, 3600);
    } else {
      throw make_error(ErrorKind::kInvalidArgument, "unexpected argument '{}'", option);
    }
  }
  if (options.threads.empty()) {
    options.threads = {1};
    if (ThreadPool::default_size() > 1) options.threads.push_back(ThreadPool::default_size());
  }
  return options;
}

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
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 1 && (arguments[0] == "--help" || arguments[0] == "-h")) {
    fmt::print("{}", kUsage);
    return 0;
  }
  try {
    return run(parse(arguments));
  } catch (const Error& error) {
    fmt::print(stderr, "error: {}\n{}", error.what(),
               error.kind() == ErrorKind::kInvalidArgument ? kUsage : "");
    return error.kind() == ErrorKind::kInvalidArgument ? 2 : 1;
  }
}
