// Weights that stayed in their file are read from there at once, but packed ones are faster, take
// large pages, and do not care what becomes of the file. So they are packed after the model is
// ready, by a thread of the lowest priority, while the model computes with them.
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "formats/weight_source.h"
#include "nn/read_ahead.h"
#include "ops/ops.h"

namespace mistral::nn {

class BackgroundPacking {
 public:
  struct Kept {
    std::shared_ptr<const ops::Weight> weight;
    formats::TensorInfo part;  // of the source: its rows
  };

  // Begins when `reading`, which may be null, has read the rest of the source. `keeper` keeps
  // `source`. `forget`: what was packed is taken out of the system's cache of files.
  BackgroundPacking(const formats::WeightSource& source, std::shared_ptr<const void> keeper,
                    std::unique_ptr<ReadAheadThreads> reading, std::vector<Kept> kept, bool forget);
  ~BackgroundPacking();  // ends soon, whatever is left to do
  BackgroundPacking(const BackgroundPacking&) = delete;
  BackgroundPacking& operator=(const BackgroundPacking&) = delete;

  // Returns when everything is packed.
  void finish();

 private:
  void run();

  const formats::WeightSource& source_;
  std::shared_ptr<const void> keeper_;
  std::unique_ptr<ReadAheadThreads> reading_;
  std::vector<Kept> kept_;
  bool forget_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace mistral::nn
