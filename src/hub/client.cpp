#include "hub/client.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <map>
#include <random>
#include <thread>
#include <utility>

#include <curl/curl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/log.h"
#include "core/printable.h"
#include "hub/names.h"

namespace mistral::hub {
namespace {

constexpr int kMaxRedirects = 10;
constexpr int kMaxUnreachable = 3;  // attempts; who has no network should not wait long to hear it
constexpr std::size_t kMaxListingBytes = std::size_t{64} << 20U;
constexpr int kMaxListingDepth = 64;
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 50U;
constexpr auto kSleepPiece = std::chrono::milliseconds(20);

bool may_pass(const HttpResponse& response) {
  switch (response.failure) {
    case HttpFailure::kUnreachable:
    case HttpFailure::kBroken:
      return true;
    case HttpFailure::kNone:
      break;
    default:
      return false;
  }
  return response.status == 408 || response.status == 429 || response.status >= 500;
}

// Seconds, or a date.
std::optional<std::chrono::milliseconds> asked_wait(const HttpResponse& response) {
  const std::string text(response.header("retry-after"));
  if (text.empty()) return std::nullopt;
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc{} || end != text.data() + text.size()) {
    const std::time_t date = curl_getdate(text.c_str(), nullptr);
    if (date < 0) return std::nullopt;
    seconds = static_cast<std::int64_t>(date - std::time(nullptr));
  }
  constexpr std::int64_t kYear = 366 * 24 * 3600;
  return std::chrono::seconds(std::clamp<std::int64_t>(seconds, 0, kYear));
}

std::optional<std::uint64_t> as_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The listing, or what is wrong with it.
std::variant<RepositoryInfo, std::string> parse_listing(const std::string& body) {
  bool too_deep = false;
  const auto limit_depth = [&too_deep](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    too_deep = too_deep || depth > kMaxListingDepth;
    return !too_deep;
  };
  const nlohmann::json json = nlohmann::json::parse(body, limit_depth, false);
  if (too_deep || !json.is_object()) return "it is not a JSON object";
  const auto sha = json.find("sha");
  if (sha == json.end() || !sha->is_string() || !is_commit(sha->get_ref<const std::string&>())) {
    return "it has no commit under the key 'sha'";
  }
  const auto siblings = json.find("siblings");
  if (siblings == json.end() || !siblings->is_array()) {
    return "it has no list of files under the key 'siblings'";
  }
  RepositoryInfo info;
  info.commit = sha->get<std::string>();
  for (const nlohmann::json& sibling : *siblings) {
    const auto name = sibling.is_object() ? sibling.find("rfilename") : sibling.end();
    if (!sibling.is_object() || name == sibling.end() || !name->is_string()) {
      return "an entry of 'siblings' has no name under the key 'rfilename'";
    }
    const auto& text = name->get_ref<const std::string&>();
    if (is_safe_file_name(text)) {
      info.files.push_back(text);
    } else {
      log::warn("the listing of the repository names {}, which could leave its folder; left out",
                printable(text));
    }
  }
  std::sort(info.files.begin(), info.files.end());
  info.files.erase(std::unique(info.files.begin(), info.files.end()), info.files.end());
  return info;
}

}  // namespace

std::chrono::milliseconds RetryPolicy::wait_before(int attempt) const {
  auto wait = first_wait;
  for (int i = 1; i < attempt && wait < longest_wait; ++i) wait *= 2;
  return std::min(wait, longest_wait);
}

HubClient::HubClient(Settings settings, std::optional<std::string> token, std::string token_origin,
                     RetryPolicy retry, std::function<bool()> cancelled)
    : settings_(std::move(settings)),
      token_(std::move(token)),
      token_origin_(std::move(token_origin)),
      retry_(retry),
      cancelled_(std::move(cancelled)) {
  const auto endpoint = Url::parse(settings_.endpoint);
  if (!endpoint) {
    throw make_error(ErrorKind::kInvalidArgument, "{} is not the URL of a hub",
                     printable(settings_.endpoint));
  }
  endpoint_ = *endpoint;
  if (token_ && endpoint_.scheme == "http" && !endpoint_.is_loopback()) {
    log::warn("HF_ENDPOINT is not https: the token can be read on its way");
  }
}

void HubClient::throw_if_cancelled() const {
  if (cancelled_ && cancelled_()) {
    throw Error(ErrorKind::kCancelled,
                "interrupted; what was downloaded is kept and the next run goes on from there");
  }
}

// Without TLS only where that was asked for: the endpoint itself, or this machine.
bool HubClient::is_allowed(const Url& from, const Url& to) const {
  return to.scheme == "https" || to.same_origin(endpoint_) ||
         (to.is_loopback() && from.is_loopback());
}

