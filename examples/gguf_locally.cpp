// A GGUF file of a local folder, with a KV cache of a given size and n-gram speculation.
//
//   gguf_locally FOLDER FILE
#include <iostream>

#include "mistral/builders.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " FOLDER FILE\n";
    return 2;
  }
  try {
    mistral::Model model = mistral::GgufModelBuilder(argv[1], {argv[2]})
                               .with_paged_attn(mistral::PagedAttentionMetaBuilder()
                                                    .with_block_size(16)
                                                    .with_gpu_memory(mistral::ContextSize{4096})
                                                    .build())
                               .with_max_num_seqs(4)
                               .with_ngram_drafts()
                               .build();
    mistral::SamplingParams sampling;
    sampling.max_tokens = 64;
    const mistral::Response response =
        model.complete("one two three one two three one two", sampling);
    std::cout << response.text << '\n';
    const mistral::ModelStats stats = model.stats();
    std::cerr << response.usage.completion_tokens << " tokens in " << stats.steps << " steps, "
              << stats.accepted_tokens << " of " << stats.drafted_tokens << " guesses were right\n";
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
