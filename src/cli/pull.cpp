// `pull`: fetches a model into the cache.
#include <string>

#include "cli/command.h"
#include "cli/hub_access.h"
#include "cli/output.h"

namespace mistral::cli {

namespace {

class PullCommand final : public Command {
 public:
  void add_options(CLI::App& app) override {
    app.add_option("ID[:QUANT]", id_,
                   "the id of the model, org/name; of GGUF models the quantisation, or a file")
        ->type_name("")
        ->required();
    access_.add_options(app);
  }

  int execute() override {
    const std::filesystem::path path = access_.with_access(
        [this](const models::HubAccess& access) { return models::fetch_model(id_, access); });
    print(path.string() + "\n");
    return 0;
  }

 private:
  std::string id_;
  HubAccessOptions access_;
};

}  // namespace

std::unique_ptr<Command> make_pull() {
  return std::make_unique<PullCommand>();
}

}  // namespace mistral::cli
