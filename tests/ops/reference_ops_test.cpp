// Every backend against text/ops: single ops computed in float64 by another implementation. Every
// file there is read; ops.json holds scalars and tolerances.
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/json.h"
#include "formats/safetensors.h"
#include "golden_dir.h"
#include "ops/backends.h"
#include "ops/ops.h"
#include "ops/paged_cache.h"
#include "ops/reference/cache_access.h"
#include "ops/reference/functions.h"

namespace mistral::ops {
namespace {

struct Tensor {
  Shape shape;
  std::vector<float> values;

  [[nodiscard]] std::int64_t cols() const { return shape.row_length(); }
  [[nodiscard]] std::int64_t rows() const { return shape.elements() / shape.row_length(); }
  // Row `t` of [B, H, T, D].
  [[nodiscard]] const float* head(std::int64_t b, std::int64_t h, std::int64_t t) const {
    return values.data() + ((b * shape[1] + h) * shape[2] + t) * shape[3];
  }
};

class OpCase {
 public:
  OpCase(const std::filesystem::path& path, const Json& settings)
      : settings_(settings), name_(path.stem().string()) {
    file_ = formats::SafetensorsFile::open({path});
  }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] float scalar(const char* key) const { return settings_.value(key, 0.0F); }

  [[nodiscard]] Tensor tensor(const std::string& name) const {
    const TensorView& view = file_->require(name).view;
    EXPECT_EQ(view.dtype, DType::kF32);
    Tensor t{view.shape, std::vector<float>(view.data.size() / sizeof(float))};
    std::memcpy(t.values.data(), view.data.data(), view.data.size());
    return t;
  }

  [[nodiscard]] std::vector<std::int64_t> integers(const std::string& name) const {
    const TensorView& view = file_->require(name).view;
    EXPECT_EQ(view.dtype, DType::kI64);
    std::vector<std::int64_t> values(view.data.size() / sizeof(std::int64_t));
    std::memcpy(values.data(), view.data.data(), view.data.size());
    return values;
  }

  // Names of the expected outputs.
  [[nodiscard]] std::vector<std::string> outputs() const {
    std::vector<std::string> names;
    for (const auto& t : file_->tensors()) {
      if (t.name == "y" || t.name.starts_with("y_")) names.push_back(t.name);
    }
    return names;
  }

  void expect_near(const std::vector<float>& got, const std::string& output) const {
    const Tensor want = tensor(output);
    ASSERT_EQ(got.size(), want.values.size()) << name_ << " " << output;
    const double rtol = settings_.at("rtol").get<double>();
    const double atol = settings_.at("atol").get<double>();
    for (std::size_t i = 0; i < got.size(); ++i) {
      const double limit = atol + rtol * std::fabs(want.values[i]);
      ASSERT_TRUE(std::fabs(static_cast<double>(got[i]) - want.values[i]) <= limit)
          << name_ << " " << output << " element " << i << ": " << got[i] << ", expected "
          << want.values[i];
    }
  }

