#pragma once
#include <string>
#include <vector>

namespace sdg::cli {

/// `eval-clusters --files`: each file of clusters against the same labels, a row each; as JSON a list of objects.
/// Labels: a tensor `labels` of a safetensors file (of stored features, say), or indices as condition.source file takes
/// them. Throws Error for other numbers of rows.
int tabulate_clusters(const std::vector<std::string>& files, const std::string& labels, bool json);

}  // namespace sdg::cli
