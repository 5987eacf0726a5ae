#include "cli/bench_report.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "cli/output.h"
#include "core/json.h"

namespace mistral::cli {

namespace {

double percentile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

// Characters of UTF-8.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string padding(const std::string& text, std::size_t width) {
  return std::string(width - width_of(text), ' ');
}

Json as_json(const std::vector<double>& values) {
  const Distribution d = distribution(values);
  return {{"mean", d.mean},     {"stddev", d.deviation}, {"min", d.min}, {"p10", d.p10},
          {"median", d.median}, {"p90", d.p90},          {"p99", d.p99}, {"max", d.max}};
}

std::string csv_text(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"') result += '"';
    result += c;
  }
  return result + '"';
}

}  // namespace

Distribution distribution(std::vector<double> values) {
  Distribution d;
  if (values.empty()) return d;
  const auto count = static_cast<double>(values.size());
  d.mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  if (values.size() > 1) {
    double sum = 0;
    for (const double value : values) sum += (value - d.mean) * (value - d.mean);
    d.deviation = std::sqrt(sum / (count - 1));
  }
  std::ranges::sort(values);
  d.min = values.front();
  d.p10 = percentile(values, 0.1);
  d.median = percentile(values, 0.5);
  d.p90 = percentile(values, 0.9);
  d.p95 = percentile(values, 0.95);
  d.p99 = percentile(values, 0.99);
  d.max = values.back();
  return d;
}

std::string bench_table(const BenchModel& model, const std::vector<Measurement>& measurements) {
  std::vector<std::vector<std::string>> rows{
      {"model", "threads", "test", "t/s", "median", "first token"}};
  for (const Measurement& m : measurements) {
    const Distribution speed = distribution(m.speeds);
    rows.push_back({one_line(model.name), std::to_string(m.threads), m.test,
                    fmt::format("{:.2f} ± {:.2f}", speed.mean, speed.deviation),
                    fmt::format("{:.2f}", speed.median),
                    m.first_token.empty()
                        ? ""
                        : fmt::format("{:.0f} ms", distribution(m.first_token).median * 1e3)});
  }
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], width_of(row[i]));
    }
  }
  std::string text;
  for (const auto& row : rows) {
    text += "| " + row[0] + padding(row[0], widths[0]);
    for (std::size_t i = 1; i < row.size(); ++i) {
      text += " | " + padding(row[i], widths[i]) + row[i];
    }
    text += " |\n";
    if (&row != &rows.front()) continue;
    text += "|" + std::string(widths[0] + 2, '-');
    for (std::size_t i = 1; i < row.size(); ++i)
      text += "|" + std::string(widths[i] + 1, '-') + ":";
    text += "|\n";
  }
  return text;
}

std::string bench_json(const BenchModel& model, const std::vector<Measurement>& measurements) {
  Json all = Json::array();
  for (const Measurement& m : measurements) {
    const Distribution speed = distribution(m.speeds);
    Json entry;
    entry["model"] = model.name;
    entry["architecture"] = model.architecture;
    entry["parameters"] = model.parameters;
    entry["threads"] = m.threads;
    entry["test"] = m.test;
    entry["n_prompt"] = m.prompt_tokens;
    entry["n_gen"] = m.generated_tokens;
    entry["n_depth"] = m.depth;
    entry["n_batch"] = m.batch;
    entry["repetitions"] = m.speeds.size();
    entry["tokens_per_second"] = speed.mean;
    entry["stddev"] = speed.deviation;
    entry["min"] = speed.min;
    entry["median"] = speed.median;
    entry["max"] = speed.max;
    entry["samples"] = m.speeds;
    if (!m.first_token.empty()) entry["first_token_seconds"] = as_json(m.first_token);
    if (!m.token_intervals.empty()) entry["token_interval_seconds"] = as_json(m.token_intervals);
    all.push_back(std::move(entry));
  }
  return all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string bench_csv(const BenchModel& model, const std::vector<Measurement>& measurements) {
  std::string text =
      "model,threads,test,n_prompt,n_gen,n_depth,n_batch,repetitions,tokens_per_second,stddev,min,"
      "median,max,first_token_seconds\n";
  for (const Measurement& m : measurements) {
    const Distribution speed = distribution(m.speeds);
    text += fmt::format(
        "{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", csv_text(one_line(model.name)), m.threads,
        csv_text(m.test), m.prompt_tokens, m.generated_tokens, m.depth, m.batch, m.speeds.size(),
        speed.mean, speed.deviation, speed.min, speed.median, speed.max,
        m.first_token.empty() ? "" : fmt::format("{}", distribution(m.first_token).median));
  }
  return text;
}

}  // namespace mistral::cli
