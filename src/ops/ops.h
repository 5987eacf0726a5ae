// The whole vocabulary of operations that a model is made of. Declared once; `reference/` is the
// slow, obvious version that tests compare with, `cpu/` the fast one.
//
// Rows are tokens: every op works on the ragged rows of one step. Determinism: what an op writes
// for a row depends only on that row's own problem (its values, its position, its sequence), bit
// for bit; never on the other rows, on how rows are split over calls, or on the number of threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/thread_pool.h"
#include "mistral/types.h"
#include "ops/layer_cache.h"
#include "ops/rows.h"
#include "tensor/tensor_view.h"

namespace mistral::ops {

// Called after a part of the source has been copied and may be released.
using ReleaseCallback = std::function<void(std::span<const std::byte> done)>;

// A matrix [out, in] as a backend's kernels read it. What is computed with it never changes.
class Weight {
 public:
  virtual ~Weight() = default;
  [[nodiscard]] std::int64_t out() const { return out_; }
  [[nodiscard]] std::int64_t in() const { return in_; }
  [[nodiscard]] DType dtype() const { return dtype_; }  // as stored here
  [[nodiscard]] virtual std::uint64_t bytes() const = 0;
  [[nodiscard]] virtual ActivationForm input_form() const = 0;
  // Row `row` as f32 [in] (embedding look-up from a matrix that is also the output head).
  virtual void dequantize_row(std::int64_t row, float* out) const = 0;
  // Copies what Backend::keep() left where it stands into the kernels' layout, by this thread
  // alone, while others compute with it: they get the same bits before and after. Parts that are
  // named done may still be read a last time. Ends early, without a change, when `stop` becomes
  // true. Throws Error (kResource). Not by two threads at once.
  virtual void pack_kept(const std::atomic<bool>& /*stop*/,
                         const ReleaseCallback& /*on_done*/) const {}

 protected:
  Weight(std::int64_t out, std::int64_t in, DType dtype) : out_(out), in_(in), dtype_(dtype) {}

