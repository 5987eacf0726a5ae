// `serve`: an HTTP server with OpenAI's API.
#include <algorithm>
#include <chrono>
#include <memory>

#include <fmt/format.h>
#include <sys/resource.h>

#include "cli/chat_options.h"
#include "cli/command.h"
#include "cli/interactive.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/serve_options.h"
#include "cli/session.h"
#include "cli/shutdown_signals.h"
#include "core/error.h"
#include "core/log.h"
#include "core/log_format.h"

namespace mistral::cli {

namespace {

constexpr int kExitInterrupted = 130;

// Each connection is a file; systems give a program few of them at first.
void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

class ServeCommand final : public Command {
 public:
  void add_options(CLI::App& app) override {
    selector_.add_options(app);
    selector_.add_draft_options(app);
    serve_.add_options(app);
    source_.add_options(app);
    runtime_.add_options(app);
    add_context_option(app, context_, "longest prompt and answer (default: the model's)");
  }

  int execute() override {
    if (serve_.json_log()) log::use_json();
    if (serve_.interactive()) return chat();
    raise_file_limit();
    server::ApiServer api(serve_.api_options(runtime_.engine_options().max_sequences));
    // The port is taken before the model is loaded, which may take long.
    auto http = std::make_unique<server::HttpServer>(serve_.http_options(), api);
    server::HttpServer* const connections = http.get();
    api.count_connections([connections] { return connections->connections(); });
    log::info("listening at {}, loading the model", http->url());

    const std::unique_ptr<Session> session = load();
    const std::string id = serve_.served_name().empty() ? selector_.id() : serve_.served_name();
    const server::Service service(
        {.loaded = session->model(),
         .engine = session->engine(),
         .id = id,
         .created = server::unix_seconds()},
        {.truncate_sequence = runtime_.truncates(), .seed = serve_.seed()});
    ShutdownSignals signals;
    api.open(service);
    log::info("Serving on {}.", http->url());
    const int code = wait(signals, api, *http);
    http.reset();  // before what it uses
    return code;
  }

 private:
  // Answers by far more than requests: a request may ask for many. Each one that ends is looked for
  // among those that wait, so not without bound.
  static constexpr std::int32_t kMaxQueuedAnswers = 1 << 16;

  [[nodiscard]] std::unique_ptr<Session> load() {
    const models::ModelPath path = selector_.locate();
    runtime_.take_over(selector_);
    engine::EngineOptions options = runtime_.engine_options();
    options.max_queued = kMaxQueuedAnswers;
    options.truncate_prompts = false;  // what the service does, request by request
    // The chat tells the speed of each answer behind it; these lines would break into the text.
    if (serve_.interactive()) options.log_throughput = false;
    return std::make_unique<Session>(path, runtime_, context_, std::move(options),
                                     source_.resolve(selector_.text_options()), selector_.draft());
  }

  int chat() {
    const std::unique_ptr<Session> session = load();
    (void)session->tokenizer();
    return run_interactive(*session, runtime_.throughput());
  }

  int wait(ShutdownSignals& signals, server::ApiServer& api, server::HttpServer& http) {
    while (!signals.wait(std::chrono::hours(1))) {
    }
    log::info("shutting down: answers on their way have {} s to end; a second signal ends them",
              serve_.drain_seconds());
    api.drain();
    http.drain();
    const auto until =
        std::chrono::steady_clock::now() + std::chrono::seconds(serve_.drain_seconds());
    while (!http.wait_idle(std::chrono::milliseconds(20))) {
      if (signals.wait(std::chrono::milliseconds(0))) {
        log::warn("a second signal: {} connections are cut", http.connections());
        return kExitInterrupted;
      }
      if (std::chrono::steady_clock::now() >= until) {
        log::warn("{} connections are cut: their answers did not end in time", http.connections());
        break;
      }
    }
    log::info("done");
    return 0;
  }

  ModelSelector selector_;
  TextSourceOptions source_;
  RuntimeOptions runtime_;
  ServeOptions serve_;
  std::int64_t context_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_serve() {
  return std::make_unique<ServeCommand>();
}

}  // namespace mistral::cli
