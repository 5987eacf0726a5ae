// POST /v1/chat/completions.
#pragma once

#include <memory>

#include "server/api/service.h"
#include "server/http/message.h"

namespace mistral::server {

// Throws ApiError and Error.
[[nodiscard]] Reply chat_completions(const Service& service, const HttpRequest& http,
                                     std::shared_ptr<void> ticket);

}  // namespace mistral::server
