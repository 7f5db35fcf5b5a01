#include "sdg/metrics/hungarian.h"

#include <limits>

#include "sdg/core/error.h"
#include "sdg/core/shape.h"

namespace sdg::metrics {
namespace {
// rows <= columns. Adds one row after the other to the matching: Dijkstra over reduced costs from the new row to the
// nearest free column, then the matching is flipped along that path.
std::vector<int64_t> match_rows(const double* cost, int64_t rows, int64_t columns) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<double> row_potential(rows, 0), column_potential(columns, 0);
  std::vector<int64_t> row_of(columns, -1), column_of(rows, -1);
  for (int64_t start = 0; start < rows; ++start) {
    std::vector<double> distance(columns, kInfinity);
    std::vector<int64_t> from(columns, -1);  // the row through which the column is reached
    std::vector<char> done(columns, 0);
    int64_t row = start, sink = -1;
    double reached = 0;
    while (sink < 0) {
      int64_t next = -1;
      for (int64_t j = 0; j < columns; ++j) {
        if (done[j]) continue;
        const double through = reached + cost[row * columns + j] - row_potential[row] - column_potential[j];
        if (through < distance[j]) {
          distance[j] = through;
          from[j] = row;
        }
        if (next < 0 || distance[j] < distance[next]) next = j;
      }
      reached = distance[next];
      done[next] = 1;
      if (row_of[next] < 0) {
        sink = next;
      } else {
        row = row_of[next];
      }
    }
    row_potential[start] += reached;
    for (int64_t j = 0; j < columns; ++j) {
      if (!done[j] || j == sink) continue;
      row_potential[row_of[j]] += reached - distance[j];
      column_potential[j] -= reached - distance[j];
    }
    for (int64_t j = sink; j >= 0;) {
      const int64_t i = from[j];
      row_of[j] = i;
      std::swap(column_of[i], j);  // j becomes the column that row i gives up, -1 at the start row
    }
  }
  return column_of;
}
}  // namespace

std::vector<int64_t> min_cost_assignment(const Tensor& cost) {
  check_shape(cost, {-1, -1}, "assignment: cost");
  const Tensor c = cost.to(at::kCPU, at::kDouble);
  SDG_CHECK(at::isfinite(c).all().item<bool>(), "assignment: costs must be finite, got NaN or infinity");
  const int64_t rows = c.size(0), columns = c.size(1);
  if (rows <= columns) return match_rows(c.contiguous().data_ptr<double>(), rows, columns);
  const Tensor transposed = c.t().contiguous();
  const auto row_of = match_rows(transposed.data_ptr<double>(), columns, rows);
  std::vector<int64_t> column_of(rows, -1);
  for (int64_t j = 0; j < columns; ++j) column_of[row_of[j]] = j;
  return column_of;
}

}  // namespace sdg::metrics
