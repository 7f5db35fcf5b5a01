#include "cli/cluster_table.h"

#include <algorithm>
#include <cstdio>

#include "io/json_impl.h"
#include "sdg/conditions/pseudo_labels.h"
#include "sdg/core/error.h"
#include "sdg/io/file_kind.h"
#include "sdg/metrics/clustering.h"
#include "sdg/study/cluster_study.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::cli {
namespace {

// int64 [N]; how many there are is not known before.
Tensor labels_in(const std::string& path) {
  if (io::lower_suffix(path) == ".safetensors") {
    const auto file = tensors::read_tensors(path);
    const auto found = file.tensors.find("labels");
    if (found != file.tensors.end()) {
      SDG_CHECK(found->second.dim() == 1 && at::isIntegralType(found->second.scalar_type(), false), path,
                ": labels must be whole numbers [N], got ", found->second.scalar_type(), " ",
                to_string(found->second.sizes()));
      return found->second.to(at::kLong);
    }
  }
  return {};
}

struct Row {
  std::string file, method = "?";
  int64_t rows = 0, clusters = 0, used = 0;
  double entropy = 0;
  metrics::ClusterAgreement scores;
};

Row row_of(const std::string& path, const std::string& labels_path, const Tensor& labels) {
  Row out;
  out.file = path;
  Tensor ids;
  if (io::lower_suffix(path) == ".safetensors") {
    const auto file = tensors::read_tensors(path);
    SDG_CHECK(file.tensors.contains("ids"), path, ": holds no tensor `ids`, so it is no file of clusters");
    ids = conditions::read_indices(path, file.at("ids").numel());
    if (const auto method = file.metadata.find("method"); method != file.metadata.end()) out.method = method->second;
    if (const auto k = file.metadata.find("clusters"); k != file.metadata.end()) out.clusters = std::stoll(k->second);
  } else {
    SDG_CHECK(labels.defined(), path, ": how many rows it must have is said by labels in a .safetensors file alone");
    ids = conditions::read_indices(path, labels.numel());
  }
  out.rows = ids.numel();
  out.clusters = std::max(out.clusters, ids.max().item<int64_t>() + 1);
  const auto sizes = study::cluster_sizes(ids, out.clusters);
  out.used = out.clusters - static_cast<int64_t>(sizes.dead.size());
  out.entropy = sizes.entropy;
  const auto truth = labels.defined() ? labels : conditions::read_indices(labels_path, out.rows);
  SDG_CHECK(truth.numel() == out.rows, path, ": holds ", out.rows, " rows, ", labels_path, " ", truth.numel(),
            " labels");
  out.scores = metrics::cluster_agreement(truth, ids);
  return out;
}

void print(const std::vector<Row>& rows) {
  size_t width = 4;
  for (const auto& row : rows) width = std::max(width, row.file.size());
  std::printf("%-*s  %-8s %6s %6s %7s %7s %7s %7s %7s %7s %7s %8s\n", static_cast<int>(width), "file", "method", "K",
              "used", "NMI", "AMI", "ARI", "ACC", "homog.", "compl.", "purity", "entropy");
  for (const auto& row : rows)
    std::printf("%-*s  %-8s %6lld %6lld %7.4f %7.4f %7.4f %7.4f %7.4f %7.4f %7.4f %8.4f\n", static_cast<int>(width),
                row.file.c_str(), row.method.c_str(), static_cast<long long>(row.clusters),
                static_cast<long long>(row.used), row.scores.nmi, row.scores.ami, row.scores.ari, row.scores.accuracy,
                row.scores.homogeneity, row.scores.completeness, row.scores.purity, row.entropy);
}

}  // namespace

int tabulate_clusters(const std::vector<std::string>& files, const std::string& labels, bool json) {
  const auto truth = labels_in(labels);
  std::vector<Row> rows;
  for (const auto& file : files) rows.push_back(row_of(file, labels, truth));
  if (!json) {
    print(rows);
    return 0;
  }
  auto list = nlohmann::ordered_json::array();
  for (const auto& row : rows)
    list.push_back({{"file", row.file},
                    {"method", row.method},
                    {"rows", row.rows},
                    {"clusters", row.clusters},
                    {"used", row.used},
                    {"entropy", row.entropy},
                    {"nmi", row.scores.nmi},
                    {"ami", row.scores.ami},
                    {"ari", row.scores.ari},
                    {"accuracy", row.scores.accuracy},
                    {"homogeneity", row.scores.homogeneity},
                    {"completeness", row.scores.completeness},
                    {"purity", row.scores.purity}});
  std::printf("%s\n", io::json_text(list).c_str());
  return 0;
}

}  // namespace sdg::cli
