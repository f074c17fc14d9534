// Registers of LANES floats: one pixel, or one weight, of LANES images or filters.

#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace fer {

#if defined(__AVX512F__)
constexpr int LANES = 16;
constexpr bool MANY_REGISTERS = true;  // 32 registers
#else
constexpr int LANES = 8;
constexpr bool MANY_REGISTERS = false;
#endif
typedef float Vec __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t IntVec __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef uint8_t ByteVec __attribute__((vector_size(LANES)));

inline Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
// Copies `lanes` values and sets the rest to zero. A full copy is a separate case, because only a copy of constant size
// is one instruction, unless the processor can mask lanes.
#if defined(__AVX512BW__) && defined(__AVX512VL__)
inline uint16_t first_of(int lanes) { return static_cast<uint16_t>((1u << lanes) - 1); }
inline Vec load(const float* p, int lanes) { return reinterpret_cast<Vec>(_mm512_maskz_loadu_ps(first_of(lanes), p)); }
inline IntVec load(const uint8_t* p, int lanes) {
  return reinterpret_cast<IntVec>(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(first_of(lanes), p)));
}
inline void store(float* p, Vec v, int lanes) { _mm512_mask_storeu_ps(p, first_of(lanes), reinterpret_cast<__m512>(v)); }
inline void store(uint8_t* p, IntVec v, int lanes) {
  _mm_mask_storeu_epi8(p, first_of(lanes), _mm512_cvtepi32_epi8(reinterpret_cast<__m512i>(v)));
}
#else
inline Vec load(const float* p, int lanes) {
  if (lanes == LANES) return load(p);
  Vec v{};
  std::memcpy(&v, p, lanes * sizeof(float));
  return v;
}
inline IntVec load(const uint8_t* p, int lanes) {
  ByteVec v{};
  if (lanes == LANES)
    std::memcpy(&v, p, LANES);
  else
    std::memcpy(&v, p, lanes);
  return __builtin_convertvector(v, IntVec);
}
inline void store(float* p, Vec v, int lanes) {
  if (lanes == LANES)
    std::memcpy(p, &v, sizeof v);
  else
    std::memcpy(p, &v, lanes * sizeof(float));
}
inline void store(uint8_t* p, IntVec v, int lanes) {
  const ByteVec bytes = __builtin_convertvector(v, ByteVec);
  if (lanes == LANES)
    std::memcpy(p, &bytes, LANES);
  else
    std::memcpy(p, &bytes, lanes);
}
#endif
inline Vec broadcast(float value) { return value - Vec{}; }  // 0 + value would be an addition, because of -0

// `load` into a register that several products share. Compilers tend to read memory again for each product, twice the
// loads that the processor can do.
inline Vec load_once(const float* p) {
  Vec v = load(p);
#if defined(__AVX512F__)
  asm("" : "+v"(v));
#elif defined(__AVX__)
  asm("" : "+x"(v));
#endif
  return v;
}

// Fetches what a loop that runs through memory reads a kilobyte later. Processors do so by themselves within a page of 4 KB
// only, and an address behind the end of a map does no harm.
inline void fetch_ahead(const float* p) { __builtin_prefetch(p + 256); }

// The larger value and its place in the window. NaN is passed on.
inline void keep_greater(Vec other, IntVec number, Vec& best, IntVec& place) {
  const IntVec greater = (other > best) | (other != other);
  best = greater ? other : best;
  place = greater ? number : place;
}
inline void keep_greater(Vec other, int number, Vec& best, IntVec& place) {
  keep_greater(other, IntVec{} + number, best, place);
}

// Zero where y is not above zero. NaN is passed on.
inline Vec rectified(Vec y) { return y <= Vec{} ? Vec{} : y; }

inline float sum_of_lanes(Vec v) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps(reinterpret_cast<__m512>(v));
#else
  // Halved again and again rather than lane by lane: these sums are a tenth of a narrow layer's work.
  typedef float Four __attribute__((vector_size(16)));
  Four parts[LANES / 4];
  std::memcpy(&parts, &v, sizeof v);
  for (int n = LANES / 8; n >= 1; n /= 2)
    for (int i = 0; i < n; ++i) parts[i] += parts[i + n];
  return (parts[0][0] + parts[0][2]) + (parts[0][1] + parts[0][3]);
#endif
}

}  // namespace fer
