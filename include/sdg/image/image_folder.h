#pragma once
#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "sdg/core/tensor.h"
#include "sdg/io/folder_lock.h"

namespace sdg::image {

/// What is to be written into a folder of images, and by whom.
struct ImageFolderPlan {
  std::string program;                                  ///< for messages: "sdg sample"
  std::string content;                                  ///< digest of all that decides the images and their number
  std::function<bool(const std::string& path)> writes;  ///< could the program have written this path below the folder?
  bool overwrite = false;                               ///< remove what the program wrote earlier
};

/// A folder of PNG or WebP files that is a clean data set once it is complete: those images and nothing else. While
/// they are written a hidden file marks it as incomplete, so that nobody takes half of them for all, and the same
/// images can go on where they were stopped. Hidden files of others are left alone and do not count.
class ImageFolder {
 public:
  /// Makes the folder, keeps other processes out, and marks it. Throws UsageError, and has changed nothing, for a
  /// folder that holds images already (unless `overwrite`) or files that the program does not write.
  ImageFolder(std::filesystem::path folder, const ImageFolderPlan& plan);
  /// Unless finished, images that were written stay marked as incomplete.
  ~ImageFolder();
  ImageFolder(const ImageFolder&) = delete;
  ImageFolder& operator=(const ImageFolder&) = delete;

  /// Does it hold the beginning of the same images, from a process that was stopped?
  bool goes_on() const { return goes_on_; }
  /// Is that image there, to its last byte?
  bool has(const std::string& path) const;
  /// uint8 [C, H, W] to a path below the folder, with a text inside (write_picture). Several threads may.
  void write(const std::string& path, const Tensor& image, const std::string& text = "");
  /// Takes the mark away.
  void finish();

 private:
  std::filesystem::path folder_;
  std::unique_ptr<io::FolderLock> lock_;
  bool goes_on_ = false;
  std::atomic<bool> wrote_ = false;
};

/// Throws Error for a folder whose images are marked as incomplete.
void check_complete(const std::filesystem::path& folder);

}  // namespace sdg::image
