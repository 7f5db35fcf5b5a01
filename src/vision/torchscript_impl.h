#pragma once
#include <filesystem>
#include <memory>

#include "sdg/vision/feature_extractor.h"

namespace sdg::vision {

/// Does the name mean a TorchScript module: "torchscript:SIZE,RESIZE,MEAN,DEVIATION"?
bool names_torchscript(const std::string& name);

/// A module that somebody traced or scripted, as extractor: its one tensor output, flattened behind the first
/// dimension. The name says what it is given: images brought to SIZE x SIZE (0: as they are) by RESIZE (none, bilinear,
/// antialiased, tf1, bicubic in bytes as Pillow's), less MEAN, divided by DEVIATION, of values 0 … 255. Where the
/// module's forward knows `return_features` (the Inception of the StyleGAN line: "torchscript:0,none,0,1"), it is asked
/// for them. Throws UsageError for another name, Error for a file that is no such module.
std::unique_ptr<FeatureExtractor> torchscript_extractor(const std::string& name, const std::filesystem::path& file,
                                                        const at::Device& device);

}  // namespace sdg::vision
