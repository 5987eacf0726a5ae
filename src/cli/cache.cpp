// `cache`: what was downloaded, and deleting of it.
#include "hub/cache.h"

#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/command.h"
#include "cli/output.h"
#include "core/error.h"
#include "core/json.h"
#include "core/printable.h"
#include "hub/settings.h"

namespace mistral::cli {

namespace {

constexpr std::size_t kShortCommit = 12;

std::string size_text(std::uint64_t bytes) {
  const auto number = static_cast<double>(bytes);
  if (bytes >= std::uint64_t{1} << 30U) return fmt::format("{:.1f} GiB", number / (1U << 30U));
  return fmt::format("{:.1f} MiB", number / (1U << 20U));
}

std::string as_text(const std::filesystem::path& cache,
                    const std::vector<hub::CachedRepository>& repositories) {
  std::string text;
  std::uint64_t sum = 0;
  for (const hub::CachedRepository& repository : repositories) {
    sum += repository.bytes + repository.incomplete_bytes;
    text += fmt::format("{}  {}", repository.id, size_text(repository.bytes));
    if (repository.incomplete_bytes > 0) {
      text += fmt::format(" and {} of a download that did not end",
                          size_text(repository.incomplete_bytes));
    }
    text += '\n';
    for (const hub::CachedRevision& revision : repository.revisions) {
      text +=
          fmt::format("  {}  {} file{}, {}", revision.commit.substr(0, kShortCommit),
                      revision.files, revision.files == 1 ? "" : "s", size_text(revision.bytes));
      if (!revision.refs.empty()) {
        text += fmt::format("  ({})", one_line(fmt::format("{}", fmt::join(revision.refs, ", "))));
      }
      text += '\n';
    }
  }
  return text + fmt::format("{} model{}, {} in {}\n", repositories.size(),
                            repositories.size() == 1 ? "" : "s", size_text(sum), cache.string());
}

std::string as_json(const std::filesystem::path& cache,
                    const std::vector<hub::CachedRepository>& repositories) {
  Json json;
  json["cache"] = cache.string();
  json["models"] = Json::array();
  for (const hub::CachedRepository& repository : repositories) {
    Json model{{"id", repository.id},
               {"bytes", repository.bytes},
               {"incomplete_bytes", repository.incomplete_bytes},
               {"revisions", Json::array()}};
    for (const hub::CachedRevision& revision : repository.revisions) {
      model["revisions"].push_back({{"commit", revision.commit},
                                    {"refs", revision.refs},
                                    {"files", revision.files},
                                    {"bytes", revision.bytes}});
    }
    json["models"].push_back(std::move(model));
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

class CacheCommand final : public Command {
 public:
  void add_options(CLI::App& app) override {
    app.add_option("list|rm", words_, "list: print what is there; rm ID…: delete models")
        ->type_name("");
    app.add_option("--revision", revision_, "rm: delete only this branch, tag or commit")
        ->type_name("NAME");
    app.add_flag("--json", json_, "list: print JSON");
  }

  int execute() override {
    const std::string action = words_.empty() ? "list" : words_.front();
    if (action != "list" && action != "rm") {
      throw UsageError(fmt::format("unknown action '{}': expected list or rm", action));
    }
    const hub::Settings settings = hub::settings_from(hub::process_environment());
    if (action == "list") {
      if (words_.size() > 1 || !revision_.empty()) throw UsageError("list takes only --json");
      const auto repositories = hub::list_cache(settings.cache);
      print(json_ ? as_json(settings.cache, repositories) : as_text(settings.cache, repositories));
      return 0;
    }
    if (words_.size() < 2 || json_) throw UsageError("expected cache rm ID…");
    std::vector<hub::ModelId> ids;
    for (std::size_t i = 1; i < words_.size(); ++i) {
      const auto id = hub::parse_model_id(words_[i]);
      if (!id || !id->quant.empty()) {
        throw make_error(ErrorKind::kInvalidArgument, "{} is no id of a model; expected org/name",
                         printable(words_[i]));
      }
      ids.push_back(*id);
    }
    for (const hub::ModelId& id : ids) {
      const std::uint64_t freed = hub::remove_from_cache(settings.cache, id, revision_);
      print(fmt::format("deleted {}{}{}: {}\n", id.repository, revision_.empty() ? "" : " at ",
                        revision_, size_text(freed)));
    }
    return 0;
  }

 private:
  std::vector<std::string> words_;
  std::string revision_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_cache() {
  return std::make_unique<CacheCommand>();
}

}  // namespace mistral::cli
