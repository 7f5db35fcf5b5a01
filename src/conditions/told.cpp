#include "sdg/conditions/told.h"

#include "sdg/cluster/label_prior.h"
#include "sdg/conditions/pseudo_labels.h"
#include "sdg/conditions/stored_file.h"
#include "sdg/core/error.h"
#include "sdg/core/finite.h"
#include "sdg/io/digest.h"
#include "sdg/io/file_kind.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::conditions {
namespace {

using recipe::Told;

const Tensor& needed(const tensors::TensorFile& file, const char* name, const std::string& where, const char* made_by) {
  const auto found = file.tensors.find(name);
  SDG_CHECK(found != file.tensors.end(), where, ": holds no `", name, "`: make it with ", made_by);
  return found->second;
}

// float32 [rows, F]
Tensor vectors(const Tensor& tensor, int64_t rows, const char* name, const std::string& where) {
  SDG_CHECK(
      tensor.is_floating_point() && tensor.dim() == 2 && (rows < 0 || tensor.size(0) == rows) && tensor.numel() > 0,
      where, ": ", name, " must be floating-point numbers [", rows < 0 ? std::string("K") : std::to_string(rows),
      ", F], got ", tensor.scalar_type(), " ", to_string(tensor.sizes()));
  auto out = tensor.to(at::kFloat).contiguous();
  check_finite(out, where, name);
  return out;
}

Tensor neighbours(const Tensor& tensor, int64_t images, const std::string& where) {
  SDG_CHECK(at::isIntegralType(tensor.scalar_type(), false) && tensor.dim() == 2 && tensor.size(0) == images, where,
            ": neighbours must be whole numbers [", images, ", k], got ", tensor.scalar_type(), " ",
            to_string(tensor.sizes()));
  SDG_CHECK(tensor.size(1) > 0, where, ": the list of neighbours is empty: images have no neighbour to be told of");
  auto out = tensor.to(at::kLong).contiguous();
  SDG_CHECK(out.min().item<int64_t>() >= 0 && out.max().item<int64_t>() < images, where,
            ": neighbours must be numbers of images, 0 to ", images - 1, ", got ", out.min().item<int64_t>(), " to ",
            out.max().item<int64_t>());
  return out;
}

}  // namespace

ToldConditions read_told(const std::filesystem::path& path, int64_t images, int64_t size, Told told) {
  ToldConditions out;
  if (told == Told::kStored) {
    out.stored = read_stored(path, images, size);
    out.ids = out.stored ? at::arange(out.stored->rows()) : read_indices(path, images);
    out.classes = out.stored ? out.stored->classes : out.ids.max().item<int64_t>() + 1;
    return out;
  }
  const auto where = path.string();
  SDG_CHECK(io::lower_suffix(path) == ".safetensors" && std::filesystem::is_regular_file(path), where,
            ": condition.told ", config::name(told), " needs a safetensors file of clusters, as sdg kmeans writes it");
  const auto file = tensors::read_tensors(path);
  SDG_CHECK(!file.tensors.contains("maps"), where, ": holds maps, which condition.told ", config::name(told),
            " would leave out; told stored tells all that it holds");
  auto stored = std::make_shared<network::StoredConditions>();
  switch (told) {
    case Told::kStored:
      break;
    case Told::kCluster:
      out.ids = read_indices(path, images);
      out.classes = out.ids.max().item<int64_t>() + 1;
      return out;
    case Told::kCentroid: {
      out.ids = read_indices(path, images);
      stored->values = vectors(needed(file, "centroids", where, "sdg kmeans"), -1, "centroids", where);
      const auto clusters = stored->values.size(0);
      SDG_CHECK(out.ids.max().item<int64_t>() < clusters, where, ": ids must be below the number of centroids, ",
                clusters, ", got ", out.ids.max().item<int64_t>());
      stored->weights = at::bincount(out.ids, {}, clusters).to(at::kDouble);
      break;
    }
    case Told::kKnnFeat:
      stored->neighbours = neighbours(needed(file, "neighbours", where, "sdg kmeans --neighbours"), images, where);
      [[fallthrough]];
    case Told::kFeat:
      stored->values =
          vectors(needed(file, "features", where, "sdg kmeans --keep-features"), images, "features", where);
      out.ids = at::arange(images);
      break;
  }
  out.stored = std::move(stored);
  return out;
}