 private:
  std::int64_t out_;
  std::int64_t in_;
  DType dtype_;
};

enum class Activation {
  kSilu,
  kGeluTanh,
  kGeluErf,
  kGeluQuick,  // x * sigmoid(1.702 x)
  kRelu,
  kRelu2,  // relu(x)^2
  kRelu6,
  kSigmoid,
  kHardSigmoid,  // clamp(x / 6 + 1/2, 0, 1)
  kHardSwish,    // x * hardsigmoid(x)
  kElu,
  kLeakyRelu,      // slope 0.01
  kClampedSwiglu,  // gated only (gpt-oss): g' = min(g, 7), u' = clamp(u, -7, 7);
                   // (u' + 1) * g' * sigmoid(1.702 g')
};

struct NormParams {
  enum class Kind { kRms, kLayer } kind = Kind::kRms;
  float epsilon = 1e-6F;
  const float* weight = nullptr;  // [cols]; null: all ones
  const float* bias = nullptr;    // [cols]; null: zeros
};

// y = x W^T (+ bias) (+ y_before when accumulate): one product that shares its input with others.
struct LinearOutput {
  const Weight* weight = nullptr;
  const float* bias = nullptr;  // [out] or null
  Rows out;                     // [rows, weight->out()]
  float scale = 1.0F;           // multiplies product and bias before they are stored or added
  bool accumulate = false;      // add to what `out` holds: the residual stream
};

// cos and sin of a rotary embedding for the rows of a step: [rows, rotary_dim / 2] each, already
// scaled. By row and not by position, since scaling may depend on the row's sequence.
struct RopeTable {
  const float* cos = nullptr;
  const float* sin = nullptr;
  std::int32_t rows = 0;
  std::int32_t rotary_dim = 0;  // dims of a head that rotate
  bool interleaved = false;     // pairs (2i, 2i+1); else (i, i + rotary_dim / 2)
  std::int32_t first_dim = 0;   // of a head that rotates
};

// Rows of one sequence in a step, as attention sees them.
struct AttentionSequence {
  std::int32_t first_row = 0;
  std::int32_t row_count = 0;
  std::int32_t first_position = 0;
  const std::int32_t* blocks = nullptr;  // block table of the layer's group, by position
};

struct AttentionParams {
  std::int32_t heads = 0;
  float scale = 1.0F;
  float softcap = 0.0F;     // 0: none; else softcap * tanh(score / softcap)
  std::int32_t window = 0;  // a query sees itself and window - 1 tokens before; 0: all
  std::int32_t chunk = 0;   // a query sees its own chunk of so many positions only; 0: all
  // [heads] or null: a score per head that takes part in the softmax and adds no value.
  const float* sinks = nullptr;
};

// Everything between the projections and the scores: norms of q and k per head, rotation, writing
// k and v to the cache; one pass. Values that the cache's type cannot hold saturate.
struct CacheWriteParams {
  std::int32_t heads = 0;
  std::optional<NormParams> query_norm;  // over each head
  std::optional<NormParams> key_norm;
  // Floats from one head's norm weights to the next; 0: all heads share them.
  std::int64_t norm_weight_step = 0;
  bool norm_after_rope = false;
  const RopeTable* rope = nullptr;      // null: positions are not rotated
  const float* query_scales = nullptr;  // [rows] or null: multiplies the queries of a row
};

// How a router's logits become the experts of a row and their weights.
struct RoutingParams {
  enum class Score {
    kSoftmax,      // softmax over all experts, then the best `used`
    kSelected,     // the best `used`, then softmax over these
    kSigmoid,      // sigmoid of each
    kSparseMixer,  // Phi-3.5 MoE: the best, softmax over those near it; again without it
  } score = Score::kSoftmax;
  std::int32_t used = 1;   // experts per row; at most all
  bool normalize = false;  // chosen weights sum to 1
  float scale = 1.0F;      // multiplies the weights at last
  float jitter = 0.0F;     // kSparseMixer: near is (max - s) / max(|s|, max) <= 2 * jitter
  const float* selection_bias = nullptr;  // [experts] or null: added to scores for choosing only
  // Experts are in `groups` equal runs; only those of the best `used_groups` can be chosen. A
  // group's score is its best expert's, or the sum of its two best.
  std::int32_t groups = 1;
  std::int32_t used_groups = 1;
  enum class GroupScore { kBest, kTwoBest } group_score = GroupScore::kBest;
};

// The experts of each row, best first (of equals the lower index), and what multiplies their
// outputs.
struct ExpertChoice {
  std::int32_t used = 0;
  std::int32_t* experts = nullptr;  // [rows, used]
  float* weights = nullptr;         // [rows, used]
  [[nodiscard]] ExpertChoice row(std::int64_t i) const {
    return {used, experts + i * used, weights + i * used};
  }
};

// One expert: down(activation(gate(x)) * up(x)); biases may be null.
struct ExpertWeights {
  const Weight* gate = nullptr;
  const Weight* up = nullptr;
  const Weight* down = nullptr;
  const float* gate_bias = nullptr;
  const float* up_bias = nullptr;
  const float* down_bias = nullptr;
};

struct MoeParams {
  std::span<const ExpertWeights> experts;  // all of one shape
  Activation activation = Activation::kSilu;
  bool scale_input = false;  // weights multiply an expert's input, not its output (Llama 4)
};

// A product of every head with a matrix of its own (latent attention): for head h
// out[r][h * out_step …] = W_h in[r][h * in_step …]. All matrices have one shape.
struct HeadLinearParams {
  std::span<const Weight* const> weights;  // [heads]
  std::int64_t in_step = 0;                // floats from one head's input to the next
  std::int64_t out_step = 0;
};

// Bytes that a matrix takes as the CPU backend packs it.
[[nodiscard]] std::uint64_t packed_bytes(DType storage, std::int64_t out, std::int64_t in);
// The form that its inputs come in, on a processor that has all instructions.
[[nodiscard]] ActivationForm packed_input_form(DType storage, std::int64_t out, std::int64_t in);

class Backend {
 public:
  virtual ~Backend() = default;

  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual ThreadPool& pool() const = 0;

  // Memory of buffers of its own that grow with the rows of a step.
  [[nodiscard]] virtual std::uint64_t workspace_bytes() const { return 0; }

