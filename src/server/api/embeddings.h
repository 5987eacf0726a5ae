// POST /v1/embeddings: the mean of the last hidden states of a text's tokens, of length 1.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/api/service.h"
#include "server/http/message.h"

namespace mistral::server {

// Throws ApiError and Error.
[[nodiscard]] Reply embeddings(const Service& service, const HttpRequest& http,
                               std::shared_ptr<void> ticket);

// The first `dimensions` of the mean, scaled to length 1; zeros stay zeros.
[[nodiscard]] std::vector<float> unit_vector(const std::vector<double>& sum,
                                             std::size_t dimensions);
// Little-endian f32 in base64.
[[nodiscard]] std::string base64_floats(const std::vector<float>& values);

}  // namespace mistral::server
