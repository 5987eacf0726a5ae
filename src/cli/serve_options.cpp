#include "cli/serve_options.h"

#include <charconv>
#include <cstdlib>
#include <limits>

#include "core/error.h"

namespace mistral::cli {

namespace {

constexpr std::uint16_t kDefaultPort = 1234;
const std::string kServerGroup = "Server";
const std::string kOperationGroup = "Operation";
constexpr const char* kKeyVariable = "MISTRALCPP_API_KEY";

// KEEP_ALIVE_INTERVAL, in milliseconds; anything else than a number above zero does not count.
std::optional<int> keep_alive_interval() {
  const char* text = std::getenv("KEEP_ALIVE_INTERVAL");
  if (text == nullptr) return std::nullopt;
  const std::string_view view(text);
  int number = 0;
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), number);
  if (error != std::errc() || end != view.data() + view.size() || number < 1) return std::nullopt;
  return number;
}

}  // namespace

void ServeOptions::add_options(CLI::App& app) {
  const auto add = [&](const char* name, auto& value, const char* help, const char* type) {
    return app.add_option(name, value, help)->type_name(type)->group(kServerGroup);
  };
  add("--serve-ip", address_,
      "address to listen at (default: 127.0.0.1, this computer only; 0.0.0.0: all)", "IP");
  add("-p,--port", port_, "port to listen at (default: 1234; 0: one that is free)", "PORT");
  add("--max-seqs", max_sequences_, "answers written at once (default: 32)", "N")
      ->check(CLI::Range(1, 1 << 16));
  add("--max-queued", max_queued_,
      "requests that may wait besides; more are told to come back (default: 2048)", "N")
      ->check(CLI::Range(0, 1 << 20));
  add("--served-model-name", served_name_, "what clients call the model (default: as -m names it)",
      "NAME");
  add("-s,--seed", seed_, "makes answers repeatable: requests without a seed get one from it", "N");
  app.add_flag("--truncate-sequence", truncate_sequence_,
               "cut prompts that are too long, at their beginning, instead of refusing them")
      ->group(kServerGroup);
  app.add_flag("-i,--interactive-mode", interactive_, "chat in the terminal instead of serving")
      ->group(kServerGroup);
  add_operation(app);
}

void ServeOptions::add_operation(CLI::App& app) {
  const auto add = [&](const char* name, auto& value, const char* help, const char* type) {
    return app.add_option(name, value, help)->type_name(type)->group(kOperationGroup);
  };
  add("--api-key", api_keys_,
      "key that clients must send; may be given again. Also from the environment: "
      "MISTRALCPP_API_KEY=KEY,KEY",
      "KEY")
      ->allow_extra_args(false);
  add("--api-key-file", api_key_file_, "file with such keys, one a line", "FILE");
  add("--tls-cert", tls_certificate_, "serve HTTPS: certificate chain in PEM format", "FILE");
  add("--tls-key", tls_key_, "its key in PEM format", "FILE");
  add("--cors-origin", cors_origin_,
      "web pages that may use the server: an origin as https://example.com, * for all, none "
      "(default: *)",
      "ORIGIN");
  add("-l,--log", log_file_, "append all requests and answers to this file", "FILE");
  app.add_flag("--no-access-log", no_access_log_, "no line on standard error for each request")
      ->group(kOperationGroup);
  add("--log-format", log_format_, "form of the log (default: text)", "text|json")
      ->check(CLI::IsMember({"text", "json"}));
  app.add_flag("--throughput", throughput_, "log tokens per second")->group(kOperationGroup);
  add("--drain-seconds", drain_seconds_,
      "how long answers may take to end after SIGTERM or Ctrl-C (default: 30)", "N")
      ->check(CLI::Range(0, 86400));
}

server::HttpOptions ServeOptions::http_options() const {
  server::HttpOptions options;
  options.address = address_;
  options.port = port_.value_or(kDefaultPort);
  options.tls_certificate = tls_certificate_;
  options.tls_key = tls_key_;
  if (tls_certificate_.empty() != tls_key_.empty()) {
    throw Error(ErrorKind::kInvalidArgument, "--tls-cert and --tls-key go together");
  }
  if (const auto interval = keep_alive_interval()) {
    options.keep_alive = std::chrono::milliseconds(*interval);
  }
  return options;
}

server::ApiOptions ServeOptions::api_options() const {
  server::ApiOptions options;
  for (const std::string& key : api_keys_) options.keys.add(key);
  if (const char* keys = std::getenv(kKeyVariable)) options.keys.add_list(keys);
  if (!api_key_file_.empty()) options.keys.add_file(api_key_file_);
  if (cors_origin_ != "none") options.cors_origin = cors_origin_;
  if (cors_origin_ == "none") options.cors_origin.clear();
  for (const char c : options.cors_origin) {
    if (c <= ' ' || c >= 0x7f) {
      throw Error(ErrorKind::kInvalidArgument, "--cors-origin: expected an origin, * or none");
    }
  }
  options.access_log = !no_access_log_;
  options.log_format = log_format_ == "json" ? server::LogFormat::kJson : server::LogFormat::kText;
  options.log_file = log_file_;
  options.max_requests = max_sequences_ + max_queued_;
  options.max_sequences = max_sequences_;
  return options;
}

}  // namespace mistral::cli