 private:
  Json settings_;
  std::string name_;
  std::shared_ptr<const formats::SafetensorsFile> file_;
};

// y_<…>_eps<value>
float epsilon_of(const std::string& output) {
  return std::stof(output.substr(output.find("eps") + 3));
}

void check_norm(Backend& backend, const OpCase& c, NormParams::Kind kind) {
  Tensor x = c.tensor("x");
  const Tensor weight = c.tensor("weight");
  for (const std::string& output : c.outputs()) {
    NormParams params{kind, epsilon_of(output), weight.values.data(), nullptr};
    Tensor shifted = weight;
    Tensor bias;
    if (output.find("plus_one") != std::string::npos) {
      for (float& w : shifted.values) w += 1.0F;
      params.weight = shifted.values.data();
    }
    if (kind == NormParams::Kind::kLayer && output.find("nobias") == std::string::npos) {
      bias = c.tensor("bias");
      params.bias = bias.values.data();
    }
    const ConstRows in(x.values.data(), x.rows(), x.cols(), x.cols());
    std::vector<float> y(x.values.size());
    Activations out;
    out.rows = x.rows();
    out.cols = x.cols();
    out.values = y.data();
    backend.norm(params, in, out);
    c.expect_near(y, output);

    std::vector<float> added(y.size(), 2.0F);
    const Rows sum{added.data(), x.rows(), x.cols(), x.cols()};
    backend.norm_rows(params, in, sum, true);
    for (std::size_t i = 0; i < y.size(); ++i) ASSERT_EQ(added[i], 2.0F + y[i]);
    backend.norm_rows(params, in, sum, false);
    ASSERT_EQ(added, y);
  }
}

void check_activation(Backend& backend, const OpCase& c,
                      const std::map<std::string, Activation>& kinds) {
  const Tensor x = c.tensor("x");
  const auto n = static_cast<std::int64_t>(x.values.size());
  int checked = 0;
  for (const std::string& output : c.outputs()) {
    const auto kind = kinds.find(output);
    if (kind == kinds.end()) continue;  // a function that is no op of its own
    std::vector<float> y(x.values.size());
    Activations out;
    out.rows = 1;
    out.cols = n;
    out.values = y.data();
    backend.activate(kind->second, {x.values.data(), 1, n, n}, out);
    c.expect_near(y, output);
    ++checked;
  }
  EXPECT_GT(checked, 0) << c.name();
}

// The input that belongs to an output: y_decode of q_decode.
std::string input_of(std::string output, char input) {
  output[0] = input;
  return output;
}

void check_softmax(Backend&, const OpCase& c) {
  for (const std::string& output : c.outputs()) {
    const Tensor x = c.tensor(input_of(output, 'x'));
    std::vector<float> y;
    for (std::int64_t r = 0; r < x.rows(); ++r) {
      const auto first = x.values.begin() + r * x.cols();
      std::vector<double> row(first, first + x.cols());
      reference::softmax(row);
      for (const double value : row) y.push_back(static_cast<float>(value));
    }
    c.expect_near(y, output);
  }
}

// [B, H, T, D] as the queries of B sequences whose rows have the positions 0 .. T - 1.
std::vector<float> rotated(Backend& backend, const Tensor& x, const RopeTable& table) {
  const auto heads = static_cast<std::int32_t>(x.shape[1]);
  const auto tokens = static_cast<std::int32_t>(x.shape[2]);
  const auto head_dim = static_cast<std::int32_t>(x.shape[3]);
  const std::int64_t cols = std::int64_t{heads} * head_dim;
  test::PagedCache cache(CacheDType::kF32, 16, heads, head_dim, head_dim, {tokens});
  CacheWriteParams params;
  params.heads = heads;
  params.rope = &table;
  std::vector<float> y;
  for (std::int64_t b = 0; b < x.shape[0]; ++b) {
    std::vector<float> q;
    for (std::int64_t t = 0; t < tokens; ++t) {
      for (std::int64_t h = 0; h < heads; ++h) {
        q.insert(q.end(), x.head(b, h, t), x.head(b, h, t) + head_dim);
      }
    }
    std::vector<float> k = q;
    const AttentionSequence sequence{0, tokens, 0, cache.table(0)};
    backend.write_cache(params, cache.layer(), {&sequence, 1}, {q.data(), tokens, cols, cols},
                        {k.data(), tokens, cols, cols}, {k.data(), tokens, cols, cols});
    for (std::int64_t h = 0; h < heads; ++h) {
      for (std::int64_t t = 0; t < tokens; ++t) {
        const float* head = q.data() + t * cols + h * head_dim;
        y.insert(y.end(), head, head + head_dim);
        // Keys rotate as queries do.
        for (std::int64_t d = 0; d < head_dim; ++d) {
          EXPECT_EQ(reference::load_key(cache.layer(), cache.table(0)[t / 16], h, t % 16, d),
                    head[d]);
        }
      }
    }
  }
  return y;
}

void check_rope(Backend& backend, const OpCase& c) {
  const auto positions = c.integers("positions");
  const Tensor x = c.tensor("x");
  const auto head_dim = static_cast<std::int32_t>(x.shape[3]);
  for (const std::string& output : c.outputs()) {
    const bool partial = output.ends_with("_partial");
    const Tensor frequencies = c.tensor(partial ? "inv_freq_partial" : "inv_freq");
    const std::int64_t half = frequencies.cols();
    if (partial) {
      ASSERT_EQ(2 * half, static_cast<std::int64_t>(c.scalar("rotary_dim")));
    }
    // One row of the table for each of the positions.
    std::vector<float> cosines;
    std::vector<float> sines;
    for (const std::int64_t position : positions) {
      for (const float f : frequencies.values) {
        cosines.push_back(static_cast<float>(std::cos(static_cast<double>(position) * f)));
        sines.push_back(static_cast<float>(std::sin(static_cast<double>(position) * f)));
      }
    }
    const RopeTable table{cosines.data(), sines.data(), static_cast<std::int32_t>(positions.size()),
                          static_cast<std::int32_t>(2 * half),
                          output.find("interleaved") != std::string::npos};
    const std::vector<float> y = rotated(backend, x, table);
    c.expect_near(y, output);
    // Small angles are exact enough to demand more.
    const Tensor want = c.tensor(output);
    for (std::int64_t r = 0; r < x.rows(); ++r) {
      if (positions[static_cast<std::size_t>(r % x.shape[2])] >= 64) continue;
      for (std::int64_t d = 0; d < head_dim; ++d) {
        const auto i = static_cast<std::size_t>(r * head_dim + d);
        ASSERT_NEAR(y[i], want.values[i], 2e-5) << output;
      }
    }
  }
}

// `output` from queries `q`, which are the last rows of their sequences.
std::vector<float> attend(Backend& backend, const OpCase& c, const Tensor& q, const Tensor& k,
                          const Tensor& v, std::int32_t block_size) {
  const auto batch = q.shape[0];
  const auto heads = static_cast<std::int32_t>(q.shape[1]);
  const auto queries = static_cast<std::int32_t>(q.shape[2]);
  const auto kv_heads = static_cast<std::int32_t>(k.shape[1]);
  const auto tokens = static_cast<std::int32_t>(k.shape[2]);
  const auto head_dim = static_cast<std::int32_t>(k.shape[3]);
  const auto value_dim = static_cast<std::int32_t>(v.shape[3]);
  test::PagedCache cache(CacheDType::kF32, block_size, kv_heads, head_dim, value_dim,
                         std::vector<std::int32_t>(static_cast<std::size_t>(batch), tokens));

  // Rows of a step: token by token, all heads of a token together.
  const auto flatten = [&](const Tensor& t) {
    std::vector<float> rows;
    for (std::int64_t b = 0; b < batch; ++b) {
      for (std::int64_t i = 0; i < t.shape[2]; ++i) {
        for (std::int64_t h = 0; h < t.shape[1]; ++h) {
          rows.insert(rows.end(), t.head(b, h, i), t.head(b, h, i) + t.shape[3]);
        }
      }
    }
    return rows;
  };
  std::vector<float> k_rows = flatten(k);
  std::vector<float> v_rows = flatten(v);
  std::vector<float> q_rows = flatten(q);
  std::vector<AttentionSequence> written;
  std::vector<AttentionSequence> asked;
  for (std::int32_t b = 0; b < static_cast<std::int32_t>(batch); ++b) {
    const std::int32_t* table = cache.table(static_cast<std::size_t>(b));
    written.push_back({b * tokens, tokens, 0, table});
    asked.push_back({b * queries, queries, tokens - queries, table});
  }
  const std::int64_t k_cols = std::int64_t{kv_heads} * head_dim;
  const std::int64_t v_cols = std::int64_t{kv_heads} * value_dim;
  const std::int64_t q_cols = std::int64_t{heads} * head_dim;
  std::vector<float> no_queries(static_cast<std::size_t>(batch * tokens * q_cols));
  CacheWriteParams write;
  write.heads = heads;
  backend.write_cache(write, cache.layer(), written,
                      {no_queries.data(), batch * tokens, q_cols, q_cols},
                      {k_rows.data(), batch * tokens, k_cols, k_cols},
                      {v_rows.data(), batch * tokens, v_cols, v_cols});
  AttentionParams params;
  params.heads = heads;
  params.scale = c.scalar("scale");
  params.softcap = c.scalar("softcap");
  params.window = static_cast<std::int32_t>(c.scalar("window"));
  std::vector<float> y_rows(static_cast<std::size_t>(batch * queries * heads * value_dim));
  Activations out;
  out.rows = batch * queries;
  out.cols = std::int64_t{heads} * value_dim;
  out.values = y_rows.data();
  backend.attention(params, cache.layer(), asked, {q_rows.data(), batch * queries, q_cols, q_cols},
                    out);
  // Back to [B, H, T, D].
  std::vector<float> y;
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t h = 0; h < heads; ++h) {
      for (std::int64_t i = 0; i < queries; ++i) {
        const float* row = y_rows.data() + (b * queries + i) * out.cols + h * value_dim;
        y.insert(y.end(), row, row + value_dim);
      }
    }
  }
  return y;
}

