// The fast backend: splits every op over the threads of a pool and calls the kernels of the chosen
// instruction set.
#pragma once

#include <algorithm>
#include <vector>

#include "ops/activation_buffer.h"
#include "ops/cpu/cpu_weight.h"
#include "ops/cpu/expert_plan.h"
#include "ops/cpu/kernel_table.h"
#include "ops/ops.h"
#include "ops/routing.h"

namespace mistral::ops::cpu {

// Rows of a product that a worker computes before it goes on to the next columns: few enough that
// their inputs for a chunk stay in the second-level cache, many enough to decode weights rarely.
inline constexpr std::int64_t kRowBlock = 512;

class CpuBackend final : public Backend {
 public:
  CpuBackend(ThreadPool& pool, const KernelTable& kernels);

  [[nodiscard]] std::string_view name() const override { return kernels_.name; }
  [[nodiscard]] ThreadPool& pool() const override { return pool_; }
  [[nodiscard]] bool supports(DType dtype) const override;
  [[nodiscard]] bool keeps(DType dtype, std::int64_t in) const override;
  [[nodiscard]] std::unique_ptr<Weight> keep(const TensorView& source,
                                             std::shared_ptr<const void> keeper) override;
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
  [[nodiscard]] std::uint64_t workspace_bytes() const override {
    return gathered_.bytes() + inner_.bytes() + products_.bytes();
  }
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
  // What a worker needs for one unit of a product and one tile of attention.
  struct Worker {
    PageBuffer matmul_scratch;
    PageBuffer products;           // 2 x [kRowBlock][kUnitColumns]
    std::vector<float> attention;  // grown on first use
    std::vector<float> key;
    RoutingScratch routing;
  };
  // Units [first, last) of a weight; none where last <= first.
  struct UnitRange {
    std::int64_t first;
    std::int64_t last;
  };
  // A tile of queries: `rows` rows of one sequence and heads that share a key-value head.
  struct AttentionTile {
    std::int32_t sequence;
    std::int32_t kv_head;
    std::int32_t first_head;
    std::int32_t heads;
    std::int32_t first_row;  // within the sequence
    std::int32_t rows;
    std::int32_t first_partition;
    std::int32_t partitions;
    std::int64_t first_result;  // index of its first partial result
    [[nodiscard]] std::int64_t queries() const { return std::int64_t{rows} * heads; }
  };

  // Calls f(first row, last row, worker) over rows, in few pieces.
  template <typename Function>
  void over_rows(std::int64_t rows, Function f) {
    pool_.run(rows, std::max<std::int64_t>(1, rows / (pool_.size() * 8)), f);
  }
  void quantize_row(const Activations& out, std::int64_t row) const;
  // Copies the values of a row into its panel, if there are panels.
  static void fill_panel(const Activations& out, std::int64_t row);
  void quantize_rows(const Activations& out);
  [[nodiscard]] static std::int64_t units_of(const Weight& weight);
  void product(const CpuWeight& weight, std::int64_t unit, const Activations& in,
               std::int64_t first_row, std::int64_t rows, float* out, Worker& worker) const;
  // Finished columns of `output`, whose rows (at most kRowBlock) are those of `in` from first_row.
  void linear_units(const Activations& in, std::int64_t first_row, const LinearOutput& output,
                    UnitRange units, Worker& worker) const;
  // The same for activation(gate) * up of `weights`.
  void gated_units(const Activations& in, std::int64_t first_row, const ExpertWeights& weights,
                   Activation activation, UnitRange units, Rows out, Worker& worker) const;
  // Copies a row in all forms of `out`, multiplied by `factor`.
  void gather_row(const Activations& in, std::int64_t row, float factor, const Activations& out,
                  std::int64_t to) const;
  // Calls f(segment, first row in it, rows, units, worker) over all experts of the plan.
  template <typename Function>
  void over_expert_units(std::int64_t units, Function f);
  void plan_tiles(const AttentionParams& params, const LayerCache& cache,
                  std::span<const AttentionSequence> sequences);
  [[nodiscard]] AttentionTask make_task(const AttentionParams& params, const LayerCache& cache,
                                        const AttentionSequence& sequence,
                                        const AttentionTile& tile, std::int32_t partition,
                                        const ConstRows& q) const;

  ThreadPool& pool_;
  const KernelTable& kernels_;
  std::vector<Worker> workers_;
  std::vector<AttentionTile> tiles_;
  std::vector<float> partials_;
  ExpertPlan plan_;
  ActivationBuffer gathered_;  // inputs of experts or heads
  ActivationBuffer inner_;     // what experts' down projections read
  ActivationBuffer products_;  // what experts put out
};

}  // namespace mistral::ops::cpu
