// The routes that say something about the model without running it, and those for what it cannot.
#pragma once

#include <string_view>

#include "server/api/service.h"
#include "server/http/message.h"

namespace mistral::server {

// All throw ApiError and Error.
[[nodiscard]] HttpResponse list_models(const Service& service);
[[nodiscard]] HttpResponse get_model(const Service& service, std::string_view id);

// {"prompt": TEXT} or {"messages": …} → {"tokens", "count", "max_model_len"}.
[[nodiscard]] HttpResponse tokenize_text(const Service& service, const HttpRequest& request);
// {"tokens": IDS} → {"prompt": TEXT}.
[[nodiscard]] HttpResponse detokenize_ids(const Service& service, const HttpRequest& request);

// Check what was asked for and say that there is no such thing.
[[nodiscard]] HttpResponse refuse_re_isq(const HttpRequest& request);
[[nodiscard]] HttpResponse refuse_adapters(const HttpRequest& request);

}  // namespace mistral::server