void check_attention(Backend& backend, const OpCase& c) {
  const Tensor k = c.tensor("k");
  const Tensor v = c.tensor("v");
  for (const std::string& output : c.outputs()) {
    const Tensor q = c.tensor(input_of(output, 'q'));
    for (const std::int32_t block_size : {8, 16, 32}) {
      c.expect_near(attend(backend, c, q, k, v, block_size), output);
    }
  }
}

class ReferenceOps : public testing::TestWithParam<std::string> {};

TEST_P(ReferenceOps, EveryFile) {
  ThreadPool pool(2);
  const auto backend =
      GetParam() == "reference" ? make_reference_backend(pool) : make_cpu_backend(pool, GetParam());
  const std::map<std::string, std::function<void(Backend&, const OpCase&)>> checks = {
      {"rms_norm", [](Backend& b, const OpCase& c) { check_norm(b, c, NormParams::Kind::kRms); }},
      {"layer_norm",
       [](Backend& b, const OpCase& c) { check_norm(b, c, NormParams::Kind::kLayer); }},
      {"gelu",
       [](Backend& b, const OpCase& c) {
         check_activation(b, c,
                          {{"y_erf", Activation::kGeluErf},
                           {"y_tanh", Activation::kGeluTanh},
                           {"y_quick", Activation::kGeluQuick}});
       }},
      {"silu",
       [](Backend& b, const OpCase& c) {
         check_activation(b, c, {{"y", Activation::kSilu}, {"y_relu", Activation::kRelu}});
       }},
      {"softmax", check_softmax},
      {"rope", check_rope},
      {"attention_causal", check_attention},
      {"attention_softcap", check_attention},
      {"attention_sliding", check_attention},
  };
  const std::filesystem::path folder = test::golden_dir() / "text" / "ops";
  std::ifstream in(folder / "ops.json");
  ASSERT_TRUE(in) << folder;
  const Json settings = Json::parse(in).at("ops");
  int cases = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".safetensors") continue;
    const std::string op = entry.path().stem().string();
    SCOPED_TRACE(op);
    ASSERT_TRUE(checks.contains(op)) << "no check for " << entry.path();
    checks.at(op)(*backend, OpCase(entry.path(), settings.at(op)));
    ++cases;
  }
  EXPECT_GT(cases, 0) << folder;
}

std::vector<std::string> backend_names() {
  std::vector<std::string> names = test::kernel_sets();
  names.emplace_back("reference");
  return names;
}

INSTANTIATE_TEST_SUITE_P(Backends, ReferenceOps, testing::ValuesIn(backend_names()),
                         [](const auto& name) { return name.param; });

}  // namespace
}  // namespace mistral::ops
