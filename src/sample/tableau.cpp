#include "sample/tableau.h"

#include <algorithm>

namespace sdg::sample {

const std::vector<Tableau>& fixed_tableaus() {
  static const std::vector<Tableau> tables = {
      {"euler", 1, {}, {}, {1}},
      {"midpoint", 2, {1. / 2}, {{1. / 2}}, {0, 1}},
      {"heun", 2, {1}, {{1}}, {1. / 2, 1. / 2}},
      {"heun3", 3, {1. / 3, 2. / 3}, {{1. / 3}, {0, 2. / 3}}, {1. / 4, 0, 3. / 4}},
      // Kutta's 3/8 rule, which the public code's "rk4" is.
      {"rk4", 4, {1. / 3, 2. / 3, 1}, {{1. / 3}, {-1. / 3, 1}, {1, -1, 1}}, {1. / 8, 3. / 8, 3. / 8, 1. / 8}},
  };
  return tables;
}

const std::vector<Tableau>& adaptive_tableaus() {
  static const std::vector<Tableau> tables = {
      // Dormand & Prince 1980; the middle weights are Shampine's.
      {"dopri5",
       5,
       {1. / 5, 3. / 10, 4. / 5, 8. / 9, 1, 1},
       {{1. / 5},
        {3. / 40, 9. / 40},
        {44. / 45, -56. / 15, 32. / 9},
        {19372. / 6561, -25360. / 2187, 64448. / 6561, -212. / 729},
        {9017. / 3168, -355. / 33, 46732. / 5247, 49. / 176, -5103. / 18656},
        {35. / 384, 0, 500. / 1113, 125. / 192, -2187. / 6784, 11. / 84}},
       {35. / 384, 0, 500. / 1113, 125. / 192, -2187. / 6784, 11. / 84, 0},
       {35. / 384 - 1951. / 21600, 0, 500. / 1113 - 22642. / 50085, 125. / 192 - 451. / 720,
        -2187. / 6784 + 12231. / 42400, 11. / 84 - 649. / 6300, -1. / 60},
       {6025192743. / 30085553152 / 2, 0, 51252292925. / 65400821598 / 2, -2691868925. / 45128329728 / 2,
        187940372067. / 1594534317056 / 2, -1776094331. / 19743644256 / 2, 11237099. / 235043384 / 2}},
      // Bogacki & Shampine 1989.
      {"bosh3",
       3,
       {1. / 2, 3. / 4, 1},
       {{1. / 2}, {0, 3. / 4}, {2. / 9, 1. / 3, 4. / 9}},
       {2. / 9, 1. / 3, 4. / 9, 0},
       {2. / 9 - 7. / 24, 1. / 3 - 1. / 4, 4. / 9 - 1. / 3, -1. / 8},
       {0, 1. / 2, 0, 0}},
      {"adaptive_heun", 2, {1}, {{1}}, {1. / 2, 1. / 2}, {1. / 2, -1. / 2}, {1. / 2, 0}},
  };
  return tables;
}

const Tableau* find_tableau(const std::vector<Tableau>& tables, const std::string& name) {
  const auto found =
      std::find_if(tables.begin(), tables.end(), [&](const Tableau& table) { return table.name == name; });
  return found == tables.end() ? nullptr : &*found;
}

Tensor combine(const Tensor& x, double dt, const std::vector<double>& weights, const std::vector<Tensor>& k) {
  Tensor sum = x;
  for (size_t j = 0; j < weights.size(); ++j) {
    if (weights[j] != 0) sum = at::add(sum, k[j], dt * weights[j]);
  }
  return sum;
}

std::vector<Tensor> stage_velocities(const Tableau& table, const VelocityFn& velocity, const Tensor& x, double t,
                                     double dt, const Tensor& first) {
  std::vector<Tensor> k;
  k.reserve(table.stages());
  k.push_back(first.defined() ? first : velocity(x, t));
  for (size_t i = 0; i < table.rows.size(); ++i) {
    k.push_back(velocity(combine(x, dt, table.rows[i], k), t + table.nodes[i] * dt));
  }
  return k;
}

}  // namespace sdg::sample
