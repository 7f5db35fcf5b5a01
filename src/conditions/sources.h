#pragma once
#include <filesystem>
#include <memory>

#include "sdg/conditions/condition_source.h"

namespace sdg::conditions {

std::unique_ptr<ConditionSource> no_source();
std::unique_ptr<ConditionSource> label_source();
std::unique_ptr<ConditionSource> online_source();
std::unique_ptr<ConditionSource> recluster_source();
std::unique_ptr<ConditionSource> kmeans_source();
std::unique_ptr<ConditionSource> file_source();

/// The stored indices of the images `indices`. Only those that the run was trained on are its clusters: throws Error
/// for others.
Tensor stored_ids(const checkpoint::Trained& trained, const std::filesystem::path& path, int64_t images,
                  const std::vector<int64_t>& indices);

}  // namespace sdg::conditions
