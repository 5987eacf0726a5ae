// A template and its data, both from strangers: source, a NUL byte, JSON. Whatever they hold, the
// answer is text or a TemplateError, within small limits.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/json.h"
#include "text/chat_template/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\0');
  const std::string_view source = input.substr(0, end);
  mistral::Json context = mistral::Json::object();
  if (end != std::string_view::npos) {
    context = mistral::Json::parse(input.substr(end + 1), nullptr, false);
    if (context.is_discarded()) context = mistral::Json::object();
  }
  const mistral::text::TemplateLimits limits{
      .output_bytes = 1U << 20U, .steps = 100'000, .recursion = 60};
  try {
    const auto compiled = mistral::text::ChatTemplate::compile(source, limits);
    (void)compiled.render(context, std::chrono::system_clock::time_point());
  } catch (const mistral::text::TemplateError&) {
    // Refused, as it may be.
  }
  return 0;
}
