#include "server/operation/metrics.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <span>

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

namespace mistral::server {
namespace {

std::string label_text(std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (c == '\\' || c == '"') text += '\\';
    if (c == '\n') {
      text += "\\n";
    } else {
      text += c;
    }
  }
  return text;
}

class Writer {
 public:
  explicit Writer(std::string_view model)
      : labels_(fmt::format("model_name=\"{}\"", label_text(model))) {}

  void head(std::string_view name, std::string_view type, std::string_view help) {
    text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  void value(std::string_view name, double number, std::string_view labels = "") {
    text_ += labels.empty() ? fmt::format("{} {}\n", name, number)
                            : fmt::format("{}{{{}}} {}\n", name, labels, number);
  }
  void gauge(std::string_view name, std::string_view help, double number) {
    head(name, "gauge", help);
    value(name, number);
  }
  void counter(std::string_view name, std::string_view help, double number) {
    head(name, "counter", help);
    value(name, number);
  }
  // The same with the label model_name, as vLLM has it.
  void vllm(std::string_view name, std::string_view type, std::string_view help, double number) {
    head(name, type, help);
    value(name, number, labels_);
  }
  template <std::size_t N>
  void histogram(std::string_view name, std::string_view help, const engine::Histogram<N>& values,
                 bool with_model = false) {
    head(name, "histogram", help);
    const std::string labels = with_model ? labels_ : "";
    const std::string before = with_model ? labels_ + "," : "";
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < values.bounds().size(); ++i) {
      sum += values.counts()[i];
      text_ += fmt::format("{}_bucket{{{}le=\"{}\"}} {}\n", name, before, values.bounds()[i], sum);
    }
    text_ += fmt::format("{}_bucket{{{}le=\"+Inf\"}} {}\n", name, before, values.count());
    value(fmt::format("{}_sum", name), values.sum(), labels);
    value(fmt::format("{}_count", name), static_cast<double>(values.count()), labels);
  }

  [[nodiscard]] const std::string& labels() const { return labels_; }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string labels_;
  std::string text_;
};

void write_process(Writer& out) {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  out.counter("process_cpu_seconds_total", "Processor time used.",
              seconds(used.ru_utime) + seconds(used.ru_stime));
  std::ifstream statm("/proc/self/statm");
  std::int64_t all = 0;
  std::int64_t resident = 0;
  std::int64_t shared = 0;
  if (statm >> all >> resident >> shared) {
    const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
    out.gauge("process_resident_memory_bytes", "Memory in use, with mapped files.",
              static_cast<double>(resident) * page);
    out.gauge("process_anonymous_memory_bytes", "Memory in use, without mapped files.",
              static_cast<double>(resident - shared) * page);
  }
  std::error_code error;
  double threads = 0;
  for (std::filesystem::directory_iterator it("/proc/self/task", error), end; it != end;
       it.increment(error)) {
    ++threads;
  }
  if (threads > 0) out.gauge("process_threads", "Threads.", threads);
  double files = 0;
  for (std::filesystem::directory_iterator it("/proc/self/fd", error), end; it != end;
       it.increment(error)) {
    ++files;
  }
  if (files > 0) out.gauge("process_open_fds", "Open file handles.", files);
}

void write_engine(Writer& out, const engine::EngineStats& stats) {
  const auto number = [](std::int64_t value) { return static_cast<double>(value); };
  out.gauge("mistralcpp_requests_running", "Answers being written.", number(stats.running));
  out.gauge("mistralcpp_requests_waiting", "Answers that wait for their turn.",
            number(stats.waiting));
  out.gauge("mistralcpp_kv_cache_bytes", "Size of the KV cache.", number(stats.cache_bytes));
  out.gauge("mistralcpp_kv_cache_bytes_in_use", "Of that, in use.",
            number(stats.cache_bytes_in_use));
  out.gauge("mistralcpp_kv_blocks_in_use", "Blocks of the KV cache in use.",
            number(stats.blocks_in_use));
  out.gauge("mistralcpp_kv_blocks_kept", "Blocks kept for prompts that begin alike.",
            number(stats.blocks_kept));
  out.counter("mistralcpp_steps_total", "Steps of the model.", number(stats.steps));
  out.counter("mistralcpp_preemptions_total", "Answers that gave way for lack of memory.",
              number(stats.preemptions));
  out.counter("mistralcpp_requests_total", "Answers that were asked for.", number(stats.requests));
  out.counter("mistralcpp_prompt_tokens_total", "Tokens of prompts.", number(stats.prompt_tokens));
  out.counter("mistralcpp_cached_tokens_total", "Of those, found in the KV cache.",
              number(stats.cached_tokens));
  out.counter("mistralcpp_completion_tokens_total", "Tokens of answers.",
              number(stats.completion_tokens));
  out.counter("mistralcpp_drafted_tokens_total", "Tokens that were guessed.",
              number(stats.drafted_tokens));
  out.counter("mistralcpp_accepted_tokens_total", "Of those, right ones.",
              number(stats.accepted_tokens));
  out.head("mistralcpp_finished_total", "counter", "Answers by how they ended.");
  out.value("mistralcpp_finished_total", number(stats.finished_stop), "reason=\"stop\"");
  out.value("mistralcpp_finished_total", number(stats.finished_length), "reason=\"length\"");
  out.value("mistralcpp_finished_total", number(stats.finished_cancelled), "reason=\"canceled\"");
  out.value("mistralcpp_finished_total", number(stats.finished_error), "reason=\"error\"");
  out.histogram("mistralcpp_queue_seconds", "Time until an answer's first step.",
                stats.queue_seconds);
  out.histogram("mistralcpp_first_token_seconds", "Time until an answer's first token.",
                stats.first_token_seconds);
  out.histogram("mistralcpp_step_seconds", "Time that a step takes.", stats.step_seconds);
  out.histogram("mistralcpp_step_rows", "Tokens computed in a step.", stats.step_rows);
  out.histogram("mistralcpp_step_sequences", "Answers in a step.", stats.step_sequences);

  out.vllm("vllm:num_requests_running", "gauge", "Number of requests in model execution batches.",
           number(stats.running));
  out.vllm("vllm:num_requests_waiting", "gauge", "Number of requests waiting to be processed.",
           number(stats.waiting));
  const double usage =
      stats.cache_bytes > 0 ? number(stats.cache_bytes_in_use) / number(stats.cache_bytes) : 0;
  out.vllm("vllm:kv_cache_usage_perc", "gauge", "KV-cache usage. 1 means 100 percent usage.",
           usage);
  out.vllm("vllm:gpu_cache_usage_perc", "gauge", "KV-cache usage. 1 means 100 percent usage.",
           usage);
  out.vllm("vllm:num_preemptions_total", "counter", "Cumulative number of preemptions.",
           number(stats.preemptions));
  out.vllm("vllm:prompt_tokens_total", "counter", "Number of prefill tokens processed.",
           number(stats.prompt_tokens));
  out.vllm("vllm:generation_tokens_total", "counter", "Number of generation tokens processed.",
           number(stats.completion_tokens));
  out.vllm("vllm:prefix_cache_queries_total", "counter", "Prefix cache queries, in tokens.",
           number(stats.prompt_tokens));
  out.vllm("vllm:prefix_cache_hits_total", "counter", "Prefix cache hits, in tokens.",
           number(stats.cached_tokens));
  out.head("vllm:request_success_total", "counter", "Count of successfully processed requests.");
  const auto finished = [&](const char* reason, std::int64_t count) {
    out.value("vllm:request_success_total", number(count),
              fmt::format("finished_reason=\"{}\",{}", reason, out.labels()));
  };
  finished("stop", stats.finished_stop);
  finished("length", stats.finished_length);
  finished("abort", stats.finished_cancelled);
  out.histogram("vllm:time_to_first_token_seconds", "Time to first token.",
                stats.first_token_seconds, true);
  out.histogram("vllm:request_queue_time_seconds", "Time spent in the waiting phase.",
                stats.queue_seconds, true);
}

}  // namespace

