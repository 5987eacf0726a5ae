// The slow, obvious version of every op: plain loops in the order of the definitions, sums in
// double, weights decoded to f32. One thread. What other backends are compared with.
#pragma once

#include "ops/ops.h"

namespace mistral::ops::reference {

class ReferenceBackend final : public Backend {
 public:
  explicit ReferenceBackend(ThreadPool& pool) : pool_(pool) {}

  [[nodiscard]] std::string_view name() const override { return "reference"; }
  [[nodiscard]] ThreadPool& pool() const override { return pool_; }
  [[nodiscard]] bool supports(DType dtype) const override;
  [[nodiscard]] std::unique_ptr<Weight> pack(const TensorView& source, DType storage,
                                             const ReleaseCallback& on_done) override;

  void embed(const Weight& table, std::span<const TokenId> ids, float scale, Rows out) override;
  void norm(const NormParams& params, ConstRows in, Activations out) override;
  void norm_rows(const NormParams& params, ConstRows in, Rows out, bool accumulate) override;
  void quantize(ConstRows in, Activations out) override;
  void linear(const Activations& in, std::span<const LinearOutput> outputs) override;
  void gated_linear(const Activations& in, const Weight& gate, const float* gate_bias,
                    const Weight& up, const float* up_bias, Activation activation,
                    Activations out) override;
  void activate(Activation activation, ConstRows in, Activations out) override;
  // `k` is left as it is; normalised and rotated keys go to the cache only.
  void write_cache(const CacheWriteParams& params, const LayerCache& cache,
                   std::span<const AttentionSequence> sequences, Rows q, Rows k,
                   ConstRows v) override;
  void attention(const AttentionParams& params, const LayerCache& cache,
                 std::span<const AttentionSequence> sequences, ConstRows q,
                 Activations out) override;
  void softcap(float cap, Rows rows) override;
  void route(const RoutingParams& params, ConstRows logits, const ExpertChoice& choice) override;
  void moe(const MoeParams& params, const Activations& in, const ExpertChoice& choice,
           Rows out) override;
  void head_linear(const HeadLinearParams& params, ConstRows in, Rows out) override;

 private:
  ThreadPool& pool_;
};

// Stores row `row` of `values` (out.cols of them) in all forms that `out` asks for.
void store(const Activations& out, std::int64_t row, const float* values);

}  // namespace mistral::ops::reference
