#include "model/tensor_names.h"

#include <fmt/format.h>

#include <algorithm>

namespace hadal {
namespace {

using D = ModelDescription;
using L = LayerDescription;
using Kind = ExpectedTensor::Kind;

using Model = ModelWeights;
using Layer = LayerWeights;
using Mtp = MtpWeights;
using Mhc = MhcWeights;
using Compressor = CompressorWeights;
using Indexer = IndexerWeights;
using Engram = EngramWeights;
using Expert = ExpertWeights;

// at<&Layer::attn_hc, &Mhc::fn> is the function from a layer to that member.
template <class Owner, auto... path>
auto& member_at(Owner& owner) {
  return (owner.*....*path);
}
template <class Owner, class Member>
Owner owner_of(Member Owner::*);
template <auto first, auto... rest>
constexpr auto at = &member_at<decltype(owner_of(first)), first, rest...>;

// clang-format off

// --- sizes, in the config's words ------------------------------------------------------------------------------------
// coff is 2 where compressed groups overlap, else 1.

constexpr Dim kOne        = {"1",                                           [](const D&, const L&) { return int64_t{1}; }};
constexpr Dim kThree      = {"3",                                           [](const D&, const L&) { return int64_t{3}; }};
constexpr Dim kVocab      = {"vocab_size",                                  [](const D& d, const L&) { return d.vocab_size; }};
constexpr Dim kHidden     = {"hidden_size",                                 [](const D& d, const L&) { return d.hidden; }};
constexpr Dim kStreams    = {"hc_mult",                                     [](const D& d, const L&) { return d.hc_mult; }};
constexpr Dim kMixes      = {"(2 + hc_mult) * hc_mult",                     [](const D& d, const L&) { return (2 + d.hc_mult) * d.hc_mult; }};
constexpr Dim kAllHidden  = {"hc_mult * hidden_size",                       [](const D& d, const L&) { return d.hc_mult * d.hidden; }};
constexpr Dim kHeads      = {"num_attention_heads",                         [](const D& d, const L&) { return d.n_heads; }};
constexpr Dim kHeadDim    = {"head_dim",                                    [](const D& d, const L&) { return d.head_dim; }};
constexpr Dim kAllHeads   = {"num_attention_heads * head_dim",              [](const D& d, const L&) { return d.n_heads * d.head_dim; }};
constexpr Dim kQLora      = {"q_lora_rank",                                 [](const D& d, const L&) { return d.q_lora_rank; }};
constexpr Dim kGroupIn    = {"num_attention_heads * head_dim / o_groups",   [](const D& d, const L&) { return d.n_heads * d.head_dim / d.o_groups; }};
constexpr Dim kGroupsOut  = {"o_groups * o_lora_rank",                      [](const D& d, const L&) { return d.o_groups * d.o_lora_rank; }};
constexpr Dim kKvLora     = {"kv_lora_rank",                                [](const D& d, const L&) { return d.kv_lora_rank; }};
constexpr Dim kKvLatent   = {"kv_lora_rank + qk_rope_head_dim",             [](const D& d, const L&) { return d.kv_lora_rank + d.rope_head_dim; }};
constexpr Dim kAllQueries = {"num_attention_heads * (qk_nope_head_dim + qk_rope_head_dim)", [](const D& d, const L&) { return d.n_heads * d.qk_head_dim(); }};
constexpr Dim kAllKeys    = {"num_attention_heads * (qk_nope_head_dim + v_head_dim)",       [](const D& d, const L&) { return d.n_heads * (d.qk_nope_head_dim + d.v_head_dim); }};
constexpr Dim kAllValues  = {"num_attention_heads * v_head_dim",            [](const D& d, const L&) { return d.n_heads * d.v_head_dim; }};
constexpr Dim kRatio      = {"compress_ratio",                              [](const D&, const L& l) { return int64_t{l.compress_ratio}; }};
constexpr Dim kCoffHead   = {"coff * head_dim",                             [](const D& d, const L& l) { return l.compress_coff() * d.head_dim; }};
constexpr Dim kIndexHeads = {"index_n_heads",                               [](const D& d, const L&) { return d.index_n_heads; }};
constexpr Dim kIndexDim   = {"index_head_dim",                              [](const D& d, const L&) { return d.index_head_dim; }};
constexpr Dim kAllIndex   = {"index_n_heads * index_head_dim",              [](const D& d, const L&) { return d.index_n_heads * d.index_head_dim; }};
constexpr Dim kCoffIndex  = {"coff * index_head_dim",                       [](const D& d, const L& l) { return l.compress_coff() * d.index_head_dim; }};
constexpr Dim kExperts    = {"n_routed_experts",                            [](const D& d, const L&) { return d.n_routed_experts; }};
constexpr Dim kTopk       = {"num_experts_per_tok",                         [](const D& d, const L&) { return d.n_experts_per_token; }};
constexpr Dim kInter      = {"moe_intermediate_size",                       [](const D& d, const L&) { return d.moe_inter_dim; }};
constexpr Dim kDenseInter = {"intermediate_size",                           [](const D& d, const L&) { return d.inter_dim; }};
constexpr Dim kTwoHidden  = {"2 * hidden_size",                             [](const D& d, const L&) { return 2 * d.hidden; }};
constexpr Dim kEngramRows = {"engram_num_embeddings",                       [](const D&, const L& l) { return l.engram_rows; }};
constexpr Dim kEngramDim  = {"engram_head_dim",                             [](const D& d, const L&) { return d.engram_head_dim; }};
constexpr Dim kEngramIn   = {"(engram_max_ngram_size - 1) * engram_n_heads * engram_head_dim", [](const D& d, const L&) { return d.engram_rows_per_token() * d.engram_head_dim; }};
constexpr Dim kEngramOut  = {"(hc_mult + 1) * hidden_size",                 [](const D& d, const L&) { return (d.hc_mult + 1) * d.hidden; }};
constexpr Dim kTwoInter   = {"2 * moe_intermediate_size",                   [](const D& d, const L&) { return 2 * d.moe_inter_dim; }};

// --- the tables ------------------------------------------------------------------------------------------------------

constexpr TensorRow<ModelWeights> kModelRows[] = {
    //official        transformers                 a third spellingGGUF                               kind               shape                     in layers                      fills
    {"embed.weight",  "model.embed_tokens.weight", "", "token_embd.weight",                           Kind::kBf16Matrix, {&kVocab, &kHidden},      Presence::kAlways,             at<&Model::embed>},
    {"head.weight",   "lm_head.weight",            "", "output.weight|token_embd.weight",             Kind::kBf16Matrix, {&kVocab, &kHidden},      Presence::kAlways,             at<&Model::head>},
    {"norm.weight",   "model.norm.weight",         "", "output_norm.weight",                          Kind::kBf16Vector, {&kHidden},               Presence::kAlways,             at<&Model::norm>},
    {"hc_head_fn",    "model.hc_head.hc_fn",       "", "output_hc_fn.weight|hc_head_fn.weight",       Kind::kF32Matrix,  {&kStreams, &kAllHidden}, Presence::kStreamsOwnCollapse, at<&Model::head_hc, &Mhc::fn>},
    {"hc_head_base",  "model.hc_head.hc_base",     "", "output_hc_base.weight|hc_head_base.weight",   Kind::kF32Vector,  {&kStreams},              Presence::kStreamsOwnCollapse, at<&Model::head_hc, &Mhc::base>},
    {"hc_head_scale", "model.hc_head.hc_scale",    "", "output_hc_scale.weight|hc_head_scale.weight", Kind::kF32Vector,  {&kOne},                  Presence::kStreamsOwnCollapse, at<&Model::head_hc, &Mhc::scale>},
};

constexpr TensorRow<LayerWeights> kLayerRows[] = {
    //official                               transformers                                               a third spelling                                    GGUF                              kind                shape                        in layers                    fills
    {"hc_attn_fn",                           "attn_hc.fn",                                              "",                                                 "hc_attn_fn.weight",              Kind::kF32Matrix,   {&kMixes, &kAllHidden},      Presence::kHyperConnections, at<&Layer::attn_hc, &Mhc::fn>},
    {"hc_attn_base",                         "attn_hc.base",                                            "",                                                 "hc_attn_base.weight",            Kind::kF32Vector,   {&kMixes},                   Presence::kHyperConnections, at<&Layer::attn_hc, &Mhc::base>},
    {"hc_attn_scale",                        "attn_hc.scale",                                           "",                                                 "hc_attn_scale.weight",           Kind::kF32Vector,   {&kThree},                   Presence::kHyperConnections, at<&Layer::attn_hc, &Mhc::scale>},
    {"attn_norm.weight",                     "input_layernorm.weight",                                  "",                                                 "attn_norm.weight",               Kind::kBf16Vector,  {&kHidden},                  Presence::kAlways,           at<&Layer::attn_norm>},
    {"attn.wq_a.weight",                     "self_attn.q_a_proj.weight",                               "",                                                 "attn_q_a.weight",                Kind::kMatrix,      {&kQLora, &kHidden},         Presence::kAlways,           at<&Layer::wq_a>},
    {"attn.q_norm.weight",                   "self_attn.q_a_norm.weight",                               "self_attn.q_a_layernorm.weight",                   "attn_q_a_norm.weight",           Kind::kBf16Vector,  {&kQLora},                   Presence::kSharedHead,       at<&Layer::q_norm>},
    {"attn.wq_b.weight",                     "self_attn.q_b_proj.weight",                               "",                                                 "attn_q_b.weight",                Kind::kMatrix,      {&kAllHeads, &kQLora},       Presence::kSharedHead,       at<&Layer::wq_b>},
    {"attn.wkv.weight",                      "self_attn.kv_proj.weight",                                "",                                                 "attn_kv.weight",                 Kind::kMatrix,      {&kHeadDim, &kHidden},       Presence::kSharedHead,       at<&Layer::wkv>},
    {"attn.kv_norm.weight",                  "self_attn.kv_norm.weight",                                "",                                                 "attn_kv_a_norm.weight",          Kind::kBf16Vector,  {&kHeadDim},                 Presence::kSharedHead,       at<&Layer::kv_norm>},
    {"attn.attn_sink",                       "self_attn.sinks",                                         "",                                                 "attn_sinks.weight",              Kind::kF32Vector,   {&kHeads},                   Presence::kSharedHead,       at<&Layer::attn_sink>},
    {"attn.wo_a.weight",                     "self_attn.o_a_proj.weight",                               "",                                                 "attn_output_a.weight",           Kind::kMatrix,      {&kGroupsOut, &kGroupIn},    Presence::kSharedHead,       at<&Layer::wo_a>},
    {"attn.wo_b.weight",                     "self_attn.o_b_proj.weight",                               "",                                                 "attn_output_b.weight",           Kind::kMatrix,      {&kHidden, &kGroupsOut},     Presence::kSharedHead,       at<&Layer::wo_b>},
    {"attn.compressor.wkv.weight",           "self_attn.compressor.kv_proj.weight",                     "",                                                 "attn_compressor_kv.weight",      Kind::kBf16Matrix,  {&kCoffHead, &kHidden},      Presence::kCompressed,       at<&Layer::compressor, &Compressor::wkv>},
    {"attn.compressor.wgate.weight",         "self_attn.compressor.gate_proj.weight",                   "",                                                 "attn_compressor_gate.weight",    Kind::kBf16Matrix,  {&kCoffHead, &kHidden},      Presence::kCompressorGate,   at<&Layer::compressor, &Compressor::wgate>},
    {"attn.compressor.ape",                  "self_attn.compressor.position_bias",                      "",                                                 "attn_compressor_ape.weight",     Kind::kF32Vector,   {&kRatio, &kCoffHead},       Presence::kCompressorBias,   at<&Layer::compressor, &Compressor::ape>},
    {"attn.compressor.norm.weight",          "self_attn.compressor.kv_norm.weight",                     "",                                                 "attn_compressor_norm.weight",    Kind::kBf16Vector,  {&kHeadDim},                 Presence::kCompressed,       at<&Layer::compressor, &Compressor::norm>},
    {"attn.indexer.wq_b.weight",             "self_attn.compressor.indexer.q_b_proj.weight",            "",                                                 "indexer.attn_q_b.weight",        Kind::kMatrix,      {&kAllIndex, &kQLora},       Presence::kCsa,              at<&Layer::indexer, &Indexer::wq_b>},
    {"attn.indexer.weights_proj.weight",     "self_attn.compressor.indexer.scorer.weights_proj.weight", "self_attn.compressor.indexer.weights_proj.weight", "indexer.proj.weight",            Kind::kBf16Matrix,  {&kIndexHeads, &kHidden},    Presence::kCsa,              at<&Layer::indexer, &Indexer::weights_proj>},
    {"attn.indexer.compressor.wkv.weight",   "self_attn.compressor.indexer.kv_proj.weight",             "",                                                 "indexer_compressor_kv.weight",   Kind::kBf16Matrix,  {&kCoffIndex, &kHidden},     Presence::kCsa,              at<&Layer::indexer, &Indexer::compressor, &Compressor::wkv>},
    {"attn.indexer.compressor.wgate.weight", "self_attn.compressor.indexer.gate_proj.weight",           "",                                                 "indexer_compressor_gate.weight", Kind::kBf16Matrix,  {&kCoffIndex, &kHidden},     Presence::kCsa,              at<&Layer::indexer, &Indexer::compressor, &Compressor::wgate>},
    {"attn.indexer.compressor.ape",          "self_attn.compressor.indexer.position_bias",              "",                                                 "indexer_compressor_ape.weight",  Kind::kF32Vector,   {&kRatio, &kCoffIndex},      Presence::kCsa,              at<&Layer::indexer, &Indexer::compressor, &Compressor::ape>},
    {"attn.indexer.compressor.norm.weight",  "self_attn.compressor.indexer.kv_norm.weight",             "",                                                 "indexer_compressor_norm.weight", Kind::kBf16Vector,  {&kIndexDim},                Presence::kCsa,              at<&Layer::indexer, &Indexer::compressor, &Compressor::norm>},
    {"attn.q_norm.weight",                   "self_attn.q_a_layernorm.weight",                          "",                                                 "attn_q_a_norm.weight",           Kind::kBf16Vector,  {&kQLora},                   Presence::kMla,              at<&Layer::q_norm>},
    {"attn.wq_b.weight",                     "self_attn.q_b_proj.weight",                               "",                                                 "attn_q_b.weight",                Kind::kMatrix,      {&kAllQueries, &kQLora},     Presence::kMla,              at<&Layer::wq_b>},
    {"attn.wkv_a.weight",                    "self_attn.kv_a_proj_with_mqa.weight",                     "",                                                 "attn_kv_a_mqa.weight",           Kind::kMatrix,      {&kKvLatent, &kHidden},      Presence::kMla,              at<&Layer::wkv_a>},
    {"attn.kv_norm.weight",                  "self_attn.kv_a_layernorm.weight",                         "",                                                 "attn_kv_a_norm.weight",          Kind::kBf16Vector,  {&kKvLora},                  Presence::kMla,              at<&Layer::kv_norm>},
    {"attn.wkv_b.weight",                    "self_attn.kv_b_proj.weight",                              "",                                                 "attn_kv_b.weight",               Kind::kMatrix,      {&kAllKeys, &kKvLora},       Presence::kMla,              at<&Layer::wkv_b>},
    {"attn.wo.weight",                       "self_attn.o_proj.weight",                                 "",                                                 "attn_output.weight",             Kind::kMatrix,      {&kHidden, &kAllValues},     Presence::kMla,              at<&Layer::wo>},
    {"attn.indexer.wq_b.weight",             "self_attn.indexer.wq_b.weight",                           "",                                                 "indexer.attn_q_b.weight",        Kind::kMatrix,      {&kAllIndex, &kQLora},       Presence::kDsa,              at<&Layer::indexer, &Indexer::wq_b>},
    {"attn.indexer.wk.weight",               "self_attn.indexer.wk.weight",                             "",                                                 "indexer.attn_k.weight",          Kind::kMatrix,      {&kIndexDim, &kHidden},      Presence::kDsa,              at<&Layer::indexer, &Indexer::wk>},
    {"attn.indexer.k_norm.weight",           "self_attn.indexer.k_norm.weight",                         "",                                                 "indexer.k_norm.weight",          Kind::kBf16Vector,  {&kIndexDim},                Presence::kDsa,              at<&Layer::indexer, &Indexer::k_norm>},
    {"attn.indexer.k_norm.bias",             "self_attn.indexer.k_norm.bias",                           "",                                                 "indexer.k_norm.bias",            Kind::kBf16Vector,  {&kIndexDim},                Presence::kDsa,              at<&Layer::indexer, &Indexer::k_norm_bias>},
    {"attn.indexer.weights_proj.weight",     "self_attn.indexer.weights_proj.weight",                   "",                                                 "indexer.proj.weight",            Kind::kBf16Matrix,  {&kIndexHeads, &kHidden},    Presence::kDsa,              at<&Layer::indexer, &Indexer::weights_proj>},
    {"attn.indexer.wq_b.weight",             "attn.indexer.wq_b.weight",                                "",                                                 "",                               Kind::kMatrix,      {&kAllIndex, &kQLora},       Presence::kCsa2Choice,       at<&Layer::indexer, &Indexer::wq_b>},
    {"attn.indexer.weights_proj.weight",     "attn.indexer.weights_proj.weight",                        "",                                                 "",                               Kind::kBf16Matrix,  {&kIndexHeads, &kHidden},    Presence::kCsa2Choice,       at<&Layer::indexer, &Indexer::weights_proj>},
    {"attn.indexer.wk.weight",               "attn.indexer.wk.weight",                                  "",                                                 "",                               Kind::kBf16Matrix,  {&kIndexDim, &kHeadDim},     Presence::kCsa2Keys,         at<&Layer::indexer, &Indexer::wk>},
    {"attn.indexer.k_norm.weight",           "attn.indexer.k_norm.weight",                              "",                                                 "",                               Kind::kBf16Vector,  {&kIndexDim},                Presence::kCsa2Keys,         at<&Layer::indexer, &Indexer::k_norm>},
    {"engram.embed.weight",                  "engram.embed.weight",                                     "",                                                 "",                               Kind::kEngramTable, {&kEngramRows, &kEngramDim}, Presence::kEngram,           at<&Layer::engram, &Engram::table>},
    {"engram.wkv.weight",                    "engram.wkv.weight",                                       "",                                                 "",                               Kind::kMatrix,      {&kEngramOut, &kEngramIn},   Presence::kEngram,           at<&Layer::engram, &Engram::wkv>},
    {"engram.q_weight",                      "engram.q_weight",                                         "",                                                 "",                               Kind::kBf16Vector,  {&kStreams, &kHidden},       Presence::kEngram,           at<&Layer::engram, &Engram::q_weight>},
    {"engram.k_weight",                      "engram.k_weight",                                         "",                                                 "",                               Kind::kBf16Vector,  {&kStreams, &kHidden},       Presence::kEngram,           at<&Layer::engram, &Engram::k_weight>},
    {"hc_ffn_fn",                            "ffn_hc.fn",                                               "",                                                 "hc_ffn_fn.weight",               Kind::kF32Matrix,   {&kMixes, &kAllHidden},      Presence::kHyperConnections, at<&Layer::ffn_hc, &Mhc::fn>},
    {"hc_ffn_base",                          "ffn_hc.base",                                             "",                                                 "hc_ffn_base.weight",             Kind::kF32Vector,   {&kMixes},                   Presence::kHyperConnections, at<&Layer::ffn_hc, &Mhc::base>},
    {"hc_ffn_scale",                         "ffn_hc.scale",                                            "",                                                 "hc_ffn_scale.weight",            Kind::kF32Vector,   {&kThree},                   Presence::kHyperConnections, at<&Layer::ffn_hc, &Mhc::scale>},
    {"ffn_norm.weight",                      "post_attention_layernorm.weight",                         "",                                                 "ffn_norm.weight",                Kind::kBf16Vector,  {&kHidden},                  Presence::kAlways,           at<&Layer::ffn_norm>},
    {"ffn.gate.weight",                      "mlp.gate.weight",                                         "",                                                 "ffn_gate_inp.weight",            Kind::kBf16Matrix,  {&kExperts, &kHidden},       Presence::kMoe,              at<&Layer::gate>},
    {"ffn.gate.bias",                        "mlp.gate.e_score_correction_bias",                        "",                                                 "exp_probs_b.bias",               Kind::kF32Vector,   {&kExperts},                 Presence::kScoreRouter,      at<&Layer::gate_bias>},
    {"ffn.gate.tid2eid",                     "mlp.gate.tid2eid",                                        "",                                                 "ffn_gate_tid2eid.weight",        Kind::kTable,       {&kVocab, &kTopk},           Presence::kHashRouter,       at<&Layer::tid2eid>},
    {"ffn.shared_experts.w1.weight",         "mlp.shared_experts.gate_proj.weight",                     "",                                                 "ffn_gate_shexp.weight",          Kind::kMatrix,      {&kInter, &kHidden},         Presence::kMoe,              at<&Layer::shared, &Expert::w1>},
    {"ffn.shared_experts.w3.weight",         "mlp.shared_experts.up_proj.weight",                       "",                                                 "ffn_up_shexp.weight",            Kind::kMatrix,      {&kInter, &kHidden},         Presence::kMoe,              at<&Layer::shared, &Expert::w3>},
    {"ffn.shared_experts.w2.weight",         "mlp.shared_experts.down_proj.weight",                     "",                                                 "ffn_down_shexp.weight",          Kind::kMatrix,      {&kHidden, &kInter},         Presence::kMoe,              at<&Layer::shared, &Expert::w2>},
    {"ffn.w1.weight",                        "mlp.gate_proj.weight",                                    "",                                                 "ffn_gate.weight",                Kind::kMatrix,      {&kDenseInter, &kHidden},    Presence::kDense,            at<&Layer::dense, &Expert::w1>},
    {"ffn.w3.weight",                        "mlp.up_proj.weight",                                      "",                                                 "ffn_up.weight",                  Kind::kMatrix,      {&kDenseInter, &kHidden},    Presence::kDense,            at<&Layer::dense, &Expert::w3>},
    {"ffn.w2.weight",                        "mlp.down_proj.weight",                                    "",                                                 "ffn_down.weight",                Kind::kMatrix,      {&kHidden, &kDenseInter},    Presence::kDense,            at<&Layer::dense, &Expert::w2>},
};

constexpr TensorRow<MtpWeights> kMtpRows[] = {
    //official         transformers               a third spelling  GGUF                              kind               shape                     in layers                    fills
    {"e_proj.weight",  "",                        "",               "",                               Kind::kMatrix,     {&kHidden, &kHidden},     Presence::kHyperConnections, at<&Mtp::e_proj>},
    {"h_proj.weight",  "",                        "",               "",                               Kind::kMatrix,     {&kHidden, &kHidden},     Presence::kHyperConnections, at<&Mtp::h_proj>},
    {"eh_proj.weight", "eh_proj.weight",          "",               "nextn.eh_proj.weight",           Kind::kBf16Matrix, {&kHidden, &kTwoHidden},  Presence::kPlainResidual,    at<&Mtp::eh_proj>},
    {"enorm.weight",   "enorm.weight",            "",               "nextn.enorm.weight",             Kind::kBf16Vector, {&kHidden},               Presence::kAlways,           at<&Mtp::enorm>},
    {"hnorm.weight",   "hnorm.weight",            "",               "nextn.hnorm.weight",             Kind::kBf16Vector, {&kHidden},               Presence::kAlways,           at<&Mtp::hnorm>},
    {"norm.weight",    "shared_head.norm.weight", "",               "nextn.shared_head_norm.weight",  Kind::kBf16Vector, {&kHidden},               Presence::kAlways,           at<&Mtp::norm>},
    {"hc_head_fn",     "",                        "",               "",                               Kind::kF32Matrix,  {&kStreams, &kAllHidden}, Presence::kHyperConnections, at<&Mtp::head_hc, &Mhc::fn>},
    {"hc_head_base",   "",                        "",               "",                               Kind::kF32Vector,  {&kStreams},              Presence::kHyperConnections, at<&Mtp::head_hc, &Mhc::base>},
    {"hc_head_scale",  "",                        "",               "",                               Kind::kF32Vector,  {&kOne},                  Presence::kHyperConnections, at<&Mtp::head_hc, &Mhc::scale>},
};

// {e} is the expert. I is moe_intermediate_size: transformers stacks the experts of a layer (stacked_experts()).
constexpr TensorRow<ExpertWeights> kExpertRows[] = {
    //official                    transformers                         a third spelling                    GGUFkind                 shape                in layers       fills
    {"ffn.experts.{e}.w1.weight", "mlp.experts.gate_up_proj[{e}][:I]", "mlp.experts.{e}.gate_proj.weight", "", Kind::kExpertMatrix, {&kInter, &kHidden}, Presence::kMoe, at<&Expert::w1>},
    {"ffn.experts.{e}.w3.weight", "mlp.experts.gate_up_proj[{e}][I:]", "mlp.experts.{e}.up_proj.weight",   "", Kind::kExpertMatrix, {&kInter, &kHidden}, Presence::kMoe, at<&Expert::w3>},
    {"ffn.experts.{e}.w2.weight", "mlp.experts.down_proj[{e}]",        "mlp.experts.{e}.down_proj.weight", "", Kind::kExpertMatrix, {&kHidden, &kInter}, Presence::kMoe, at<&Expert::w2>},
};

constexpr StackedExperts kStackedExperts[] = {
    {"mlp.experts.gate_up_proj", {&kTwoInter, &kHidden}, 2, {&Expert::w1, &Expert::w3}},
    {"mlp.experts.down_proj",    {&kHidden, &kInter},    1, {&Expert::w2}},
};
// ik_llama.cpp may write the first two as the third.
constexpr StackedExperts kGgufExperts[] = {
    {"ffn_gate_exps.weight", {&kInter, &kHidden}, 1, {&Expert::w1}},
    {"ffn_up_exps.weight",   {&kInter, &kHidden}, 1, {&Expert::w3}},
    {"ffn_down_exps.weight", {&kHidden, &kInter}, 1, {&Expert::w2}},
};
constexpr StackedExperts kGgufFusedExperts[] = {
    {"ffn_gate_up_exps.weight", {&kTwoInter, &kHidden}, 2, {&Expert::w1, &Expert::w3}},
    {"ffn_down_exps.weight",    {&kHidden, &kInter},    1, {&Expert::w2}},
};
// clang-format on

}  // namespace

bool is_present(Presence presence, const ModelDescription& d, const LayerDescription& layer) {
  const bool is_moe = layer.ffn == FfnKind::kMoe;
  switch (presence) {
    case Presence::kAlways:
      return true;
    case Presence::kSharedHead:
      return !is_mla(layer.attention);
    case Presence::kCompressed:
      return layer.makes_entries();
    case Presence::kCompressorGate:
      // A group of one position has nothing to weigh.
      return layer.makes_entries() && (layer.attention != AttentionKind::kCsa2 || layer.compress_ratio > 1);
    case Presence::kCompressorBias:
      return layer.makes_entries() && layer.attention != AttentionKind::kCsa2;
    case Presence::kCsa2Choice:
      return layer.attention == AttentionKind::kCsa2 && layer.chooses_entries();
    case Presence::kCsa2Keys:
      return layer.attention == AttentionKind::kCsa2 && layer.makes_entries();
    case Presence::kCsa:
      return layer.attention == AttentionKind::kCsa;
    case Presence::kMla:
      return is_mla(layer.attention);
    case Presence::kDsa:
      return layer.attention == AttentionKind::kDsa;
    case Presence::kMoe:
      return is_moe;
    case Presence::kHashRouter:
      return is_moe && layer.router == RouterKind::kHash;
    case Presence::kScoreRouter:
      return is_moe && layer.router == RouterKind::kScore;
    case Presence::kDense:
      return !is_moe;
    case Presence::kHyperConnections:
      return has_hyper_connections(d.residual);
    case Presence::kStreamsOwnCollapse:
      return d.residual == ResidualKind::kHyperConnections;
    case Presence::kEngram:
      return layer.engram_rows > 0;
    case Presence::kPlainResidual:
      return d.residual == ResidualKind::kPlain;
  }
  return false;
}

TensorShape TensorShape::of(const Dims& dims, const ModelDescription& d, const LayerDescription& layer) {
  TensorShape shape;
  for (const Dim* dim : dims) {
    if (dim == nullptr) continue;
    shape.sizes.push_back(dim->value(d, layer));
    if (!shape.formula.empty()) shape.formula += " x ";
    shape.formula += dim->formula;
  }
  return shape;
}

std::span<const TensorRow<ModelWeights>> model_rows() {
  return kModelRows;
}
std::span<const TensorRow<LayerWeights>> layer_rows() {
  return kLayerRows;
}
std::span<const TensorRow<MtpWeights>> mtp_rows() {
  return kMtpRows;
}
std::span<const TensorRow<ExpertWeights>> expert_rows() {
  return kExpertRows;
}
std::span<const StackedExperts> stacked_experts() {
  return kStackedExperts;
}
std::span<const StackedExperts> gguf_experts() {
  return kGgufExperts;
}
std::span<const StackedExperts> gguf_fused_experts() {
  return kGgufFusedExperts;
}

bool is_published_as_transformers(const ModelDescription& d) {
  return d.residual == ResidualKind::kPlain;
}

std::string draft_prefix(const ModelDescription& d, size_t draft) {
  return is_published_as_transformers(d) ? fmt::format("layers.{}.", d.layers.size() + draft)
                                         : fmt::format("mtp.{}.", draft);
}

std::string gguf_layer_prefix(size_t layer) {
  return fmt::format("blk.{}.", layer);
}

std::vector<std::string> gguf_names(std::string_view prefix, std::string_view spellings) {
  std::vector<std::string> names;
  while (!spellings.empty()) {
    const std::string_view name = spellings.substr(0, spellings.find('|'));
    names.push_back(std::string(prefix).append(name));
    spellings.remove_prefix(std::min(spellings.size(), name.size() + 1));
  }
  return names;
}

std::string with_expert(std::string_view name, int64_t expert) {
  constexpr std::string_view kPlace = "{e}";
  std::string text(name);
  if (const size_t at = text.find(kPlace); at != std::string::npos)
    text.replace(at, kPlace.size(), fmt::format("{}", expert));
  return text;
}

}  // namespace hadal
