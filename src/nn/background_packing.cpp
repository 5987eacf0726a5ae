#include "nn/background_packing.h"

#include <system_error>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "core/thread_priority.h"

namespace mistral::nn {

BackgroundPacking::BackgroundPacking(const formats::WeightSource& source,
                                     std::shared_ptr<const void> keeper,
                                     std::unique_ptr<ReadAheadThreads> reading,
                                     std::vector<Kept> kept, bool forget)
    : source_(source),
      keeper_(std::move(keeper)),
      reading_(std::move(reading)),
      kept_(std::move(kept)),
      forget_(forget) {
  if (reading_) reading_->read_rest();
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error&) {
    // Weights stay where they are.
  }
}

BackgroundPacking::~BackgroundPacking() {
  stop_ = true;
  if (reading_) reading_->stop();
  finish();
}

void BackgroundPacking::finish() {
  if (thread_.joinable()) thread_.join();
}

void BackgroundPacking::run() {
  lower_thread_priority();
  if (reading_) reading_->finish();
  try {
    for (const Kept& kept : kept_) {
      if (stop_) return;
      kept.weight->pack_kept(stop_, [&](std::span<const std::byte> done) {
        formats::TensorInfo part = kept.part;
        part.view.data = done;
        source_.release(part);
      });
      if (stop_) return;
      // What computed with the rows meanwhile may have brought them back.
      source_.release(kept.part);
      if (forget_) source_.forget(kept.part);
    }
  } catch (const Error& error) {
    log::info("weights go on being read from their file: {}", error.what());
  }
}

}  // namespace mistral::nn
