// A logits processor of one's own: it forbids the tokens that were used already, so that none
// occurs twice.
//
//   custom_logits_processor MODEL
#include <iostream>
#include <limits>
#include <set>
#include <span>

#include "mistral/model.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " MODEL\n";
    return 2;
  }
  try {
    mistral::Model model = mistral::Model::load({.path = argv[1]});
    mistral::SamplingParams sampling;
    sampling.max_tokens = 24;
    sampling.ignore_eos = true;
    sampling.logits_processors.push_back(
        [](std::span<const mistral::TokenId> tokens, std::span<float> logits) {
          for (const mistral::TokenId token : tokens) {
            logits[static_cast<std::size_t>(token)] = -std::numeric_limits<float>::infinity();
          }
        });
    const mistral::Response response = model.complete("A list of words:", sampling);
    std::cout << response.text << '\n';
    const std::set<mistral::TokenId> different(response.tokens.begin(), response.tokens.end());
    std::cerr << response.tokens.size() << " tokens, " << different.size() << " different ones\n";
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
