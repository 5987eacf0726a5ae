#include "server/api/error.h"

#include <new>

#include "core/log.h"

namespace mistral::server {
namespace {

constexpr const char* kInternal = "The server had an error while processing your request.";

// "temperature: it is -1, expected …" and "stop[2]: it is empty" are about a field.
std::string leading_field(std::string_view message) {
  const std::size_t end = message.find(':');
  if (end == std::string_view::npos || end == 0) return "";
  const std::string_view name = message.substr(0, end);
  for (const char c : name) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '[' ||
                      c == ']' || c == '.';
    if (!fits) return "";
  }
  return std::string(name);
}

ApiError internal(std::string_view details, std::string_view request_id) {
  log::error("request {}: {}", request_id, details);
  return ApiError::of_status(500, "server_error", "internal_error", kInternal);
}

}  // namespace

ApiError ApiError::of_status(int status, std::string type, std::string code, std::string message) {
  ApiError error("", std::move(message), std::move(code));
  error.status_ = status;
  error.type_ = std::move(type);
  return error;
}

Json ApiError::body() const {
  Json error = Json::object();
  error["message"] = message_;
  error["type"] = type_;
  error["param"] = param_.empty() ? Json(nullptr) : Json(param_);
  error["code"] = code_.empty() ? Json(nullptr) : Json(code_);
  Json body = Json::object();
  body["error"] = std::move(error);
  body["message"] = message_;
  return body;
}

HttpResponse ApiError::response() const {
  HttpResponse response = json_response(body(), status_);
  if (retry_after_ > 0) response.headers.emplace_back("Retry-After", std::to_string(retry_after_));
  if (status_ == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

ApiError to_api_error(const Error& error, std::string_view request_id) {
  switch (error.kind()) {
    case ErrorKind::kInvalidArgument: {
      const std::string field = leading_field(error.what());
      const bool too_long = field == "prompt" && std::string_view(error.what()).find(" holds ") !=
                                                     std::string_view::npos;
      return {field, error.what(), too_long ? "context_length_exceeded" : "invalid_value"};
    }
    case ErrorKind::kUnsupported:
      return {leading_field(error.what()), error.what(), "unsupported_value"};
    case ErrorKind::kResource:
      return ApiError::of_status(429, "rate_limit_error", "server_overloaded", error.what())
          .retry_after(1);
    default:
      return internal(error.what(), request_id);
  }
}

ApiError model_failure(std::string_view details, std::string_view request_id) {
  return internal(details, request_id);
}

ApiError current_api_error(std::string_view request_id) noexcept {
  try {
    throw;
  } catch (const ApiError& error) {
    return error;
  } catch (const Error& error) {
    return to_api_error(error, request_id);
  } catch (const std::bad_alloc&) {
    return ApiError::of_status(503, "server_error", "out_of_memory",
                               "The server has no memory left for this request.")
        .retry_after(1);
  } catch (const std::exception& error) {
    return internal(error.what(), request_id);
  } catch (...) {
    return internal("unknown error", request_id);
  }
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

HttpResponse json_response(const Json& json, int status) {
  return {.status = status, .content_type = "application/json", .body = dump(json)};
}

}  // namespace mistral::server
