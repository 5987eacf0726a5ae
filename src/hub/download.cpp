#include "hub/download.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "core/printable.h"
#include "hub/digest.h"
#include "hub/partial_file.h"

namespace mistral::hub {
namespace {

// An attempt that brought at least this much shows that the connection works: the count of attempts
// begins anew.
constexpr std::uint64_t kProgressBytes = 1U << 20U;
constexpr int kMaxRefreshes = 3;  // of an address that expired, for one piece

// "bytes 0-99/100"
bool is_range(std::string_view text, const ByteRange& range, std::uint64_t size) {
  return text == fmt::format("bytes {}-{}/{}", range.begin, range.end - 1, size);
}

// The threads that fetch the pieces of one file.
class PieceFetcher {
 public:
  PieceFetcher(const HubClient& hub, const std::string& repository, const FileInfo& file,
               PartialFile& partial, const DownloadOptions& options)
      : hub_(hub),
        repository_(repository),
        file_(file),
        partial_(partial),
        options_(options),
        location_(file.location) {
    // The others stop when one has failed.
    const auto cancelled = options_.http.cancelled;
    options_.http.cancelled = [this, cancelled] {
      return stop_.load() || (cancelled && cancelled());
    };
  }

  // Throws the first error of a thread.
  DownloadEnd run() {
    std::size_t open = 0;
    for (std::size_t piece = 0; piece < partial_.pieces(); ++piece) {
      const ByteRange range = partial_.missing(piece);
      open += range.begin < range.end ? 1 : 0;
    }
    const std::size_t most = static_cast<std::size_t>(std::max(options_.connections, 1));
    const std::size_t count = std::max<std::size_t>(std::min(open, most), 1);
    std::vector<std::thread> threads;
    try {
      for (std::size_t i = 1; i < count; ++i) threads.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      // Those that are there do the work.
    }
    work();
    for (std::thread& thread : threads) thread.join();
    if (without_ranges_ && !error_) fetch_whole();
    if (error_) std::rethrow_exception(error_);
    return changed_ ? DownloadEnd::kChanged : DownloadEnd::kDone;
  }

 private:
  void work() noexcept {
    try {
      HttpClient http(options_.http);
      for (std::size_t piece = next_++; piece < partial_.pieces() && !stop_; piece = next_++) {
        fetch(http, piece);
      }
    } catch (...) {
      fail(std::current_exception());
    }
  }

  // Of a server that answers a request for a part with the whole.
  void fetch_whole() noexcept {
    try {
      stop_ = false;
      if (options_.on_bytes) options_.on_bytes(-static_cast<std::int64_t>(partial_.received()));
      partial_.restart();
      HttpClient http(options_.http);
      fetch(http, std::nullopt);
    } catch (...) {
      fail(std::current_exception());
    }
  }

  void fail(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    // Cancelled because another thread failed: that one's error is the reason.
    if (!error_ && !(stop_ && (changed_ || without_ranges_))) error_ = std::move(error);
    stop_ = true;
  }

  [[nodiscard]] ByteRange missing(std::optional<std::size_t> piece) const {
    return piece ? partial_.missing(*piece) : ByteRange{partial_.received(), partial_.size()};
  }

  void fetch(HttpClient& http, std::optional<std::size_t> piece) {
    int attempt = 1;
    int refreshes = 0;
    while (true) {
      const ByteRange range = missing(piece);
      if (range.begin >= range.end || stop_) return;
      const bool whole = range.begin == 0 && range.end == partial_.size();
      if (!piece && !whole) {
        // It cannot go on in the middle.
        if (options_.on_bytes) options_.on_bytes(-static_cast<std::int64_t>(partial_.received()));
        partial_.restart();
        continue;
      }
      const HubClient::Answer answer = ask(http, range, whole, piece);
      const HttpResponse& response = answer.response;
      if (stop_) return;
      const std::uint64_t brought = missing(piece).begin - range.begin;
      if (response.failure == HttpFailure::kStopped) {
        if (refresh_location(http)) return;
        throw make_error(ErrorKind::kResource, "{}: {} sent another part than it was asked for",
                         name(), answer.url.printable());
      }
      if (response.ok() && missing(piece).begin >= range.end) return;
      if (brought >= kProgressBytes) attempt = 1;
      const bool expired = response.failure == HttpFailure::kNone && response.status >= 400 &&
                           response.status < 500 && response.status != 408 &&
                           response.status != 429;
      if (expired) {
        if (++refreshes > kMaxRefreshes) throw_status(answer);
        if (refresh_location(http)) return;
        continue;
      }
      HttpResponse reason = response;
      if (reason.ok()) {
        reason.failure = HttpFailure::kBroken;
        reason.failure_text = "the transfer ended too early";
      }
      if (!hub_.wait_to_retry(reason, attempt++, hub_.retry(), [this] { return stop_.load(); })) {
        if (stop_) return;
        throw_status({reason, answer.url});
      }
    }
  }

  HubClient::Answer ask(HttpClient& http, const ByteRange& range, bool whole,
                        std::optional<std::size_t> piece) {
    HttpRequest request;
    {
      const std::lock_guard lock(mutex_);
      request.url = location_;
    }
    if (!whole) request.range = range;
    request.sink = [&](const HttpResponse& head, std::span<const std::byte> data) {
      if (stop_) return false;
      if (!whole && head.status == 200) {
        without_ranges_ = true;
        stop_ = true;
        return false;
      }
      if (!whole && !is_range(head.header("content-range"), range, partial_.size())) return false;
      return take(data, piece);
    };
    return hub_.send(http, request, HubClient::Foreign::kFollow);
  }