  // Whether pack() takes this type.
  [[nodiscard]] virtual bool supports(DType dtype) const = 0;
  // Copies a [out, in] matrix into the kernels' layout on all threads; no larger than the source.
  // `storage` is the type to re-encode to; kCount keeps the source's. Throws Error (kUnsupported,
  // kInvalidFile).
  [[nodiscard]] virtual std::unique_ptr<Weight> pack(const TensorView& source, DType storage,
                                                     const ReleaseCallback& on_done) = 0;

  // Whether keep() takes matrices of this type with rows of `in`.
  [[nodiscard]] virtual bool keeps(DType /*dtype*/, std::int64_t /*in*/) const { return false; }
  // A matrix [out, in] that is not copied but read where it stands, at any address; `keeper` keeps
  // it there, unchanged. Throws as pack().
  [[nodiscard]] virtual std::unique_ptr<Weight> keep(const TensorView& source,
                                                     std::shared_ptr<const void> /*keeper*/) {
    return pack(source, DType::kCount, nullptr);
  }

  // out[i] = table[ids[i]] * scale. Ids are checked by the caller.
  virtual void embed(const Weight& table, std::span<const TokenId> ids, float scale, Rows out) = 0;

  // Normalises rows into `out`, in all forms that it asks for.
  virtual void norm(const NormParams& params, ConstRows in, Activations out) = 0;
  // Normalises rows in place or into other rows; `accumulate` adds to `out` (a norm after a block,
  // before the residual).
  virtual void norm_rows(const NormParams& params, ConstRows in, Rows out, bool accumulate) = 0;
  // Copies rows into `out` in all forms that it asks for.
  virtual void quantize(ConstRows in, Activations out) = 0;

  // Products that share one input.
  virtual void linear(const Activations& in, std::span<const LinearOutput> outputs) = 0;
  // out = activation(x G^T + gate_bias) * (x U^T + up_bias), in all forms that `out` asks for.
  virtual void gated_linear(const Activations& in, const Weight& gate, const float* gate_bias,
                            const Weight& up, const float* up_bias, Activation activation,
                            Activations out) = 0;
  // out = activation(in), in all forms that `out` asks for.
  virtual void activate(Activation activation, ConstRows in, Activations out) = 0;

  // q [rows, heads * head_dim] is normalised and rotated in place; k and v [rows, kv_heads * …]
  // go to the cache at the rows' positions.
  virtual void write_cache(const CacheWriteParams& params, const LayerCache& cache,
                           std::span<const AttentionSequence> sequences, Rows q, Rows k,
                           ConstRows v) = 0;
  // Causal attention of the rows over their sequences' caches (their own k and v are already
  // there). out [rows, heads * value_dim], in all forms that it asks for.
  virtual void attention(const AttentionParams& params, const LayerCache& cache,
                         std::span<const AttentionSequence> sequences, ConstRows q,
                         Activations out) = 0;

  // x = cap * tanh(x / cap).
  virtual void softcap(float cap, Rows rows) = 0;

  // logits [rows, experts] -> choice [rows, params.used].
  virtual void route(const RoutingParams& params, ConstRows logits, const ExpertChoice& choice) = 0;
  // out[r] += sum over the choice of row r, in its order, of weight * expert(in[r]). One list of
  // tasks over all experts. `in` holds every form that the experts' gate and up ask for.
  virtual void moe(const MoeParams& params, const Activations& in, const ExpertChoice& choice,
                   Rows out) = 0;
  virtual void head_linear(const HeadLinearParams& params, ConstRows in, Rows out) = 0;
};

// A backend on the CPU; kernels are chosen by the processor, or by `isa` when given: "portable",
// "avx2", "avxvnni", "avx512" or "avx512bf16". Throws Error (kInvalidArgument, kUnsupported)
// listing the valid names.
[[nodiscard]] std::unique_ptr<Backend> make_cpu_backend(ThreadPool& pool,
                                                        std::optional<std::string_view> isa = {});
// The reference: slow, f32 activations only.
[[nodiscard]] std::unique_ptr<Backend> make_reference_backend(ThreadPool& pool);

}  // namespace mistral::ops
