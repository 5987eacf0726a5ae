#include "hub/hub.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <exception>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/log.h"
#include "core/printable.h"
#include "hub/cache.h"
#include "hub/file_handle.h"

namespace mistral::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxIndexBytes = 100'000'000;
constexpr int kMaxIndexDepth = 32;
constexpr int kMaxChanges = 3;  // of a file while it is being downloaded

// The names of the files that an index names, each once.
std::vector<std::string> parse_index(const fs::path& path) {
  const FileHandle file = FileHandle::open(path, O_RDONLY);
  if (file.size() > kMaxIndexBytes) {
    throw make_error(ErrorKind::kInvalidFile, "{}: {} bytes; expected at most {}", path.string(),
                     file.size(), kMaxIndexBytes);
  }
  std::string text(static_cast<std::size_t>(file.size()), '\0');
  text.resize(file.read_at(0, std::as_writable_bytes(std::span(text))));
  bool too_deep = false;
  // An index has no lists that matter, and a list of numbers takes many times its text.
  const auto limit_depth = [&too_deep](int depth, nlohmann::json::parse_event_t event,
                                       nlohmann::json&) {
    too_deep = too_deep || depth > kMaxIndexDepth;
    return !too_deep && event != nlohmann::json::parse_event_t::array_start;
  };
  const nlohmann::json index = nlohmann::json::parse(text, limit_depth, false);
  const auto map = !too_deep && index.is_object() ? index.find("weight_map") : index.end();
  if (too_deep || !index.is_object() || map == index.end() || !map->is_object()) {
    throw make_error(ErrorKind::kInvalidFile,
                     "{}: expected an object 'weight_map' from tensor names to file names",
                     path.string());
  }
  std::set<std::string> names;
  for (const auto& [tensor, value] : map->items()) {
    if (!value.is_string() || !is_safe_file_name(value.get_ref<const std::string&>())) {
      throw make_error(ErrorKind::kInvalidFile,
                       "{}: weight_map names no file of the repository for tensor {}",
                       path.string(), printable(tensor));
    }
    names.insert(value.get<std::string>());
  }
  return {names.begin(), names.end()};
}

std::optional<std::chrono::seconds> seconds_of(const Environment& environment, const char* name) {
  const auto text = environment(name);
  if (!text) return std::nullopt;
  int value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || end != text->data() + text->size() || value < 1) return std::nullopt;
  return std::chrono::seconds(value);
}

}  // namespace

HubOptions options_from_environment() {
  HubOptions options;
  options.settings = settings_from(options.environment);
  HttpOptions& http = options.download.http;
  if (const auto limit = seconds_of(options.environment, "HF_HUB_ETAG_TIMEOUT")) {
    http.metadata_timeout = *limit;
    http.connect_timeout = std::min<std::chrono::milliseconds>(http.connect_timeout, *limit);
  }
  if (const auto limit = seconds_of(options.environment, "HF_HUB_DOWNLOAD_TIMEOUT")) {
    http.stall_timeout = *limit;
  }
  return options;
}

// One call of fetch().
class Hub::Fetch {
 public:
  Fetch(const HubOptions& options, const HubClient& client, const FetchRequest& request)
      : options_(options),
        client_(client),
        request_(request),
        cache_(options.settings.cache, request.id) {
    request_.wanted.quant = request.id.quant;
  }

  LocalModel run() {
    if (!is_revision(request_.revision)) {
      throw make_error(ErrorKind::kInvalidArgument,
                       "{} is no revision; expected a branch, a tag or a commit",
                       printable(request_.revision));
    }
    const auto cached = cache_.commit_of(request_.revision);
    if (cached && is_commit(request_.revision)) {
      if (auto local = from_cache(*cached, Certainty::kComplete)) return *std::move(local);
    }
    if (options_.settings.offline) {
      if (cached) {
        if (auto local = from_cache(*cached, Certainty::kEnough)) return *std::move(local);
      }
      throw not_cached(ErrorKind::kNotFound,
                       "HF_HUB_OFFLINE forbids fetching it; expected a "
                       "cached model, or HF_HUB_OFFLINE=0");
    }
    // What can be used without the hub is not worth long waits for it.
    const auto fallback = cached ? from_cache(*cached, Certainty::kEnough) : std::nullopt;
    HttpClient http(options_.download.http);
    RetryPolicy retry = client_.retry();
    if (fallback) retry.attempts = std::min(retry.attempts, 2);
    auto answer = client_.repository(http, request_.id.repository, request_.revision, retry);
    if (const auto* failure = std::get_if<Failure>(&answer)) {
      if (!fallback || failure->kind == Failure::Kind::kNoRevision) throw error_of(*failure);
      log::warn("{}; using {} as it was last fetched", failure->message, request_.id.repository);
      return *fallback;
    }
    return download_missing(http, std::get<RepositoryInfo>(answer));
  }

