// Llama-shaped models with random weights, as GGUF files and as Hugging Face folders: real work for
// a benchmark without a real model, in any type of weights. What such a model says means nothing.
#pragma once

#include <cstdint>
#include <filesystem>

#include "tensor/dtype.h"

namespace mistral::benchmarks {

// The defaults give about a thousand million weights.
struct RandomModelShape {
  std::int64_t layers = 16;
  std::int64_t hidden = 2048;
  std::int64_t feed_forward = 8192;
  std::int64_t heads = 32;
  std::int64_t kv_heads = 8;
  std::int64_t head_dim = 64;
  std::int64_t vocab = 32'000;  // 257 to 65793
  std::int64_t context = 131'072;
  std::int64_t experts = 0;  // in every layer, each with an MLP of feed_forward; 0: no experts
  std::int64_t experts_used = 2;
  bool separate_head = false;  // false: the embedding is the output head, too
};

// Writes a GGUF file whose matrices, the embedding among them, are of type `type` and normally
// distributed with a standard deviation of 0.02; norms are ones in f32. The tokenizer is a sound
// byte-level BPE of made-up pairs of bytes. The same seed makes the same file. Throws Error:
// kUnsupported for a type that cannot be written, kInvalidArgument for a shape that cannot be,
// kResource when the file cannot be written.
void write_random_model(const std::filesystem::path& file, const RandomModelShape& shape,
                        DType type, std::uint64_t seed);

// Writes the same as a folder, which is made where it is missing: config.json, tokenizer.json and
// safetensors of at most `shard_bytes` with their index, one or more tensors each. All tensors are
// of type `type`: F32, F16 or BF16. Throws as above; experts are kInvalidArgument.
void write_random_folder(const std::filesystem::path& folder, const RandomModelShape& shape,
                         DType type, std::uint64_t seed, std::int64_t shard_bytes);

}  // namespace mistral::benchmarks
