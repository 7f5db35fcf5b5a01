#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace sdg::data {

/// The images among the paths of a folder or an archive, in the order and with the classes that torchvision's
/// ImageFolder gives.
struct Listing {
  std::vector<std::string> paths;              ///< as they were passed
  std::vector<int64_t> position;               ///< of each in what was passed
  std::vector<int64_t> labels;                 ///< class of each; empty where there are no classes
  std::vector<std::string> class_names;        ///< sorted; empty where there are no classes
  int64_t beside_classes = 0;                  ///< images left out because they lie beside the class folders
  int64_t hidden = 0;                          ///< images left out because their name or a folder's begins with a dot
  std::map<std::string, int64_t> passed_over;  ///< files that are no images, by suffix in lower case ("" without one)
};

/// Is the file name one of .jpg .jpeg .png .ppm .bmp .pgm .tif .tiff .webp, in any case?
bool has_image_extension(const std::string& path);

/// `paths` are relative, with '/'; a leading "./" is ignored. Hidden files and folders (".DS_Store", "._a.jpg") are
/// left out, and of them only images are counted that are not the companions that macOS makes ("._a.jpg"). One folder
/// that holds everything is looked through, as a tar of a folder has it. Then the first folder of a path is its class,
/// and where nothing lies in folders there are no classes. Sorted by class, folder, file name, each by bytes.
Listing list_images(const std::vector<std::string>& paths);

}  // namespace sdg::data