 private:
  // kComplete: nothing that would be taken can be missing. kEnough: the weights are there.
  enum class Certainty { kComplete, kEnough };

  [[nodiscard]] LocalModel local(const std::string& commit, const Selection& selection) const {
    const fs::path folder = cache_.snapshot(commit);
    return {folder, selection.gguf.empty() ? folder : folder / selection.gguf, commit};
  }

  [[nodiscard]] std::optional<LocalModel> from_cache(const std::string& commit,
                                                     Certainty certainty) const {
    const std::vector<std::string> names = cache_.files(commit);
    if (names.empty()) return std::nullopt;
    try {
      const Selection selection = select_files(
          names, request_.wanted,
          [&](const std::string& index) { return parse_index(cache_.snapshot(commit) / index); });
      if (selection.files.empty()) return std::nullopt;
      const bool all_known = std::ranges::all_of(selection.absent, [&](const std::string& name) {
        return cache_.is_known_absent(commit, name);
      });
      // Which of several GGUF models is meant is known only by the listing.
      const bool one_of_many = !selection.gguf.empty() && request_.wanted.quant.empty();
      if (certainty == Certainty::kComplete && (!all_known || one_of_many)) return std::nullopt;
      return local(commit, selection);
    } catch (const Error& error) {
      log::debug("{} in the cache: {}", request_.id.repository, error.what());
      return std::nullopt;
    }
  }

  [[nodiscard]] Error not_cached(ErrorKind kind, const std::string& reason) const {
    return make_error(kind, "{} at revision '{}' is not in the cache {} (or not all of it), and {}",
                      request_.id.repository, request_.revision, options_.settings.cache.string(),
                      reason);
  }

  [[nodiscard]] Error error_of(const Failure& failure) const {
    switch (failure.kind) {
      case Failure::Kind::kUnreachable:
      case Failure::Kind::kProtocol:
        return not_cached(ErrorKind::kResource, failure.message);
      case Failure::Kind::kRefused:
      case Failure::Kind::kNoRepository:
      case Failure::Kind::kNoRevision:
      case Failure::Kind::kNoFile:
        break;
    }
    return Error(ErrorKind::kNotFound, failure.message);
  }

  LocalModel download_missing(HttpClient& http, const RepositoryInfo& info) {
    Selection selection;
    try {
      selection = select_files(info.files, request_.wanted, [&](const std::string& index) {
        fetch_all(http, info.commit, {index});
        return parse_index(cache_.snapshot(info.commit) / index);
      });
    } catch (Error& error) {
      if (error.kind() == ErrorKind::kNotFound || error.kind() == ErrorKind::kInvalidArgument) {
        error.add_context(
            fmt::format("{} at revision '{}'", request_.id.repository, request_.revision));
      }
      throw;
    }
    fetch_all(http, info.commit, selection.files);
    try {
      for (const std::string& name : selection.absent) cache_.mark_absent(info.commit, name);
      cache_.write_ref(request_.revision, info.commit);
    } catch (const Error& error) {
      // All is there; a cache that cannot be written (any more) only makes the next run ask again.
      log::debug("{}", error.what());
    }
    return local(info.commit, selection);
  }

  // Small files side by side, then large ones one after the other in pieces side by side: there are
  // never more connections than the options say.
  void fetch_all(HttpClient& http, const std::string& commit,
                 const std::vector<std::string>& names) {
    std::vector<std::string> missing;
    std::ranges::copy_if(names, std::back_inserter(missing),
                         [&](const std::string& name) { return !cache_.has(commit, name); });
    if (missing.empty()) return;
    cache_.prepare();
    std::vector<FileInfo> files = describe(commit, missing);
    std::uint64_t total = 0;
    for (const FileInfo& file : files) total += file.size;
    {
      const std::lock_guard lock(mutex_);
      done_ = 0;
      total_ = total;
    }
    const auto large = std::stable_partition(
        files.begin(), files.end(),
        [this](const FileInfo& file) { return file.size <= options_.download.piece_bytes; });
    DownloadOptions one_connection = download_options();
    one_connection.connections = 1;
    in_parallel(static_cast<std::size_t>(large - files.begin()),
                [&](HttpClient& own, std::size_t i) { fetch_file(own, files[i], one_connection); });
    for (auto file = large; file != files.end(); ++file) {
      fetch_file(http, *file, download_options());
    }
  }

