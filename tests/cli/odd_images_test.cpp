// eval-fid on images of unusual kinds: they are what Pillow sees in them, or it is said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/tiny_program.h"
#include "support/python.h"

using namespace sdg;
using nlohmann::json;
using ::testing::HasSubstr;

namespace {

// Pairs of folders that must give one number: of 16 bits and of their upper 8, of CMYK and of what Pillow makes of it.
constexpr const char* kMake = R"(
import os, struct, sys, zlib
import numpy as np
from PIL import Image
root, rng = sys.argv[1], np.random.default_rng(5)

def png16(path, image):  # [H, W] or [H, W, 3] of uint16
    chunk = lambda kind, data: struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    h, w = image.shape[:2]
    rows = b''.join(b'\0' + row.astype('>u2').tobytes() for row in image)
    head = struct.pack('>IIBBBBB', w, h, 16, 2 if image.ndim == 3 else 0, 0, 0, 0)
    open(path, 'wb').write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))

for name in ('deep', 'upper', 'cmyk', 'rgb', 'other'):
    os.mkdir(f'{root}/{name}')
for i in range(70):
    shape = (12, 12) if i % 2 else (12, 12, 3)
    deep = rng.integers(0, 65536, shape).astype(np.uint16)
    png16(f'{root}/deep/{i:03d}.png', deep)
    Image.fromarray((deep >> 8).astype(np.uint8)).save(f'{root}/upper/{i:03d}.png')
    small = rng.integers(0, 256, (4, 4, 4)).astype(np.uint8)
    Image.fromarray(small, 'CMYK').resize((16, 16)).save(f'{root}/cmyk/{i:03d}.jpg', quality=95)
    Image.open(f'{root}/cmyk/{i:03d}.jpg').convert('RGB').save(f'{root}/rgb/{i:03d}.png')
    Image.fromarray(rng.integers(0, 256, (12, 12)).astype(np.uint8)).save(f'{root}/other/{i:03d}.png')
)";

class OddImages : public test::Program {};

}  // namespace

TEST_F(OddImages, SixteenBitsAndInksAreWhatPillowSees) {
  SDG_NEEDS_PYTHON("numpy PIL");
  const auto made = test::run_python(kMake, {folder_.path().string()});
  ASSERT_EQ(made.status, 0) << made.output;
  const auto row = [&](const std::string& images) {
    const auto result = sdg("eval-fid --device cpu --json --extractor digits --reference other --images " + images);
    EXPECT_EQ(result.code, 0) << result.err;
    return result.code == 0 ? json::parse(result.out) : json();
  };
  for (const auto& [odd, plain] : {std::pair{"deep", "upper"}, {"cmyk", "rgb"}}) {
    const auto a = row(odd), b = row(plain);
    EXPECT_GT(a.at("value").get<double>(), 0) << odd;
    EXPECT_NEAR(a.at("value").get<double>(), b.at("value").get<double>(), 1e-9) << odd;
    EXPECT_EQ(a.at("count"), 70) << odd;
  }
}

TEST_F(OddImages, GridsOfSamplesAreSaidToBeOfAnotherSize) {
  train_run();
  for (const std::string name : {"a", "b"}) {
    ASSERT_EQ(sdg("sample --run run --count 16 --out " + name).code, 0);
    std::filesystem::create_directory(folder_ / "grids");
    std::filesystem::rename(folder_ / (name + "-grid.png"), folder_ / ("grids/" + name + ".png"));
  }
  const auto result = sdg("eval-fid --run run --images grids");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("against images of size 8x8"));
  std::filesystem::remove(folder_ / "grids/b.png");
  test::expect_failure(sdg("eval-fid --run run --images grids"), 1,
                       "grids: holds one image; a covariance of features needs at least 2");
}
