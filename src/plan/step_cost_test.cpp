#include "plan/step_cost.h"

#include <gtest/gtest.h>

namespace hadal {
namespace {

// Two layers, one that compresses: sizes small enough to be counted by hand. Matrices are BF16 (2 bytes a number) and
// have no memory behind them: nothing here reads one.
class StepCostTest : public ::testing::Test {
 protected:
  StepCostTest() {
    description_.vocab_size = 100;
    description_.hidden = 8;
    description_.n_heads = 2;
    description_.head_dim = 4;
    description_.window = 16;
    description_.index_n_heads = 3;
    description_.index_head_dim = 5;
    description_.index_topk = 6;
    description_.n_experts_per_token = 2;
    description_.layers = {{.attention = AttentionKind::kWindow},
                           {.attention = AttentionKind::kCsa, .compress_ratio = 4, .compress_overlap = true}};
    layout_.kv_row_bytes = 10;
    layout_.index_row_bytes = 3;
    weights_.embed = matrix(100, 8);
    weights_.head = matrix(100, 8);
    for (int l = 0; l < 2; ++l) {
      LayerWeights layer;
      layer.wq_a = matrix(4, 8);
      layer.experts.resize(5);
      for (ExpertWeights& e : layer.experts) e = {.w1 = matrix(2, 8), .w3 = matrix(2, 8), .w2 = matrix(8, 2)};
      weights_.layers.push_back(std::move(layer));
    }
    weights_.mtp.resize(1);
    weights_.mtp[0].e_proj = matrix(8, 8);
  }

  static Weight matrix(int64_t rows, int64_t cols) {
    static const std::byte nothing{};
    return {.dtype = DType::kBF16, .rows = rows, .cols = cols, .data = &nothing};
  }

  StepCost cost() const { return StepCost(description_, weights_, layout_); }

  // In bytes: what every step reads, a row of the embedding, the head, an expert.
  static constexpr uint64_t kDense = 2 * 4 * 8 * 2;
  static constexpr uint64_t kRow = 8 * 2;
  static constexpr uint64_t kHead = 100 * 8 * 2;
  static constexpr uint64_t kExpert = 3 * 2 * 8 * 2;

