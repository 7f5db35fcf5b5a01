#include <torch/script.h>

#include <fstream>
#include <regex>

#include "sdg/core/error.h"
#include "sdg/image/resize.h"
#include "sdg/io/digest.h"
#include "sdg/vision/resize.h"
#include "vision/network_extractor_impl.h"
#include "vision/torchscript_impl.h"

namespace sdg::vision {
namespace {

struct Front {
  int64_t size = 0;
  std::string resize;
  double mean = 0, deviation = 1;
};

Front front_of(const std::string& name) {
  static const std::regex form("torchscript:([0-9]{1,4}),(none|bilinear|antialiased|tf1|bicubic),([0-9.]+),([0-9.]+)");
  std::smatch parts;
  SDG_CHECK_USAGE(
      std::regex_match(name, parts, form),
      "extractor: expected torchscript:SIZE,RESIZE,MEAN,DEVIATION (RESIZE none, bilinear, antialiased, tf1 or "
      "bicubic; of values 0 to 255), got ",
      name);
  Front out{std::stoll(parts[1]), parts[2], std::strtod(parts[3].str().c_str(), nullptr),
            std::strtod(parts[4].str().c_str(), nullptr)};
  SDG_CHECK_USAGE((out.size == 0) == (out.resize == "none") && out.deviation > 0, "extractor: ", name,
                  ": size 0 goes with resize none and no other, and the deviation must be above 0");
  return out;
}

Tensor prepared(const Tensor& images, const Front& front) {
  Tensor x;
  if (front.resize == "bicubic") {
    std::vector<Tensor> resized;
    for (const auto& one : images.cpu().unbind(0))
      resized.push_back(image::resize(one.contiguous(), front.size, front.size));
    x = at::stack(resized).to(images.device(), at::kFloat);
  } else {
    x = images.to(at::kFloat);
    if (front.resize == "bilinear") x = resize_bilinear(x, front.size, front.size);
    if (front.resize == "tf1") x = resize_bilinear_tf1(x, front.size, front.size);
    if (front.resize == "antialiased") x = at::_upsample_bilinear2d_aa(x, {front.size, front.size}, false);
  }
  return (x - front.mean) / front.deviation;
}

std::string digest_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  return io::Digest().text(bytes).hex();
}

class TorchScriptExtractor : public NetworkExtractor {
 public:
  TorchScriptExtractor(const std::string& name, const std::filesystem::path& file, const at::Device& device)
      : NetworkExtractor(name, 3, 32, name.substr(name.find(':') + 1) + ", of 0 to 255", device),
        front_(front_of(name)),
        file_(file.string()) {
    try {
      net_ = torch::jit::load(file.string(), device);
    } catch (const std::exception&) {
      throw Error(cat(file_, ": is no TorchScript module"));
    }
    net_.eval();
    for (const auto& argument : net_.get_method("forward").function().getSchema().arguments())
      asks_ |= argument.name() == "return_features";
    digest_file(digest_of(file));
    torch::NoGradGuard no_grad;
    const auto side = front_.size > 0 ? front_.size : 64;
    widths_ = {
        {Layer::kPooled, run(at::zeros({1, 3, side, side}, at::TensorOptions(device).dtype(at::kByte))).size(1)}};
  }

 protected:
  Tensor batch_layers(const Tensor& images, const std::vector<Layer>&) override {
    auto out = run(images);
    SDG_CHECK(out.size(1) == dim(), file_, ": the module gives ", out.size(1), " features of images of ",
              images.size(3), " x ", images.size(2), " and ", dim(),
              " of others; name a size that all are brought to (torchscript:SIZE,bilinear,...)");
    return out;
  }

 private:
  Tensor run(const Tensor& images) {
    std::unordered_map<std::string, c10::IValue> named;
    if (asks_) named["return_features"] = true;
    try {
      const auto out = net_.forward({prepared(images, front_)}, named);
      SDG_CHECK(out.isTensor() && out.toTensor().dim() >= 2 && out.toTensor().size(0) == images.size(0), file_,
                ": expected one tensor [images, ...] from the module");
      return out.toTensor().flatten(1).to(at::kFloat);
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      const std::string what = error.what();
      throw Error(cat(file_, ": the module does not take images of this kind: ", what.substr(0, what.find('\n'))));
    }
  }

  Front front_;
  std::string file_;
  torch::jit::Module net_;
  bool asks_ = false;
};

}  // namespace

bool names_torchscript(const std::string& name) {
  return name.starts_with("torchscript:");
}

std::unique_ptr<FeatureExtractor> torchscript_extractor(const std::string& name, const std::filesystem::path& file,
                                                        const at::Device& device) {
  return std::make_unique<TorchScriptExtractor>(name, file, device);
}

}  // namespace sdg::vision
