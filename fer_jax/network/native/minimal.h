// Winograd's minimal filtering F(m, k) along one axis, of arrays of vectors, and along both.
//
// Pixels and weights are taken as polynomials, whose product is interpolated from its values at t - 1 points and infinity.
// The points are 0, then pairs of +p and -p, then perhaps one alone. They were chosen for small rounding errors among some
// tens: half to three quarters of what the usual 1 and 2 give. `pixels` gives the products of d with the coefficients of
// the polynomials prod over l != j of (x - point l), and for infinity with those of the product over all l.

#pragma once

#include "lanes.h"

namespace fer {

template <int T>
struct Points;

template <>
struct Points<4> {
  static constexpr int PAIRS = 1;
  static constexpr double AT[] = {0, 1, -1};
  static void pixels(const Vec d[4], Vec v[4]) {
    v[0] = d[2] - d[0], v[1] = d[2] + d[1], v[2] = d[2] - d[1], v[3] = d[3] - d[1];
  }
};

template <>
struct Points<5> {
  static constexpr int PAIRS = 1;
  static constexpr double AT[] = {0, 0.75, -0.75, 2};
  static void pixels(const Vec d[5], Vec v[5]) {
    constexpr float A = 0.75f, B = 2, A2 = A * A;
    const Vec even = d[3] - B * d[2], odd = A * (d[2] - B * d[1]);
    v[0] = even - A2 * (d[1] - B * d[0]);
    v[1] = even + odd, v[2] = even - odd, v[3] = d[3] - A2 * d[1];
    v[4] = d[4] - B * d[3] - A2 * (d[2] - B * d[1]);
  }
};

template <>
struct Points<6> {
  static constexpr int PAIRS = 2;
  static constexpr double AT[] = {0, 0.75, -0.75, 1.5, -1.5};
  static void pixels(const Vec d[6], Vec v[6]) {
    constexpr float A = 0.75f, B = 1.5f, A2 = A * A, B2 = B * B;
    const Vec even_a = d[4] - B2 * d[2], odd_a = A * (d[3] - B2 * d[1]);
    const Vec even_b = d[4] - A2 * d[2], odd_b = B * (d[3] - A2 * d[1]);
    v[0] = (A2 * B2) * d[0] - (A2 + B2) * d[2] + d[4];
    v[1] = even_a + odd_a, v[2] = even_a - odd_a, v[3] = even_b + odd_b, v[4] = even_b - odd_b;
    v[5] = (A2 * B2) * d[1] - (A2 + B2) * d[3] + d[5];
  }
};

template <>
struct Points<8> {
  static constexpr int PAIRS = 3;
  static constexpr double AT[] = {0, 0.5, -0.5, 1, -1, 2, -2};
  // The pair +a and -a, where b and c are the other pairs' points.
  static void pair(const Vec d[8], float a, float b, float c, Vec& plus, Vec& minus) {
    const float sum = b * b + c * c, product = b * b * c * c;
    const Vec even = d[6] - sum * d[4] + product * d[2], odd = a * (d[5] - sum * d[3] + product * d[1]);
    plus = even + odd, minus = even - odd;
  }
  static void pixels(const Vec d[8], Vec v[8]) {
    constexpr float A = 0.5f, B = 1, C = 2, A2 = A * A, B2 = B * B, C2 = C * C;
    constexpr float ONES = A2 + B2 + C2, TWOS = A2 * B2 + A2 * C2 + B2 * C2, THREE = A2 * B2 * C2;
    v[0] = d[6] - ONES * d[4] + TWOS * d[2] - THREE * d[0];
    pair(d, A, B, C, v[1], v[2]), pair(d, B, A, C, v[3], v[4]), pair(d, C, A, B, v[5], v[6]);
    v[7] = d[7] - ONES * d[5] + TWOS * d[3] - THREE * d[1];
  }
};

constexpr double power(double x, int n) { return n == 0 ? 1 : x * power(x, n - 1); }

template <int M, int K>
struct Minimal {
  static constexpr int T = M + K - 1;
  using P = Points<T>;

