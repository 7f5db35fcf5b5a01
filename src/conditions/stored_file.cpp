#include "sdg/conditions/stored_file.h"

#include "sdg/conditions/pseudo_labels.h"
#include "sdg/core/error.h"
#include "sdg/core/finite.h"
#include "sdg/core/whole_number.h"
#include "sdg/io/digest.h"
#include "sdg/io/file_kind.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::conditions {
namespace {

constexpr const char *kVectors = "vectors", *kPatchVectors = "patch_vectors", *kMaps = "maps", *kIds = "ids";

class Reading {
 public:
  Reading(const std::filesystem::path& path, int64_t images)
      : path_(path.string()), images_(images), file_(tensors::read_tensors(path)) {}

  bool has(const char* name) const { return file_.tensors.contains(name); }

  // [N, ...] float32, with `dims` dimensions.
  Tensor floats(const char* name, int64_t dims) const {
    const auto& tensor = file_.tensors.at(name);
    SDG_CHECK(tensor.is_floating_point(), path_, ": ", name, " must be floating point, got ", tensor.scalar_type());
    check_shape(tensor, name, dims);
    auto out = tensor.to(at::kFloat).contiguous();
    check_finite(out, path_, name);
    return out;
  }

  void read_maps(network::StoredConditions& out, int64_t size) const {
    const auto& maps = file_.tensors.at(kMaps);
    if (maps.scalar_type() == at::kByte && maps.dim() == 4) {
      check_shape(maps, kMaps, 4);
      SDG_CHECK(maps.max().item<int64_t>() <= 1, path_, ": maps of bytes in channels must be 0 and 1, got ",
                maps.max().item<int64_t>());
      out.maps = maps.contiguous();
      out.map_channels = maps.size(1);
    } else if (maps.scalar_type() == at::kByte) {
      check_shape(maps, kMaps, 3);
      out.maps = maps.contiguous();
      out.map_channels = classes_of(maps);
    } else {
      out.maps = floats(kMaps, 4);
      out.map_channels = out.maps.size(1);
    }
    SDG_CHECK(out.maps.size(-1) == size && out.maps.size(-2) == size, path_, ": maps must be as large as the images, ",
              size, " x ", size, ", got ", out.maps.size(-2), " x ", out.maps.size(-1));
  }

 private:
  // Where the file says how many classes there are, 255 is none of them; elsewhere the largest number is the last.
  int64_t classes_of(const Tensor& maps) const {
    const auto said = file_.metadata.find("map_channels");
    const auto largest = [&](const Tensor& of) { return of.numel() > 0 ? of.max().item<int64_t>() : -1; };
    if (said == file_.metadata.end()) {
      const auto most = largest(maps);
      SDG_CHECK(most < network::StoredConditions::kNoClass, path_,
                ": maps hold 255, which is no class where metadata `map_channels` says how many classes there are, and "
                "the file has none");
      return most + 1;
    }
    const auto number = whole_number(said->second);
    SDG_CHECK(number && *number >= 1 && *number < network::StoredConditions::kNoClass, path_,
              ": metadata `map_channels` must be 1 to 254, got ", said->second);
    const auto classes = *number;
    const auto most = largest(maps.masked_select(maps.ne(network::StoredConditions::kNoClass)));
    SDG_CHECK(most < classes, path_, ": maps hold class ", most, ", but are said to have ", classes, " classes");
    return classes;
  }

  void check_shape(const Tensor& tensor, const char* name, int64_t dims) const {
    SDG_CHECK(tensor.dim() == dims && tensor.size(0) == images_ && tensor.numel() > 0, path_, ": ", name, " must have ",
              dims, " dimensions, the first of ", images_, " images, got ", to_string(tensor.sizes()));
  }

  std::string path_;
  int64_t images_;
  tensors::TensorFile file_;
};

}  // namespace

std::shared_ptr<const network::StoredConditions> read_stored(const std::filesystem::path& path, int64_t images,
                                                             int64_t size) {
  if (io::lower_suffix(path) != ".safetensors" || !std::filesystem::is_regular_file(path)) return nullptr;
  const Reading file(path, images);
  if (!file.has(kVectors) && !file.has(kPatchVectors) && !file.has(kMaps)) return nullptr;
  SDG_CHECK(file.has(kVectors) + file.has(kPatchVectors) + file.has(kIds) <= 1, path.string(),
            ": expected one of vectors, patch_vectors and ids, and maps beside it or alone");
  auto out = std::make_shared<network::StoredConditions>();
  if (file.has(kVectors)) out->values = file.floats(kVectors, 2);
  if (file.has(kPatchVectors)) out->values = file.floats(kPatchVectors, 3);
  if (file.has(kIds)) {
    out->values = read_indices(path, images);
    out->classes = out->values.max().item<int64_t>() + 1;
  }
  if (file.has(kMaps)) file.read_maps(*out, size);
  return out;
}

std::string stored_key(const network::StoredConditions& stored) {
  io::Digest digest;
  for (const auto& tensor : {stored.values, stored.maps}) {
    digest.number(tensor.defined() ? 1 : 0);
    if (tensor.defined()) digest.tensor(tensor);
  }
  for (const auto& tensor : {stored.weights, stored.neighbours})
    if (tensor.defined()) digest.tensor(tensor);
  return digest.hex();
}

}  // namespace sdg::conditions
