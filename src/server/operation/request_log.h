// What is written about requests: a line for each on standard error, and, where asked for, their
// whole text in a file.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "server/http/message.h"

namespace mistral::server {

enum class LogFormat { kText, kJson };

// Writes a line to standard error as it is, between those of the log. Thread safe.
void write_access_line(std::string_view line);
// "127.0.0.1:5000 POST /v1/completions 200 1234 bytes 0.532 s req-…", or the same as JSON.
[[nodiscard]] std::string access_line(const HttpRequest& request, const Served& served,
                                      LogFormat format);

// Appends "Request at TIME: TEXT", "Response at …", "Error response at …", each with an empty line
// behind it. Thread safe.
class RequestLog {
 public:
  // Throws Error: the file cannot be opened for appending.
  explicit RequestLog(const std::filesystem::path& path);

  void request(std::string_view text) { write("Request", text); }
  void response(int status, std::string_view text) {
    write(status < 400 ? "Response" : "Error response", text);
  }

 private:
  void write(std::string_view what, std::string_view text);

  std::mutex mutex_;
  std::ofstream file_;
};

// Hands `exchange` on and writes what it says into the log, which must outlive it.
[[nodiscard]] std::unique_ptr<Exchange> logged(std::unique_ptr<Exchange> exchange, RequestLog& log);

}  // namespace mistral::server
