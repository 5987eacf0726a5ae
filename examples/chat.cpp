// Answers one message and prints the answer while it is generated; reasoning goes to standard
// error.
//
//   chat MODEL [MESSAGE [MAX_TOKENS]]
//
// MODEL is a .gguf file or a Hugging Face folder. A model without a chat template continues the
// message instead.
#include <cstdlib>
#include <iostream>
#include <string>

#include "mistral/model.h"

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    std::cerr << "usage: " << argv[0] << " MODEL [MESSAGE [MAX_TOKENS]]\n";
    return 2;
  }
  const std::string message = argc > 2 ? argv[2] : "What is the capital of France?";
  try {
    mistral::Model model = mistral::Model::load({.path = argv[1]});

    mistral::SamplingParams sampling = model.default_sampling();
    sampling.max_tokens = argc > 3 ? std::stoll(argv[3]) : 200;

    const bool chats = model.info().has_chat_template;
    const auto print = [chats](const mistral::Chunk& chunk) {
      std::cerr << chunk.reasoning;
      std::cout << (chats ? chunk.content : chunk.text) << std::flush;
      return static_cast<bool>(std::cout);  // stops when the reader is gone
    };
    const mistral::Response response = chats ? model.chat({{"user", message}}, sampling, print)
                                             : model.complete(message, sampling, print);
    std::cout << '\n';
    if (response.finish_reason == mistral::FinishReason::kError) {
      std::cerr << "error: " << response.error << '\n';
      return 1;
    }
    const mistral::Usage& usage = response.usage;
    std::cerr << usage.prompt_tokens << " prompt tokens, " << usage.completion_tokens
              << " tokens answered, finished by " << mistral::to_string(response.finish_reason)
              << '\n';
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
