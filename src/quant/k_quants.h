// Encoders of the K formats: a search for the scales that make the squared error of a block of 256
// small, in two stages.
//  1. Each sub-block alone: for some candidates of the step width, round the values and solve the
//     least-squares problem for scale (and offset) with these integers; keep the best.
//  2. The block: round the scales to the integers that the format stores, with the common factors
//     rounded to halves, try neighbours of these integers on the true decoded values, then solve
//     for the common factors with all integers held, and again, while the error falls.
#pragma once

#include "quant/block_formats.h"

namespace mistral::quant {

// x: kSuperBlock finite values. Throw Error (kInvalidArgument) when they are too large for halves
// as scales.
void encode_q2_k(const float* x, BlockQ2_K& block);
void encode_q3_k(const float* x, BlockQ3_K& block);
void encode_q4_k(const float* x, BlockQ4_K& block);
void encode_q5_k(const float* x, BlockQ5_K& block);
void encode_q6_k(const float* x, BlockQ6_K& block);

}  // namespace mistral::quant
