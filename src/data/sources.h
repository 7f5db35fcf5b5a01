#pragma once
#include <filesystem>

#include "sdg/data/listing.h"
#include "sdg/data/opened.h"

/// What open_data chooses between. Each throws Error where the path holds no image.
namespace sdg::data {

OpenedData open_folder(const std::filesystem::path& path);
/// Images are decoded from their place in the archive; nothing is unpacked.
OpenedData open_tar(const std::filesystem::path& path);
/// Bytes are taken as they are, 0 black and 255 white. Classes are 0 .. the largest label, named by their numbers.
OpenedData open_tensors(const std::filesystem::path& path);

/// Latents of images, see data/latents.h. Classes are named by their numbers.
OpenedData open_latents(const std::filesystem::path& path);
/// One image file.
OpenedData open_image(const std::filesystem::path& path);

/// Classes 0 .. the largest of `stored` [count], named by their numbers; throws Error unless they can be labels.
std::shared_ptr<LabelSource> number_labels(const Tensor& stored, int64_t count, const std::string& where);
/// int64 [size] and a name for each class.
std::shared_ptr<LabelSource> make_labels(Tensor labels, std::vector<std::string> class_names);
/// Null where the listing has no classes.
std::shared_ptr<LabelSource> make_labels(const Listing& listing);

/// list_images; throws Error where there is none, logs what was left out: files whose suffix is no image's, and
/// `left_out`, which the caller could not list. `what` is "folder /data/x".
Listing list_or_throw(const std::vector<std::string>& paths, const std::vector<std::string>& left_out,
                      const std::string& what);
/// Bytes before what the names of files below the folders that hold all of them begin with: a tar of a folder has the
/// folder's own name before every path.
size_t common_folders(const std::vector<std::string>& names);
/// "folder /data/x: 300 images, 300 classes"
std::string describe(const std::string& what, const OpenedData& data);

}  // namespace sdg::data
