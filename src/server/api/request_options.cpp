#include "server/api/request_options.h"

namespace mistral::server {

RequestOptions read_request_options(const Fields& fields) {
  RequestOptions options;
  options.stream = fields.boolean("stream").value_or(false);
  if (const Json* stream = fields.object("stream_options")) {
    if (!options.stream) fields.wrong_value("stream_options", "it needs 'stream' to be true.");
    const Fields inside(*stream, "stream_options.");
    options.include_usage = inside.boolean("include_usage").value_or(false);
    (void)inside.boolean("include_obfuscation");
  }
  options.answers = static_cast<std::int32_t>(fields.integer("n", 1, kMostAnswers).value_or(1));
  if (const Json* adapters = fields.array("adapters"); adapters != nullptr && !adapters->empty()) {
    fields.unsupported("adapters", "the model has no adapters.");
  }
  options.truncate = fields.boolean("truncate_sequence");
  // For others' bookkeeping, with nothing to do here.
  for (const char* name :
       {"user", "service_tier", "safety_identifier", "prompt_cache_key", "verbosity"}) {
    (void)fields.string(name);
  }
  (void)fields.boolean("store");
  (void)fields.object("metadata");
  return options;
}

}  // namespace mistral::server
