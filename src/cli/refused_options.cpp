#include "cli/refused_options.h"

#include "core/error.h"

namespace mistral::cli {

void RefusedOptions::add_options(CLI::App& app, const std::string& group) {
  const auto add = [&](const char* names, std::string& value, const char* help, const char* type) {
    return app.add_option(names, value, help)->type_name(type)->group(group);
  };
  add("-o,--organization", organization_,
      "which matrices are quantised while loading; 'default' only, as there is no such "
      "quantisation",
      "default|moqe")
      ->check(CLI::IsMember({"default", "moqe"}));
  const char* const not_supported = "not supported";
  add("--topology", topology_, not_supported, "FILE");
  add("-w,--write-uqff", write_uqff_, not_supported, "FILE");
  add("--from-uqff", from_uqff_, not_supported, "FILE");
}

void RefusedOptions::check() const {
  const auto refuse = [](const char* option, const char* reason) {
    throw make_error(ErrorKind::kUnsupported, "{}: {}", option, reason);
  };
  if (!topology_.empty()) {
    refuse("--topology", "quantisation and devices by layer are not supported");
  }
  if (organization_ == "moqe") {
    refuse("--organization moqe", "quantisation while loading is not supported");
  }
  if (!write_uqff_.empty()) refuse("--write-uqff", "UQFF files are not supported");
  if (!from_uqff_.empty()) refuse("--from-uqff", "UQFF files are not supported");
}

}  // namespace mistral::cli
