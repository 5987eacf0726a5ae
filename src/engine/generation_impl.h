// What is behind mistral::Generation.
#pragma once

#include <optional>

#include "engine/request.h"
#include "mistral/model.h"
#include "text/reasoning/reasoning_splitter.h"

namespace mistral {

struct Generation::Impl {
  // With a `style` the text is also handed out in its parts.
  Impl(engine::RequestHandle request, const std::optional<text::ReasoningStyle>& style)
      : handle(std::move(request)) {
    if (style) splitter.emplace(*style);
  }

  // See Generation.
  [[nodiscard]] std::optional<Chunk> next();
  [[nodiscard]] Response wait();

  engine::RequestHandle handle;

 private:
  [[nodiscard]] Chunk piece(std::string_view text);
  [[nodiscard]] std::optional<Chunk> finish(engine::FinishEvent& end);

  std::optional<text::ReasoningSplitter> splitter;
  Response response_;  // so far
  bool over_ = false;
  // Of the last piece.
  engine::Event event_;
  text::ReasoningSplitter::Parts parts_;
};

}  // namespace mistral
