// Mixed load on one engine for a long time: answers of all kinds from several clients at once, with
// cancellations, stop strings, requests that are refused, that fail and that give way for lack of
// cache. At the end the cache must be as empty as before and the process no larger than after the
// warm-up, else it exits with 1.
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "mistral/model.h"

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string model;
  int seconds = 3600;
  int clients = 24;
  int cache_tokens = 2048;  // few: answers give way to each other
  int max_sequences = 16;
  double most_growth = 8;  // MiB per hour
  std::uint64_t seed = 1;
};

struct Counts {
  std::atomic<std::int64_t> stop{0};
  std::atomic<std::int64_t> length{0};
  std::atomic<std::int64_t> cancelled{0};
  std::atomic<std::int64_t> failed{0};
  std::atomic<std::int64_t> refused{0};
  std::atomic<std::int64_t> unexpected{0};
};

double resident_mebibytes() {
  std::ifstream file("/proc/self/statm");
  std::int64_t pages = 0;
  file >> pages >> pages;
  return static_cast<double>(pages) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

// One client: a request after another, each of a random kind.
class Client {
 public:
  Client(mistral::Model& model, std::uint64_t seed, Counts& counts)
      : model_(model), random_(seed), counts_(counts) {}

  void run(Clock::time_point end) {
    while (Clock::now() < end) {
      try {
        request();
      } catch (const mistral::Exception&) {
        ++counts_.refused;
      }
    }
  }

 private:
  std::int64_t pick(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }
  bool chance(int percent) { return pick(0, 99) < percent; }

  std::string prompt() {
    std::string text;
    // Some prompts begin alike.
    if (chance(40)) {
      const std::int64_t prefix = pick(0, 3);
      for (int i = 0; i < 20; ++i) text += fmt::format("rule {} of book {}. ", i, prefix);
    }
    const std::int64_t words = pick(1, chance(5) ? 120 : 12);
    for (std::int64_t i = 0; i < words; ++i) text += fmt::format("word{} ", pick(0, 5000));
    return text;
  }

  mistral::SamplingParams sampling() {
    mistral::SamplingParams s;
    s.max_tokens = pick(1, 80);
    s.ignore_eos = chance(30);
    if (chance(60)) s.temperature = 0.2 + 0.1 * static_cast<double>(pick(0, 12));
    if (chance(40)) s.top_k = static_cast<std::int32_t>(pick(1, 100));
    if (chance(40)) s.top_p = 0.9;
    if (chance(20)) s.min_p = 0.05;
    if (chance(20)) s.dry_multiplier = 0.8;
    if (chance(20)) s.frequency_penalty = 0.3;
    if (chance(15)) s.top_logprobs = static_cast<std::int32_t>(pick(1, 20));
    if (chance(30)) s.stop = {" the", "\n\n", fmt::format("{}", pick(0, 9))};
    if (chance(10)) s.mirostat_tau = 4.0;
    if (chance(3)) {
      s.logits_processors.push_back([](auto, auto) { throw std::runtime_error("it fails"); });
      expect_failure_ = true;
    }
    return s;
  }

  void request() {
    expect_failure_ = false;
    mistral::SamplingParams s = sampling();
    if (chance(4)) s.max_tokens = -3;
    if (chance(4)) s.temperature = std::nan("");
    if (chance(4)) s.stop.emplace_back();
    if (chance(10)) {
      const auto ids = model_.tokenize(prompt());
      for (mistral::Generation& one : model_.start(ids, s, static_cast<std::int32_t>(pick(1, 4)))) {
        count(one.wait());
      }
      return;
    }
    mistral::Generation generation = model_.start(prompt(), s);
    const std::int64_t leave_after = chance(25) ? pick(0, 20) : -1;
    for (std::int64_t pieces = 0; pieces != leave_after; ++pieces) {
      if (!generation.next()) break;
      if (chance(1)) std::this_thread::sleep_for(std::chrono::milliseconds(pick(1, 200)));
    }
    if (leave_after >= 0 && chance(50)) return;  // the destructor cancels
    if (leave_after >= 0) generation.cancel();
    count(generation.wait());
  }

  void count(const mistral::Response& response) {
    switch (response.finish_reason) {
      case mistral::FinishReason::kStop:
        ++counts_.stop;
        break;
      case mistral::FinishReason::kLength:
        ++counts_.length;
        break;
      case mistral::FinishReason::kCancelled:
        ++counts_.cancelled;
        break;
      case mistral::FinishReason::kError:
        ++counts_.failed;
        if (!expect_failure_) {
          ++counts_.unexpected;
          std::cerr << "a request failed: " << response.error << '\n';
        }
        break;
    }
  }

  mistral::Model& model_;
  std::mt19937_64 random_;
  Counts& counts_;
  bool expect_failure_ = false;
};

// Least squares over (seconds, MiB): MiB per hour.
double growth_per_hour(const std::vector<std::pair<double, double>>& samples) {
  double n = 0;
  double sx = 0;
  double sy = 0;
  double sxx = 0;
  double sxy = 0;
  for (const auto& [x, y] : samples) {
    n += 1;
    sx += x;
    sy += y;
    sxx += x * x;
    sxy += x * y;
  }
  const double spread = n * sxx - sx * sx;
  return spread > 0 ? (n * sxy - sx * sy) / spread * 3600 : 0;
}

int run(const Options& options) {
  mistral::Model model = mistral::Model::load({.path = options.model,
                                               .max_sequences = options.max_sequences,
                                               .kv_cache_tokens = options.cache_tokens,
                                               .prefill_chunk = 128,
                                               .ngram_drafts = true});
  Counts counts;
  const Clock::time_point start = Clock::now();
  const Clock::time_point end = start + std::chrono::seconds(options.seconds);
  std::vector<std::thread> clients;
  for (int i = 0; i < options.clients; ++i) {
    clients.emplace_back([&, i] {
      Client(model, options.seed * 1000 + static_cast<std::uint64_t>(i), counts).run(end);
    });
  }
  const double warm_up = options.seconds / 5.0;
  const double interval = std::min(30.0, std::max(1.0, options.seconds / 40.0));
  std::vector<std::pair<double, double>> samples;
  while (Clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::duration<double>(interval));
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const double memory = resident_mebibytes();
    if (seconds >= warm_up) samples.emplace_back(seconds, memory);
    const mistral::ModelStats s = model.stats();
    fmt::print(
        "{:6.0f} s  {:8.1f} MiB  running {:3} waiting {:3}  requests {}  tokens {}  "
        "preemptions {}  cached {}  drafts {}/{}\n",
        seconds, memory, s.running, s.waiting, s.requests, s.completion_tokens, s.preemptions,
        s.cached_tokens, s.accepted_tokens, s.drafted_tokens);
    std::fflush(stdout);
  }
  for (std::thread& client : clients) client.join();
  // Cancelled requests leave at the next step.
  for (int i = 0; i < 100 && model.stats().running + model.stats().waiting > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const mistral::ModelStats s = model.stats();
  const double growth = growth_per_hour(samples);
  fmt::print(
      "stop {}, length {}, cancelled {}, failed on purpose {}, refused {}, preemptions {}\n"
      "idle: running {}, waiting {}; cache of {} bytes, in use {}\n"
      "memory after the warm-up: {:+.2f} MiB per hour\n",
      counts.stop.load(), counts.length.load(), counts.cancelled.load(),
      counts.failed.load() - counts.unexpected.load(), counts.refused.load(), s.preemptions,
      s.running, s.waiting, s.kv_cache_bytes, s.kv_cache_bytes_in_use, growth);
  const bool good = counts.unexpected == 0 && s.running == 0 && s.waiting == 0 &&
                    s.kv_cache_bytes_in_use == 0 && growth <= options.most_growth;
  fmt::print("{}\n", good ? "passed" : "failed");
  return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Runs mixed load on one engine and looks for leaks.");
  app.add_option("model", options.model, "a model's file or folder")->required();
  app.add_option("--seconds", options.seconds)
      ->capture_default_str()
      ->check(CLI::Range(5, 1000000));
  app.add_option("--clients", options.clients)->capture_default_str()->check(CLI::Range(1, 1000));
  app.add_option("--cache-tokens", options.cache_tokens)->capture_default_str();
  app.add_option("--max-sequences", options.max_sequences)->capture_default_str();
  app.add_option("--most-growth", options.most_growth, "MiB per hour")->capture_default_str();
  app.add_option("--seed", options.seed)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    return run(options);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
}
