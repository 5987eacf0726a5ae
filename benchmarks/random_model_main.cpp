// random_model: writes models with random weights for benchmarks.
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <fmt/format.h>

#include "benchmarks/random_model.h"
#include "core/error.h"

namespace {

using namespace mistral;

DType type_named(std::string_view wanted) {
  for (std::uint8_t i = 0; i < static_cast<std::uint8_t>(DType::kCount); ++i) {
    if (name(static_cast<DType>(i)) == wanted) return static_cast<DType>(i);
  }
  throw make_error(ErrorKind::kInvalidArgument,
                   "no type of weights is called '{}'; for example F16, BF16, Q4_0, Q8_0, Q4_K",
                   wanted);
}

}  // namespace

int main(int argc, char** argv) {
  std::string type;
  std::string file;
  std::uint64_t seed = 1;
  benchmarks::RandomModelShape shape;
  std::int64_t shard_mib = 0;
  CLI::App app("Writes a Llama-shaped model whose matrices are random.");
  app.add_option("type", type, "type of the matrices: F32, F16, BF16, Q4_0 … Q8_0, Q2_K … Q6_K")
      ->required();
  app.add_option("file", file, "the GGUF file to write, or the folder")->required();
  const auto size = [&app](const char* option, std::int64_t& value) {
    app.add_option(option, value)->type_name("N")->capture_default_str();
  };
  size("--layers", shape.layers);
  size("--hidden", shape.hidden);
  size("--ffn", shape.feed_forward);
  size("--heads", shape.heads);
  size("--kv-heads", shape.kv_heads);
  size("--head-dim", shape.head_dim);
  size("--vocab", shape.vocab);
  size("--context", shape.context);
  size("--experts", shape.experts);
  size("--experts-used", shape.experts_used);
  app.add_flag("--separate-head", shape.separate_head, "the output head is not the embedding");
  CLI::Option* folder =
      app.add_option("--shards", shard_mib,
                     "write a Hugging Face folder with safetensors of at most so many MiB")
          ->type_name("MIB")
          ->check(CLI::Range(1, 1 << 20));
  app.add_option("--seed", seed)->type_name("N")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    if (folder->count() > 0) {
      benchmarks::write_random_folder(file, shape, type_named(type), seed, shard_mib << 20);
    } else {
      benchmarks::write_random_model(file, shape, type_named(type), seed);
    }
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
