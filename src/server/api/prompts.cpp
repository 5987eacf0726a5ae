#include "server/api/prompts.h"

#include <limits>
#include <utility>

#include <fmt/format.h>

#include "engine/chat.h"
#include "server/api/error.h"

namespace mistral::server {
namespace {

constexpr const char* kForms =
    "a string, an array of strings, an array of token ids or an array of such arrays";

[[noreturn]] void wrong_item(const std::string& at, const Json& item, const char* expected) {
  throw ApiError(at,
                 fmt::format("Invalid type for '{}': expected {}, but got {} instead.", at,
                             expected, kind_of(item)),
                 "invalid_type");
}

TokenId read_id(const Json& item, const std::string& at, std::int64_t vocab_size) {
  if (!item.is_number_integer()) wrong_item(at, item, "a token id");
  const bool huge = item.is_number_unsigned() &&
                    item.get<std::uint64_t>() >
                        static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const std::int64_t id = huge ? -1 : item.get<std::int64_t>();
  if (huge || id < 0 || id >= vocab_size) {
    throw ApiError(at, fmt::format("Invalid value for '{}': {} is no token id, expected 0 to {}.",
                                   at, dump(item), vocab_size - 1));
  }
  return static_cast<TokenId>(id);
}

std::vector<TokenId> read_ids(const Service& service, const Json& list, const std::string& at) {
  std::vector<TokenId> ids;
  ids.reserve(list.size());
  const std::int64_t vocab_size = service.model().model->vocab_size();
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!list[i].is_number_integer() || list[i] < 0 || list[i] >= vocab_size) {
      (void)read_id(list[i], fmt::format("{}[{}]", at, i), vocab_size);  // throws
    }
    ids.push_back(list[i].get<TokenId>());
  }
  return ids;
}

}  // namespace

std::vector<PromptInput> read_prompts(const Service& service, const Fields& fields,
                                      const std::string& name, bool want_text, bool truncates) {
  const Json* given = fields.find(name);
  if (given == nullptr) fields.missing(name);
  std::vector<PromptInput> prompts;
  const auto add_text = [&](const Json& text, const std::string& at) {
    auto copy = text.get<std::string>();
    if (!truncates) service.check_text_size(copy.size(), at);
    prompts.push_back(
        {.ids = engine::prepare_text(service.model(), copy), .text = std::move(copy)});
  };
  const auto add_ids = [&](const Json& list, const std::string& at) {
    PromptInput prompt{.ids = read_ids(service, list, at), .text = {}};
    if (want_text) prompt.text = service.tokenizer().decode(prompt.ids, /*skip_special=*/false);
    prompts.push_back(std::move(prompt));
  };
  if (given->is_string()) {
    add_text(*given, fields.path(name));
    return prompts;
  }
  if (!given->is_array()) fields.wrong_type(name, kForms);
  if (given->empty()) fields.wrong_value(name, "it is empty.");
  if (given->front().is_number()) {
    add_ids(*given, fields.path(name));
    return prompts;
  }
  if (given->size() > kMostPrompts) {
    fields.wrong_value(
        name, fmt::format("{} entries, expected at most {}.", given->size(), kMostPrompts));
  }
  const bool texts = given->front().is_string();
  for (std::size_t i = 0; i < given->size(); ++i) {
    const Json& item = (*given)[i];
    const std::string at = fmt::format("{}[{}]", fields.path(name), i);
    if (texts) {
      if (!item.is_string()) wrong_item(at, item, "a string");
      add_text(item, at);
    } else {
      if (!item.is_array()) wrong_item(at, item, "an array of token ids");
      add_ids(item, at);
    }
  }
  return prompts;
}

}  // namespace mistral::server