HubClient::Answer HubClient::send(HttpClient& http, HttpRequest request, Foreign foreign) const {
  Answer answer;
  // What the hub says about a file stands in its own answers, of which the last may be on a path
  // that knows less.
  std::map<std::string, std::string, std::less<>> about_file;
  for (int redirects = 0;; ++redirects) {
    HttpRequest next = request;
    if (token_ && next.url.same_origin(endpoint_)) {
      next.headers.push_back("Authorization: Bearer " + *token_);
    }
    answer.url = next.url;
    answer.response = http.send(next);
    throw_if_cancelled();
    HttpResponse& response = answer.response;
    if (next.url.same_origin(endpoint_)) {
      for (const char* name : {"x-repo-commit", "x-linked-etag", "x-linked-size"}) {
        if (!response.header(name).empty()) about_file[name] = response.header(name);
      }
    }
    for (const auto& [name, value] : about_file) response.headers[name] = value;
    if (!response.is_redirect()) return answer;

    const auto target = next.url.follow(std::string(response.header("location")));
    const bool allowed = target && is_allowed(next.url, *target);
    if (!allowed || redirects == kMaxRedirects) {
      response.failure = target && !allowed ? HttpFailure::kInsecure : HttpFailure::kMisled;
      response.failure_text = !target
                                  ? fmt::format("{} redirects to something that is no http(s) URL",
                                                next.url.printable())
                              : !allowed ? fmt::format("{} redirects to {}, which is not encrypted",
                                                       next.url.printable(), target->printable())
                                         : fmt::format("more than {} redirects", kMaxRedirects);
      return answer;
    }
    if (foreign == Foreign::kStop && !target->same_origin(endpoint_)) return answer;
    request.url = *target;
  }
}

bool HubClient::wait_to_retry(const HttpResponse& response, int attempt, const RetryPolicy& retry,
                              const std::function<bool()>& stop) const {
  throw_if_cancelled();
  const bool unreachable = response.failure == HttpFailure::kUnreachable;
  const int attempts = unreachable ? std::min(retry.attempts, kMaxUnreachable) : retry.attempts;
  if (!may_pass(response) || attempt >= attempts) return false;
  auto wait = retry.wait_before(attempt);
  // Many clients that were turned away together should not come back together.
  thread_local std::minstd_rand generator{std::random_device{}()};
  wait += std::chrono::milliseconds(
      std::uniform_int_distribution<std::int64_t>(0, wait.count() / 4)(generator));
  if (const auto asked = asked_wait(response)) {
    if (*asked > retry.longest_asked_wait) return false;
    wait = std::max(wait, *asked);
  }
  log::info("the hub answered {}; trying again in {} ms",
            response.failure == HttpFailure::kNone ? fmt::format("HTTP {}", response.status)
                                                   : response.failure_text,
            wait.count());
  const auto until = std::chrono::steady_clock::now() + wait;
  while (std::chrono::steady_clock::now() < until) {
    throw_if_cancelled();
    if (stop && stop()) return false;
    std::this_thread::sleep_for(std::min(wait, kSleepPiece));
  }
  return true;
}

HubClient::Answer HubClient::send_with_retries(HttpClient& http, const HttpRequest& request,
                                               Foreign foreign, const RetryPolicy& retry) const {
  for (int attempt = 1;; ++attempt) {
    Answer answer = send(http, request, foreign);
    if (!wait_to_retry(answer.response, attempt, retry)) return answer;
  }
}

std::variant<RepositoryInfo, Failure> HubClient::repository(HttpClient& http,
                                                            const std::string& repository,
                                                            const std::string& revision,
                                                            const RetryPolicy& retry) const {
  HttpRequest request;
  const auto url = Url::parse(fmt::format("{}/api/models/{}/revision/{}", settings_.endpoint,
                                          repository, url_encoded(revision, Slashes::kEncode)));
  if (!url) return Failure{Failure::Kind::kProtocol, "the hub's address is broken"};
  request.url = *url;
  request.max_body_bytes = kMaxListingBytes;
  const Answer answer = send_with_retries(http, request, Foreign::kFollow, retry);
  if (!answer.response.ok()) return failure(answer.response, repository, revision, "");
  auto listing = parse_listing(answer.response.body);
  if (const auto* problem = std::get_if<std::string>(&listing)) {
    return Failure{
        Failure::Kind::kProtocol,
        fmt::format("the answer of {} is not that of a hub: {}", answer.url.printable(), *problem)};
  }
  return std::move(std::get<RepositoryInfo>(listing));
}

