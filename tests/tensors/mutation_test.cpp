// Damaged files by the thousand: every reader either reads them or throws sdg::Error. Run it under the sanitizers, and
// longer, with SDG_MUTATIONS=1000000.
#include <gtest/gtest.h>
#include <torch/types.h>
#include <turbojpeg.h>

#include <cstdlib>
#include <functional>
#include <iostream>
#include <random>

#include "sdg/core/error.h"
#include "sdg/image/image.h"
#include "sdg/io/tar_index.h"
#include "sdg/tensors/npz.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/tensors/torch_file.h"
#include "sdg/tensors/weights.h"
#include "support/temporary_folder.h"
#include "tensors/torch_bytes.h"

using namespace sdg;
using test::TemporaryFolder;

namespace {

int mutations() {
  const char* asked = std::getenv("SDG_MUTATIONS");
  return asked ? std::atoi(asked) : 1000;
}

std::string mutated(std::string bytes, std::mt19937_64& random) {
  for (auto count = random() % 4 + 1; count > 0 && !bytes.empty(); --count) {
    const size_t region = random() % 2 ? bytes.size() : std::min<size_t>(bytes.size(), 600);  // headers come first
    const size_t at = random() % region;
    static const std::vector<std::string> kTokens = {"9", "-", "18446744073709551615", "{", "}", "[", "]", "\"",
                                                     ",", "0"};
    switch (random() % 6) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
        break;
      case 1:
        bytes[at] = static_cast<char>(random());
        break;
      case 2:
        bytes.resize(random() % (bytes.size() + 1));
        break;
      case 3:
        bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 16));
        break;
      case 4:
        bytes.erase(at, random() % 16);
        break;
      default:
        bytes.replace(at, 1, kTokens[random() % kTokens.size()]);
    }
  }
  return bytes;
}

// Reads `whole` once (it must be fine) and then damaged copies of it.
void survive(const std::string& whole, const std::function<void(const std::filesystem::path&)>& read) {
  const TemporaryFolder folder;
  const auto path = folder / "file";
  test::write_text(path, whole);
  ASSERT_NO_THROW(read(path));
  std::mt19937_64 random(11);
  int refused = 0;
  for (int i = 0; i < mutations(); ++i) {
    std::filesystem::remove(path);  // file systems that flush a file written over would make this slow
    test::write_text(path, mutated(whole, random));
    try {
      read(path);
    } catch (const Error&) {
      ++refused;
    }  // anything else fails the test
  }
  std::cout << "refused " << refused << " of " << mutations() << std::endl;
  EXPECT_GT(refused, 0);
}

std::string written(const std::function<void(const std::filesystem::path&)>& write) {
  const TemporaryFolder folder;
  write(folder / "file");
  return test::read_text(folder / "file");
}

Tensor picture() {
  const Tensor x = torch::linspace(0, 255, 24);
  return torch::stack({x.expand({20, 24}), x.flip(0).expand({20, 24}), x.expand({20, 24}) / 2})
      .to(at::kByte)
      .contiguous();
}

std::string jpeg(int flags) {
  const Tensor pixels = picture().permute({1, 2, 0}).contiguous();
  const tjhandle handle = tjInitCompress();
  unsigned char* data = nullptr;
  unsigned long size = 0;
  tjCompress2(handle, pixels.const_data_ptr<uint8_t>(), 24, 0, 20, TJPF_RGB, &data, &size, TJSAMP_420, 90, flags);
  std::string out(reinterpret_cast<char*>(data), size);
  tjFree(data);
  tjDestroy(handle);
  return out;
}

void read_picture(const std::filesystem::path& path) {
  image::read_image(path).sum().item<int64_t>();
}

}  // namespace

TEST(Mutation, Safetensors) {
  const tensors::TensorFile file{
      {{"x", at::ones({2, 3})}, {"mask", at::ones({5}, at::kBool)}, {"s", torch::tensor(1.0)}}, {{"a", "b"}}};
  survive(written([&](const auto& path) { tensors::write_tensors(path, file); }), [](const auto& path) {
    for (const auto& [name, tensor] : tensors::read_tensors(path).tensors)
      tensor.to(at::kDouble).sum().template item<double>();
  });
}

void read_all_weights(const std::filesystem::path& path) {
  for (const auto& [name, tensor] : tensors::read_weights(path).tensors)
    tensor.to(at::kDouble).sum().template item<double>();
}

TEST(Mutation, TorchZip) {
  survive(written([](const auto& path) {
            tensors::write_torch(
                path, {{"x", at::ones({2, 3})}, {"mask", at::ones({5}, at::kBool)}, {"n", at::ones({}, at::kLong)}});
          }),
          read_all_weights);
}

TEST(Mutation, TorchLegacy) {
  namespace pickle = test::pickle;
  const auto tensor = pickle::tensor(pickle::storage("FloatStorage", "0", 6, true), 0, {2, 3}, {3, 1});
  survive(test::torch_legacy(pickle::dict({{"w", tensor}, {"step", "K\5"}}), {{"0", {1, 2, 3, 4, 5, 6}}}),
          read_all_weights);
}

TEST(Mutation, Npz) {
  survive(written([](const auto& path) {
            tensors::write_npz(path, {{"x", at::ones({2, 3})}, {"y", at::ones({40}, at::kByte)}});
          }),
          [](const auto& path) { tensors::read_npz(path); });
}

TEST(Mutation, Npy) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
  const std::string start = std::string("\x93NUMPY\1\0", 8) + static_cast<char>(header.size()) + '\0';
  survive(start + header + std::string(24, '\0'), [](const auto& path) { tensors::read_npy(path); });
}

TEST(Mutation, Jpeg) {
  survive(jpeg(0), read_picture);
}
TEST(Mutation, ProgressiveJpeg) {
  survive(jpeg(TJFLAG_PROGRESSIVE), read_picture);
}
TEST(Mutation, Png) {
  survive(image::encode_png(picture()), read_picture);
}
TEST(Mutation, Pnm) {
  survive("P6\n4 2\n255\n" + std::string(24, 'x'), read_picture);
}

TEST(Mutation, Bmp) {
  std::string bytes = "BM" + std::string(52, '\0') + std::string(4 * 3 * 4, 'x');  // 4 x 4, 24 bits
  bytes[10] = 54;
  bytes[14] = 40;
  bytes[18] = bytes[22] = 4;
  bytes[26] = 1;
  bytes[28] = 24;
  survive(bytes, read_picture);
}

TEST(Mutation, Tar) {
  // A pax header, its file, and the end; checksums are sums of bytes, so some damage passes them.
  std::string bytes;
  for (const auto& [type, data] : {std::pair{'x', std::string("13 path=name\n")}, {'0', std::string(20, 'd')}}) {
    std::string block(512, '\0');
    block.replace(0, 4, "name");
    block.replace(124, 11, type == 'x' ? "00000000015" : "00000000024");
    block.replace(148, 8, "        ");
    block[156] = type;
    block.replace(257, 5, "ustar");
    unsigned sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    std::string octal = "000000";
    for (size_t i = 6; i-- > 0; sum /= 8) octal[i] = static_cast<char>('0' + sum % 8);
    block.replace(148, 7, octal + '\0');
    bytes += block + data + std::string(512 - data.size(), '\0');
  }
  survive(bytes + std::string(1024, '\0'), [](const auto& path) { io::index_tar(path); });
}
