// A chat of two turns with a model put together by its builder.
//
//   simple MODEL
//
// MODEL is a Hugging Face folder or the id of a repository.
#include <iostream>

#include "mistral/builders.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " MODEL\n";
    return 2;
  }
  try {
    mistral::Model model = mistral::TextModelBuilder(argv[1]).with_logging().build();

    mistral::TextMessages messages;
    messages.add_message(mistral::Role::kUser, "Hello! How are you?");
    const mistral::Response hello =
        model.send(mistral::RequestBuilder(messages).set_sampler_max_len(64).build()).front();
    std::cout << hello.content << '\n';

    messages.add_message(mistral::Role::kAssistant, hello.content)
        .add_message(mistral::Role::kUser, "Please write a short poem.");
    const mistral::Response poem = model
                                       .send(mistral::RequestBuilder(messages)
                                                 .set_sampler_max_len(64)
                                                 .return_logprobs(true)
                                                 .build())
                                       .front();
    std::cout << poem.content << '\n';
    std::cerr << poem.logprobs.size() << " tokens; of the prompt's " << poem.usage.prompt_tokens
              << ", " << poem.usage.cached_tokens << " were known from the turn before\n";
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
