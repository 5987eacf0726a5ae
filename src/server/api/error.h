// What a client did wrong, or we, as OpenAI's API tells it.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/json.h"
#include "server/http/message.h"

namespace mistral::server {

class ApiError final : public std::exception {
 public:
  // Status 400: a field is wrong. `param` names it; empty: no single one is.
  ApiError(std::string param, std::string message, std::string code = "invalid_value")
      : message_(std::move(message)), param_(std::move(param)), code_(std::move(code)) {}

  static ApiError of_status(int status, std::string type, std::string code, std::string message);

  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] const std::string& param() const { return param_; }
  [[nodiscard]] const std::string& code() const { return code_; }
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }
  ApiError& retry_after(int seconds) {
    retry_after_ = seconds;
    return *this;
  }

  // {"error": {message, type, param, code}, "message": …}: the outer message is for clients of
  // mistral.rs.
  [[nodiscard]] Json body() const;
  [[nodiscard]] HttpResponse response() const;

 private:
  int status_ = 400;
  std::string type_ = "invalid_request_error";
  std::string message_;
  std::string param_;
  std::string code_;
  int retry_after_ = 0;
};

// The same for an error from the rooms below. What is not the client's doing is logged with the
// request's id and told without its details.
[[nodiscard]] ApiError to_api_error(const Error& error, std::string_view request_id);
// For what a model's step ended with.
[[nodiscard]] ApiError model_failure(std::string_view details, std::string_view request_id);
// Calls `work`, which returns something or throws; what it throws becomes an ApiError.
[[nodiscard]] ApiError current_api_error(std::string_view request_id) noexcept;

// Text for the wire; what is not UTF-8 becomes U+FFFD.
[[nodiscard]] std::string dump(const Json& json);
[[nodiscard]] HttpResponse json_response(const Json& json, int status = 200);

}  // namespace mistral::server