  ModelDescription description_;
  ModelWeights weights_;
  StateLayout layout_;
};

TEST_F(StepCostTest, experts_are_counted_apart_and_the_draft_layer_when_it_is_used) {
  EXPECT_EQ(weight_bytes(weights_, false).experts, 2 * 5 * kExpert);
  EXPECT_EQ(weight_bytes(weights_, false).others, kDense + 2 * kHead);
  EXPECT_EQ(weight_bytes(weights_, true).others, kDense + 2 * kHead + 8 * 8 * 2);
}

TEST_F(StepCostTest, the_first_token_reads_weights_and_one_row_of_the_embedding) {
  EXPECT_EQ(cost().experts_per_token(), 4u);
  EXPECT_EQ(cost().bytes({.experts_chosen = 4}), kDense + kHead + kRow + 4 * kExpert);
}

TEST_F(StepCostTest, a_step_without_logits_reads_neither_the_head_nor_what_makes_no_keys_of_the_last_layer) {
  EXPECT_EQ(cost().bytes({.logits = 0, .experts_chosen = 4}), kDense / 2 + kRow + 4 * kExpert);
  weights_.layers[1].wkv = matrix(3, 8);
  EXPECT_EQ(cost().bytes({.logits = 0, .experts_chosen = 4}), kDense / 2 + 3 * 8 * 2 + kRow + 4 * kExpert);
}

TEST_F(StepCostTest, the_past_is_read_as_far_as_attention_looks) {
  const uint64_t without_past = kDense + kHead + kRow;
  // Position 7: 7 rows of both windows, 2 entries, 2 index keys.
  EXPECT_EQ(cost().bytes({.position = 7}), without_past + 2 * 7 * 10 + 2 * 10 + 2 * 3);
  // Position 99: the windows are full (15 rows besides the token's own), 6 of 25 entries are chosen, all keys are read.
  EXPECT_EQ(cost().bytes({.position = 99}), without_past + 2 * 15 * 10 + 6 * 10 + 25 * 3);
}

TEST_F(StepCostTest, a_batch_shares_the_weights_and_nothing_else) {
  const StepShape one{.position = 40, .experts_chosen = 3};
  StepShape four = one;
  four.sequences = 4;
  four.logits = 4;
  const uint64_t shared = kDense + kHead + 3 * kExpert;
  EXPECT_EQ(cost().bytes(four) - shared, 4 * (cost().bytes(one) - shared));
  EXPECT_DOUBLE_EQ(cost().flops(four), 4 * cost().flops(one));
}

TEST_F(StepCostTest, operations_are_those_of_matrices_and_attention) {
  // Matrices: 2 layers of 32 numbers and 2 experts of 48, the head's 800. Attention at position 0: one row, 2 heads.
  const double matrices = 2.0 * (2 * 32 + 4 * 48 + 800);
  EXPECT_DOUBLE_EQ(cost().flops({}), matrices + 2 * 4.0 * 2 * 4);
  // At position 99: 16 rows in both layers and 6 entries, and 25 scores of the indexer's 3 heads.
  EXPECT_DOUBLE_EQ(cost().flops({.position = 99}), matrices + 4.0 * 8 * (16 + 16 + 6) + 2.0 * 15 * 25);
}

TEST_F(StepCostTest, fp4_and_block_types_are_met_in_8_bits) {
  EXPECT_EQ(cost().int8_flops({}), 0);
  const double all = cost().flops({.tokens = 3});
  for (LayerWeights& layer : weights_.layers) {
    for (ExpertWeights& e : layer.experts) e.w1.dtype = e.w3.dtype = e.w2.dtype = DType::kF4E2M1;
  }
  // Three tokens, two experts of 48 in each of two layers; of the last layer only the token with logits.
  EXPECT_DOUBLE_EQ(cost().int8_flops({.tokens = 3}), 2.0 * (3 + 1) * 2 * 48);
  weights_.head.dtype = DType::kQ8_0;
  EXPECT_DOUBLE_EQ(cost().int8_flops({.tokens = 3}), 2.0 * ((3 + 1) * 2 * 48 + 800));
  EXPECT_DOUBLE_EQ(cost().flops({.tokens = 3}), all);
}

TEST_F(StepCostTest, a_token_without_logits_computes_the_last_layer_for_its_keys_alone) {
  EXPECT_DOUBLE_EQ(cost().flops({.logits = 0}), 2.0 * (32 + 2 * 48) + 4.0 * 8);
}

TEST_F(StepCostTest, operations_of_a_prompt_are_the_sum_over_its_tokens) {
  double sum = 0;
  for (int64_t p = 0; p < 20; ++p) sum += cost().flops({.position = p, .logits = p == 19 ? 1 : 0});
  EXPECT_DOUBLE_EQ(cost().flops({.tokens = 20}), sum);
}

// The same sizes with latents of 4 + 2 channels; the first layer is dense.
class LatentStepCostTest : public StepCostTest {
 protected:
  LatentStepCostTest() {
    description_.head_dim = description_.window = 0;
    description_.kv_lora_rank = 4;
    description_.rope_head_dim = 2;
    description_.layers = {{.attention = AttentionKind::kMla, .compress_ratio = 1, .ffn = FfnKind::kDense},
                           {.attention = AttentionKind::kDsa, .compress_ratio = 1}};
    LayerWeights& dense = weights_.layers[0];
    dense.experts.clear();
    dense.dense = {.w1 = matrix(3, 8), .w3 = matrix(3, 8), .w2 = matrix(8, 3)};
    weights_.layers[1].wkv_b = matrix(5, 4);
  }
};

TEST_F(LatentStepCostTest, every_matrix_is_counted_and_a_dense_layer_has_no_experts) {
  EXPECT_EQ(weight_bytes(weights_, false).experts, 5 * kExpert);
  EXPECT_EQ(weight_bytes(weights_, false).others, kDense + 2 * kHead + 3 * 3 * 8 * 2 + 5 * 4 * 2);
  EXPECT_EQ(cost().experts_per_token(), 2u);
}

TEST_F(LatentStepCostTest, a_position_reads_all_latents_or_the_chosen_ones_and_all_keys) {
  const uint64_t without_past = cost().bytes({.position = 0}) - 2 * 10 - 3;
  EXPECT_EQ(cost().bytes({.position = 99}), without_past + 100 * 10 + 6 * 10 + 100 * 3);
  // 2 heads, 6 channels of a row and 4 of its value; the indexer's 3 heads x 5.
  const double matrices = cost().flops({.position = 0}) - 2.0 * 2 * 10 * 2 - 2.0 * 15;
  EXPECT_DOUBLE_EQ(cost().flops({.position = 99}), matrices + 2.0 * 2 * 10 * (100 + 6) + 2.0 * 15 * 100);
}

}  // namespace
}  // namespace hadal
