// Options of the server itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "server/api_server.h"
#include "server/http/http_server.h"

namespace mistral::cli {

class ServeOptions {
 public:
  void add_options(CLI::App& app);

  // Throw Error that names the option.
  [[nodiscard]] server::HttpOptions http_options() const;
  [[nodiscard]] server::ApiOptions api_options() const;
  [[nodiscard]] server::ServiceOptions service_options() const {
    return {.truncate_sequence = truncate_sequence_, .seed = seed_};
  }
  [[nodiscard]] std::int32_t max_sequences() const { return max_sequences_; }
  [[nodiscard]] const std::string& served_name() const { return served_name_; }
  [[nodiscard]] bool interactive() const { return interactive_; }
  [[nodiscard]] bool json_log() const { return log_format_ == "json"; }
  [[nodiscard]] bool throughput() const { return throughput_; }
  [[nodiscard]] int drain_seconds() const { return drain_seconds_; }

 private:
  void add_operation(CLI::App& app);

  std::string address_ = "127.0.0.1";
  std::optional<std::uint16_t> port_;
  std::optional<std::uint64_t> seed_;
  std::string log_file_;
  bool truncate_sequence_ = false;
  std::int32_t max_sequences_ = 32;
  std::int64_t max_queued_ = 2048;
  std::string served_name_;
  bool interactive_ = false;
  bool throughput_ = false;
  std::vector<std::string> api_keys_;
  std::string api_key_file_;
  std::string tls_certificate_;
  std::string tls_key_;
  std::string cors_origin_ = "*";
  bool no_access_log_ = false;
  std::string log_format_ = "text";
  int drain_seconds_ = 30;
};

}  // namespace mistral::cli