std::string told_key(const ToldConditions& told) {
  if (!told.stored) return condition_key(told.ids);
  // Of rows that are not the images' own it matters too which is whose.
  return told.stored->weights.defined() ? stored_key(*told.stored) + condition_key(told.ids) : stored_key(*told.stored);
}

namespace {

void check_like(const network::StoredConditions& before, const network::StoredConditions& now,
                const std::string& where) {
  SDG_CHECK(now.kind() == before.kind() && now.maps.defined() == before.maps.defined(), where,
            ": holds conditions of another kind than those the network was trained on: ", config::name(now.kind()),
            now.maps.defined() ? " with maps" : "", " instead of ", config::name(before.kind()),
            before.maps.defined() ? " with maps" : "");
  SDG_CHECK(now.width() == before.width(), where, ": holds vectors of ", now.width(),
            " numbers, the network was trained on ", before.width());
  const bool patches = now.values.defined() && now.values.dim() == 3;
  SDG_CHECK(!patches || now.values.size(1) == before.values.size(1), where, ": holds vectors of ", now.values.size(1),
            " patches an image, the network was trained on ", before.values.size(1));
  SDG_CHECK(now.classes <= before.classes, where, ": holds index ", now.classes - 1, ", the network knows ",
            before.classes);
  const bool classes = now.maps.defined() && now.maps.dim() == 3;  // the others' channels are shown as they are
  SDG_CHECK(classes ? now.map_channels <= before.map_channels : now.map_channels == before.map_channels, where,
            ": holds maps of ", now.map_channels, " channels, the network was trained on ", before.map_channels);
}

}  // namespace

Tensor tell_of(const std::filesystem::path& path, checkpoint::Trained& trained) {
  const auto& config = trained.info.config;
  SDG_CHECK_USAGE(config.condition.source == recipe::Source::kFile && trained.prior.defined(), path.string(), ": ",
                  trained.path, " was not trained on conditions of a file (condition.source ",
                  config::name(config.condition.source), ")");
  const auto images = images_of(path);
  SDG_CHECK(images > 0, path.string(), ": holds no conditions of images");
  auto told = read_told(path, images, config.data.size, config.condition.told);
  const auto& before = trained.network.stored;
  if (!before || !told.stored) {
    SDG_CHECK(!before && !told.stored, path.string(), ": holds ", told.stored ? "more than" : "only",
              " an index an image, which is not what the network was trained on");
    SDG_CHECK(told.classes <= trained.prior.size(0), path.string(), ": holds index ", told.classes - 1,
              ", the network knows ", trained.prior.size(0));
    return told.ids;
  }
  check_like(*before, *told.stored, path.string());
  auto now = *told.stored;
  now.classes = before->classes;
  now.map_channels = before->map_channels;
  const auto rows =
      now.rows_for(told.ids, {recipe::seed_of(config), rng::Purpose::kNeighbour, 0}, rng::consecutive(0, images));
  now.neighbours = Tensor();
  trained.network.stored = std::make_shared<network::StoredConditions>(std::move(now));
  trained.prior = cluster::label_prior(trained.network.stored->frequencies());
  return rows;
}

int64_t images_of(const std::filesystem::path& path) {
  SDG_CHECK(std::filesystem::is_regular_file(path), path.string(), ": no such file of conditions");
  if (io::lower_suffix(path) != ".safetensors") return count_indices(path);
  const auto header = tensors::read_tensor_header(path);
  for (const auto* name : {"ids", "features", "vectors", "patch_vectors", "maps"}) {
    const auto found = header.tensors.find(name);
    if (found != header.tensors.end() && found->second.dim() > 0) return found->second.size(0);
  }
  return 0;
}

}  // namespace sdg::conditions
