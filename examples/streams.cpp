// Two answers on their way at once, read in turns without callbacks; the second one is cancelled.
//
//   streams MODEL
#include <iostream>
#include <optional>

#include "mistral/model.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " MODEL\n";
    return 2;
  }
  try {
    mistral::Model model = mistral::Model::load({.path = argv[1]});
    mistral::SamplingParams sampling;
    sampling.max_tokens = 16;
    sampling.ignore_eos = true;
    mistral::Generation first = model.start("The first answer", sampling);
    sampling.max_tokens = 1000;
    mistral::Generation second = model.start("The second answer", sampling);

    std::string first_text;
    std::string second_text;
    while (const std::optional<mistral::Chunk> chunk = first.next()) {
      first_text += chunk->text;
      if (const std::optional<mistral::Chunk> other = second.next()) second_text += other->text;
    }
    second.cancel();
    std::cout << first_text << "\n" << second_text << "\n";
    std::cerr << "the first one ended by " << mistral::to_string(first.wait().finish_reason)
              << ", the second one was " << mistral::to_string(second.wait().finish_reason) << '\n';
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
