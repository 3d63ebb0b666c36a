// Sixteen floats in registers, for kernels that are written once and compiled for AVX2 and for AVX-512.
//
// A kernel (ops/<op>/<op>_kernel.h) is included by <op>_avx2.cpp and <op>_avx512.cpp and by nothing else; which file is
// being compiled decides what F32x16 is. Every operation is one IEEE operation per lane, so both versions of an op give
// the same bits. The unnamed namespaces keep the two meanings of F32x16, and all that is made of it, in their files.
#pragma once

#if defined(__AVX512F__)
#include "ops/f32x16_avx512.h"
#elif defined(__AVX2__)
#include "ops/f32x16_avx2.h"
#else
#error "kernels over F32x16 belong in *_avx2.cpp and *_avx512.cpp"
#endif