  // False when more arrives than was asked for.
  bool take(std::span<const std::byte> data, std::optional<std::size_t> piece) {
    std::span<const std::byte> rest = data;
    while (!rest.empty()) {
      const std::size_t target = piece ? *piece : first_open_piece();
      if (target == partial_.pieces()) return false;
      const ByteRange place = partial_.missing(target);
      const std::size_t count =
          static_cast<std::size_t>(std::min<std::uint64_t>(rest.size(), place.end - place.begin));
      if (count == 0) return false;
      partial_.append(target, rest.first(count));
      rest = rest.subspan(count);
    }
    if (options_.on_bytes) options_.on_bytes(static_cast<std::int64_t>(data.size()));
    return true;
  }

  [[nodiscard]] std::size_t first_open_piece() const {
    std::size_t piece = 0;
    while (piece < partial_.pieces()) {
      const ByteRange range = partial_.missing(piece);
      if (range.begin < range.end) break;
      ++piece;
    }
    return piece;
  }

  // Addresses of a storage host are signed for a while. True when the content is another one now.
  bool refresh_location(HttpClient& http) {
    auto answer = hub_.file(http, repository_, file_.commit, file_.name);
    if (const auto* failure = std::get_if<Failure>(&answer)) {
      throw Error(ErrorKind::kResource, failure->message);
    }
    const FileInfo& info = std::get<FileInfo>(answer);
    const std::lock_guard lock(mutex_);
    if (info.etag != file_.etag || info.size != file_.size) {
      changed_ = true;
      stop_ = true;
      return true;
    }
    location_ = info.location;
    return false;
  }

  [[noreturn]] void throw_status(const HubClient::Answer& answer) const {
    const HttpResponse& response = answer.response;
    hub_.throw_if_cancelled();
    throw make_error(ErrorKind::kResource,
                     "{}: the download from {} failed: {}; what was downloaded is kept and the "
                     "next run goes on from there",
                     name(), answer.url.printable(),
                     response.failure == HttpFailure::kNone
                         ? fmt::format("HTTP {}", response.status)
                         : response.failure_text);
  }

  [[nodiscard]] std::string name() const { return repository_ + "/" + file_.name; }

  const HubClient& hub_;
  const std::string& repository_;
  const FileInfo& file_;
  PartialFile& partial_;
  DownloadOptions options_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> stop_{false};
  std::atomic<bool> changed_{false};
  std::atomic<bool> without_ranges_{false};
  std::mutex mutex_;  // location_, error_
  Url location_;
  std::exception_ptr error_;
};

// The checksum that was found, when it is not the one that the etag says.
std::optional<std::string> wrong_digest(const FileInfo& file, const PartialFile& partial,
                                        const std::function<bool()>& cancelled) {
  const auto kind = digest_kind(file.etag);
  if (!kind) {
    log::debug("{}: its etag {} is no checksum; only the size is checked", file.name, file.etag);
    return std::nullopt;
  }
  std::string found = file_digest(partial.path(), *kind, cancelled);
  if (found == file.etag) return std::nullopt;
  return found;
}

bool has_changed(const HubClient& hub, const std::string& repository, const FileInfo& file,
                 const DownloadOptions& options) {
  HttpClient http(options.http);
  const auto now = hub.file(http, repository, file.commit, file.name);
  const auto* info = std::get_if<FileInfo>(&now);
  return info != nullptr && info->etag != file.etag;
}

}  // namespace

DownloadEnd download(const HubClient& hub, const std::string& repository, const FileInfo& file,
                     const std::filesystem::path& blob, const DownloadOptions& options) {
  PartialFile partial(blob, file.size, options.piece_bytes);
  if (options.on_bytes) options.on_bytes(static_cast<std::int64_t>(partial.received()));
  const bool resumed = partial.resumed();
  const auto give_up = [&] {
    if (options.on_bytes) options.on_bytes(-static_cast<std::int64_t>(partial.received()));
    partial.discard();
    return DownloadEnd::kChanged;
  };
  for (bool again = resumed;; again = false) {
    if (partial.received() < partial.size()) {
      PieceFetcher fetcher(hub, repository, file, partial, options);
      if (fetcher.run() == DownloadEnd::kChanged) return give_up();
    }
    const auto found = wrong_digest(file, partial, options.http.cancelled);
    if (!found) {
      partial.finish();
      return DownloadEnd::kDone;
    }
    if (has_changed(hub, repository, file, options)) return give_up();
    if (!again) {
      partial.discard();
      throw make_error(
          ErrorKind::kInvalidFile,
          "{}/{}: the checksum differs: expected {}, found {}; the downloaded file was "
          "deleted",
          repository, file.name, file.etag, *found);
    }
    // The part of an earlier run may be at fault.
    log::warn("{}/{}: the checksum of the resumed download differs; fetching all of it again",
              repository, file.name);
    if (options.on_bytes) options.on_bytes(-static_cast<std::int64_t>(partial.received()));
    partial.restart();
  }
}

}  // namespace mistral::hub
