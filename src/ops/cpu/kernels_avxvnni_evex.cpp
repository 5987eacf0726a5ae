// kernels_avxvnni.cpp in the encoding of AVX-512 VNNI.
#define MISTRAL_AVXVNNI_EVEX
#include "ops/cpu/kernels_avxvnni.cpp"
