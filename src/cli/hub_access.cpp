#include "cli/hub_access.h"

namespace mistral::cli {

void HubAccessOptions::add_options(CLI::App& app) {
  const std::string group = "Hub";
  app.add_option("--revision", revision_, "branch, tag or commit of a model on the hub")
      ->type_name("NAME")
      ->capture_default_str()
      ->group(group);
  app.add_option("--token-source", token_source_,
                 "where the token for private and gated models is: literal:TOKEN, env:NAME, "
                 "path:FILE, cache (HF_TOKEN, else the file of the Hugging Face client) or none")
      ->type_name("SOURCE")
      ->capture_default_str()
      ->group(group);
}

}  // namespace mistral::cli