  std::vector<FileInfo> describe(const std::string& commit, const std::vector<std::string>& names) {
    std::vector<FileInfo> files(names.size());
    in_parallel(names.size(),
                [&](HttpClient& http, std::size_t i) { files[i] = ask(http, commit, names[i]); });
    return files;
  }

  FileInfo ask(HttpClient& http, const std::string& commit, const std::string& name) const {
    auto answer = client_.file(http, request_.id.repository, commit, name);
    if (const auto* failure = std::get_if<Failure>(&answer)) throw error_of(*failure);
    return std::get<FileInfo>(std::move(answer));
  }

  // Runs `work` for 0 to count - 1 on a few threads, each with a connection of its own; throws the
  // first error.
  template <typename Work>
  void in_parallel(std::size_t count, const Work& work) {
    std::atomic<std::size_t> next{0};
    std::atomic<bool> stop{false};
    std::mutex mutex;
    std::exception_ptr error;
    HttpOptions http_options = options_.download.http;
    http_options.cancelled = [&] { return stop || (options_.cancelled && options_.cancelled()); };
    const auto loop = [&]() noexcept {
      try {
        HttpClient http(http_options);
        for (std::size_t i = next++; i < count && !stop; i = next++) work(http, i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
        stop = true;
      }
    };
    const std::size_t most = static_cast<std::size_t>(std::max(options_.download.connections, 1));
    std::vector<std::thread> threads;
    try {
      for (std::size_t i = 1; i < std::min(count, most); ++i) threads.emplace_back(loop);
    } catch (const std::system_error&) {
      // Those that are there do the work.
    }
    loop();
    for (std::thread& thread : threads) thread.join();
    if (error) std::rethrow_exception(error);
  }

  void fetch_file(HttpClient& http, FileInfo file, const DownloadOptions& options) {
    for (int change = 0; change < kMaxChanges; ++change) {
      if (fetch_blob(file, options) == DownloadEnd::kDone) {
        cache_.link(file.commit, file.name, file.etag);
        return;
      }
      log::warn("{}/{} changed while it was being downloaded; beginning again",
                request_.id.repository, file.name);
      file = ask(http, file.commit, file.name);
    }
    throw make_error(ErrorKind::kResource, "{}/{} changes again and again while it is downloaded",
                     request_.id.repository, file.name);
  }

  DownloadEnd fetch_blob(const FileInfo& file, const DownloadOptions& options) {
    const fs::path blob = cache_.blob(file.etag);
    const FileLock lock = FileLock::acquire(cache_.lock(file.etag), options_.cancelled, [&] {
      log::info("{}/{} is being downloaded by another process; waiting for it",
                request_.id.repository, file.name);
    });
    std::error_code error;
    const std::uint64_t size = fs::file_size(blob, error);
    if (!error && size == file.size) {
      options.on_bytes(static_cast<std::int64_t>(size));
      return DownloadEnd::kDone;
    }
    if (!error) {
      log::warn("{}: {} bytes, but the file has {}; fetching it again", blob.string(), size,
                file.size);
      fs::remove(blob, error);
    }
    return download(client_, request_.id.repository, file, blob, options);
  }

  DownloadOptions download_options() {
    DownloadOptions options = options_.download;
    options.http.cancelled = options_.cancelled;
    options.on_bytes = [this](std::int64_t bytes) {
      const std::lock_guard lock(mutex_);
      done_ += static_cast<std::uint64_t>(bytes);  // wraps back for negative numbers
      if (options_.on_progress) options_.on_progress(std::min(done_, total_), total_);
    };
    return options;
  }

  const HubOptions& options_;
  const HubClient& client_;
  FetchRequest request_;
  RepositoryCache cache_;
  std::mutex mutex_;  // done_, total_, on_progress
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

Hub::Hub(HubOptions options) : options_(std::move(options)) {
  options_.download.http.certificates = options_.settings.certificates;
  options_.download.http.cancelled = options_.cancelled;
  std::optional<std::string> token;
  if (!options_.settings.offline) {
    token = options_.token_source.read(options_.settings, options_.environment);
  }
  client_ = std::make_unique<HubClient>(options_.settings, std::move(token),
                                        options_.token_source.describe(options_.settings),
                                        options_.retry, options_.cancelled);
}

Hub::~Hub() = default;

LocalModel Hub::fetch(const FetchRequest& request) {
  return Fetch(options_, *client_, request).run();
}

}  // namespace mistral::hub
