#include "server/operation/request_log.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "core/printable.h"

namespace mistral::server {
namespace {

std::string local_time() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto millis =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm local{};
  localtime_r(&seconds, &local);
  char text[64];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &local);
  char zone[16];
  std::strftime(zone, sizeof zone, "%z", &local);
  // As in the other lines of the log: +00:00.
  const std::string_view offset(zone);
  const std::size_t hours = std::min<std::size_t>(offset.size(), 3);
  return fmt::format("{}.{:03}{}:{}", text, millis, offset.substr(0, hours), offset.substr(hours));
}

class LoggedExchange final : public Exchange {
 public:
  LoggedExchange(std::unique_ptr<Exchange> exchange, RequestLog& log)
      : exchange_(std::move(exchange)), log_(log) {}

  void start(std::function<void()> wake) override { exchange_->start(std::move(wake)); }
  [[nodiscard]] Progress advance() override {
    Progress progress = exchange_->advance();
    if (progress.head && !progress.head->body.empty()) {
      log_.response(progress.head->status, progress.head->body);
    }
    std::string_view rest = progress.piece;
    constexpr std::string_view kBegin = "data: ";
    constexpr std::string_view kEnd = "\n\n";
    while (rest.starts_with(kBegin)) {
      const std::size_t end = std::min(rest.find(kEnd), rest.size());
      log_.response(200, rest.substr(kBegin.size(), end - kBegin.size()));
      rest.remove_prefix(std::min(end + kEnd.size(), rest.size()));
    }
    return progress;
  }
  [[nodiscard]] std::string_view keep_alive() const override { return exchange_->keep_alive(); }

 private:
  std::unique_ptr<Exchange> exchange_;
  RequestLog& log_;
};

}  // namespace

void write_access_line(std::string_view line) {
  std::string whole(line);
  whole += '\n';
  // One call: lines of several threads do not mix.
  (void)!::write(STDERR_FILENO, whole.data(), whole.size());
}

std::string access_line(const HttpRequest& request, const Served& served, LogFormat format) {
  if (format == LogFormat::kText) {
    return fmt::format("{} {} {} {} {} {} bytes {:.3f} s {}{}", local_time(), request.remote,
                       printable(request.method), printable(request.path), served.status,
                       served.bytes, served.seconds, request.id,
                       served.cut_off ? " (the client left)" : "");
  }
  Json line = Json::object();
  line["time"] = local_time();
  line["level"] = "info";
  line["event"] = "request";
  line["id"] = request.id;
  line["remote"] = request.remote;
  line["method"] = request.method;
  line["path"] = request.path;
  line["status"] = served.status;
  line["bytes"] = served.bytes;
  line["seconds"] = served.seconds;
  if (served.cut_off) line["client_left"] = true;
  return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

RequestLog::RequestLog(const std::filesystem::path& path) : file_(path, std::ios::app) {
  if (!file_) {
    throw make_error(ErrorKind::kInvalidArgument, "--log: '{}' cannot be opened for writing",
                     path.string());
  }
}

void RequestLog::write(std::string_view what, std::string_view text) {
  const std::lock_guard lock(mutex_);
  const bool was_fine = file_.good();
  file_ << what << " at " << local_time() << ": " << text << "\n\n" << std::flush;
  if (was_fine && !file_) log::error("--log: the file cannot be written any more");
}

std::unique_ptr<Exchange> logged(std::unique_ptr<Exchange> exchange, RequestLog& log) {
  return std::make_unique<LoggedExchange>(std::move(exchange), log);
}

}  // namespace mistral::server
