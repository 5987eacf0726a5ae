// Several requests at once: they share every step of the model, so together they are much faster
// than one after another.
//
//   batching MODEL [REQUESTS]
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "mistral/model.h"

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::cerr << "usage: " << argv[0] << " MODEL [REQUESTS]\n";
    return 2;
  }
  try {
    const int requests = argc > 2 ? std::stoi(argv[2]) : 8;
    mistral::Model model = mistral::Model::load({.path = argv[1]});
    mistral::SamplingParams sampling;
    sampling.max_tokens = 32;

    const auto start = std::chrono::steady_clock::now();
    std::vector<mistral::Generation> running;
    for (int i = 0; i < requests; ++i) {
      running.push_back(model.start("Number " + std::to_string(i) + " is", sampling));
    }
    std::int64_t tokens = 0;
    for (mistral::Generation& generation : running) {
      tokens += generation.wait().usage.completion_tokens;
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::cout << requests << " answers, " << tokens << " tokens, "
              << static_cast<double>(tokens) / seconds.count() << " tokens/s together, "
              << model.stats().steps << " steps\n";
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