std::variant<FileInfo, Failure> HubClient::file(HttpClient& http, const std::string& repository,
                                                const std::string& commit,
                                                const std::string& name) const {
  HttpRequest request;
  request.method = HttpRequest::Method::kHead;
  const auto url = Url::parse(fmt::format("{}/{}/resolve/{}/{}", settings_.endpoint, repository,
                                          url_encoded(commit, Slashes::kEncode),
                                          url_encoded(name, Slashes::kKeep)));
  if (!url) return Failure{Failure::Kind::kProtocol, "the hub's address is broken"};
  request.url = *url;
  const Answer answer = send_with_retries(http, request, Foreign::kStop, retry_);
  const HttpResponse& response = answer.response;
  const bool stored_elsewhere = response.is_redirect();
  if (!response.ok() && !stored_elsewhere) return failure(response, repository, commit, name);

  const auto not_a_hub = [&](std::string_view what) {
    return Failure{
        Failure::Kind::kProtocol,
        fmt::format("the answer of {} is not that of a hub: {}", answer.url.printable(), what)};
  };
  FileInfo info;
  info.name = name;
  info.commit = response.header("x-repo-commit");
  if (info.commit != commit) {
    return not_a_hub(
        fmt::format("X-Repo-Commit is {}, expected '{}'", printable(info.commit), commit));
  }
  const std::string_view linked = response.header("x-linked-etag");
  const auto etag = normalized_etag(linked.empty() ? response.header("etag") : linked);
  if (!etag) return not_a_hub("it has no etag that can be a file name");
  info.etag = *etag;
  auto size = as_number(response.header("x-linked-size"));
  if (!size && !stored_elsewhere) size = as_number(response.header("content-length"));
  if (!size || *size > kMaxFileBytes) return not_a_hub("it does not say how long the file is");
  info.size = *size;
  info.location = answer.url;
  if (stored_elsewhere) {
    info.location = *answer.url.follow(std::string(response.header("location")));
  }
  return info;
}

std::string HubClient::how_to_get_access(const std::string& repository) const {
  const std::string& endpoint = settings_.endpoint;
  if (!token_) {
    return fmt::format(
        "If it is gated, ask for access at {}/{}; then make a token at {}/settings/tokens and put "
        "it into the environment variable HF_TOKEN or the file {}, or name it with --token-source",
        endpoint, repository, endpoint, settings_.token_file.string());
  }
  return fmt::format(
      "The token of {} was sent; ask for access at {}/{} with the account that it belongs to, and "
      "check at {}/settings/tokens that it is valid and may read this repository",
      token_origin_, endpoint, repository, endpoint);
}

Failure HubClient::failure(const HttpResponse& response, const std::string& repository,
                           const std::string& revision, const std::string& file) const {
  using Kind = Failure::Kind;
  const std::string where = file.empty() ? repository : fmt::format("{}/{}", repository, file);
  if (response.failure != HttpFailure::kNone) {
    if (response.failure == HttpFailure::kInsecure) {
      return {Kind::kProtocol,
              fmt::format("no secure connection to the hub at {}: {} (if a proxy inspects the "
                          "traffic, name its certificates in SSL_CERT_FILE)",
                          endpoint_.printable(), response.failure_text)};
    }
    const bool network =
        response.failure == HttpFailure::kUnreachable || response.failure == HttpFailure::kBroken;
    return {network ? Kind::kUnreachable : Kind::kProtocol,
            fmt::format("the hub at {} {}: {}", endpoint_.printable(),
                        network ? "cannot be reached" : "does not answer as a hub does",
                        response.failure_text)};
  }
  const std::string_view code = response.header("x-error-code");
  switch (response.status) {
    case 401:
      // The hub answers so for what does not exist, too, so that nobody can find out which does.
      return {Kind::kRefused,
              fmt::format("{} does not exist on the hub, or is private or gated (HTTP 401). Check "
                          "the spelling. {}",
                          where, how_to_get_access(repository))};
    case 403:
      return {Kind::kRefused, fmt::format("{} is {} (HTTP 403). {}", where,
                                          code == "GatedRepo" ? "gated" : "forbidden",
                                          how_to_get_access(repository))};
    case 404:
      if (code == "RevisionNotFound") {
        return {Kind::kNoRevision,
                fmt::format("{} has no revision '{}' (HTTP 404); expected a branch, a tag or a "
                            "commit, as listed at {}/{}/commits",
                            repository, revision, settings_.endpoint, repository)};
      }
      if (!file.empty()) {
        return {Kind::kNoFile,
                fmt::format("there is no file {} at revision '{}' (HTTP 404)", where, revision)};
      }
      return {Kind::kNoRepository,
              fmt::format("{} does not exist on the hub (HTTP 404); check the spelling at "
                          "{}/models",
                          repository, settings_.endpoint)};
    case 429:
      return {Kind::kUnreachable,
              fmt::format("the hub turns requests away, as there were too many (HTTP 429); wait "
                          "{}and try again{}",
                          response.header("retry-after").empty()
                              ? "a while "
                              : fmt::format("(Retry-After: {}) ",
                                            printable(response.header("retry-after"))),
                          token_ ? "" : ", with a token more requests are allowed")};
    default:
      break;
  }
  return {response.status >= 500 ? Kind::kUnreachable : Kind::kProtocol,
          fmt::format("the hub answered HTTP {} for {}", response.status, where)};
}

}  // namespace mistral::hub