void HttpMetrics::count(std::string_view route, std::string_view method, int status) {
  const std::lock_guard lock(mutex_);
  ++counted_.requests[{std::string(route), std::string(method), status}];
}

void HttpMetrics::add_generation(double seconds) {
  constexpr double kWeight = 0.1;
  const std::lock_guard lock(mutex_);
  counted_.generation_seconds.add(seconds);
  usual_seconds_ += (usual_seconds_ > 0 ? kWeight : 1.0) * (seconds - usual_seconds_);
}

double HttpMetrics::usual_seconds() const {
  const std::lock_guard lock(mutex_);
  return usual_seconds_;
}

HttpMetrics::Snapshot HttpMetrics::snapshot() const {
  const std::lock_guard lock(mutex_);
  return counted_;
}

std::string metrics_text(const HttpMetrics::Snapshot& http, const ServerState& state,
                         const engine::EngineStats* engine) {
  Writer out(state.model);
  out.gauge("mistralcpp_ready", "1 when requests are answered.", state.ready ? 1 : 0);
  out.gauge("mistralcpp_http_connections", "Connections that are open.",
            static_cast<double>(state.connections));
  out.counter("mistralcpp_refused_total", "Requests refused for lack of room (429).",
              static_cast<double>(state.refused));
  out.head("mistralcpp_http_requests_total", "counter", "Requests by route and status.");
  for (const auto& [key, count] : http.requests) {
    const auto& [route, method, status] = key;
    out.value("mistralcpp_http_requests_total", static_cast<double>(count),
              fmt::format("route=\"{}\",method=\"{}\",status=\"{}\"", label_text(route),
                          label_text(method), status));
  }
  out.histogram("mistralcpp_generation_seconds",
                "Time of a request for a chat or a completion, from its arrival to its end.",
                http.generation_seconds);
  if (engine != nullptr) {
    write_engine(out, *engine);
    out.histogram("vllm:e2e_request_latency_seconds", "End to end request latency.",
                  http.generation_seconds, true);
  }
  write_process(out);
  return out.take();
}

}  // namespace mistral::server
