// MLA's wkv_b from the halves that GGUF stores: attn_k_b maps a query head into the latent space, so it is W_UK
// transposed; attn_v_b is W_UV.
#pragma once

#include "base/result.h"
#include "device/tensor.h"
#include "formats/stored_tensor.h"
#include "model/model_description.h"
#include "model/stored_weights.h"

namespace hadal {

// [n_heads (qk_nope_head_dim + v_head_dim), kv_lora_rank] in float, in memory of our own: 67 MB a layer of V3, 1 % of
// the layer in Q4_K. Per head W_UK, then W_UV. Errors: Invalid (shape, type).
Result<Weight> join_latent_halves(const StoredTensor& keys, const StoredTensor& values, const ModelDescription& d,
                                  OwnedNumbers& owned);

// The matrix in float when it is stored in blocks, else as it is: the ops of latent attention read parts of rows.
Weight taken_out_of_blocks(const Weight& weight, OwnedNumbers& owned);

}  // namespace hadal