  // What weight `k` of a kernel counts at point `j`, infinity being the last.
  static constexpr float of_kernel(int j, int k) {
    if (j == T - 1) return k == K - 1;
    double others = 1;
    for (int l = 0; l < T - 1; ++l)
      if (l != j) others *= P::AT[j] - P::AT[l];
    return static_cast<float>(power(P::AT[j], k) / others);
  }
  struct Table {
    float at[T][K];
    constexpr Table() : at() {
      for (int j = 0; j < T; ++j)
        for (int k = 0; k < K; ++k) at[j][k] = of_kernel(j, k);
    }
  };
  static constexpr Table KERNEL{};

  static void weights(const Vec g[K], Vec u[T]) {
#pragma GCC unroll 8
    for (int j = 0; j < T; ++j) {
      u[j] = KERNEL.at[j][0] * g[0];
#pragma GCC unroll 5
      for (int k = 1; k < K; ++k) u[j] += KERNEL.at[j][k] * g[k];
    }
  }
  static void weights_transposed(const Vec u[T], Vec g[K]) {
#pragma GCC unroll 5
    for (int k = 0; k < K; ++k) {
      g[k] = KERNEL.at[0][k] * u[0];
#pragma GCC unroll 8
      for (int j = 1; j < T; ++j) g[k] += KERNEL.at[j][k] * u[j];
    }
  }
  // The coefficients of the outputs, from values at the points.
  static void outputs(const Vec m[T], Vec y[M]) {
#pragma GCC unroll 4
    for (int i = 0; i < M; ++i) {
      y[i] = i % 2 ? m[1] - m[2] : m[1] + m[2];
      if (P::AT[1] != 1) y[i] *= static_cast<float>(power(P::AT[1], i));
#pragma GCC unroll 2
      for (int j = 3; j < 2 * P::PAIRS; j += 2)
        y[i] += static_cast<float>(power(P::AT[j], i)) * (i % 2 ? m[j] - m[j + 1] : m[j] + m[j + 1]);
      if (T == 2 * P::PAIRS + 3) y[i] += static_cast<float>(power(P::AT[T - 2], i)) * m[T - 2];
      if (i == 0) y[i] += m[0];
      if (i == M - 1) y[i] += m[T - 1];
    }
  }
  // The transposed of `outputs`.
  static void cotangents(const Vec y[M], Vec v[T]) {
    v[0] = y[0], v[T - 1] = y[M - 1];
#pragma GCC unroll 3
    for (int j = 1; j < 2 * P::PAIRS; j += 2) {
      Vec even = y[0], odd = static_cast<float>(P::AT[j]) * y[1];
#pragma GCC unroll 4
      for (int i = 2; i < M; ++i) (i % 2 ? odd : even) += static_cast<float>(power(P::AT[j], i)) * y[i];
      v[j] = even + odd, v[j + 1] = even - odd;
    }
    if (T == 2 * P::PAIRS + 3) {
      v[T - 2] = y[0];
#pragma GCC unroll 4
      for (int i = 1; i < M; ++i) v[T - 2] += static_cast<float>(power(P::AT[T - 2], i)) * y[i];
    }
  }
};

// Both axes of a FROM x FROM array.
template <int FROM, int TO, typename F>
inline void both_axes(const Vec (&in)[FROM][FROM], Vec (&out)[TO][TO], F transform) {
  Vec half[FROM][TO];
#pragma GCC unroll 6
  for (int i = 0; i < FROM; ++i) transform(in[i], half[i]);
#pragma GCC unroll 6
  for (int j = 0; j < TO; ++j) {
    Vec column[FROM], done[TO];
#pragma GCC unroll 6
    for (int i = 0; i < FROM; ++i) column[i] = half[i][j];
    transform(column, done);
#pragma GCC unroll 6
    for (int i = 0; i < TO; ++i) out[i][j] = done[i];
  }
}

}  // namespace fer
