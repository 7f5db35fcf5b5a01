#include "sdg/image/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <turbojpeg.h>

#include <cmath>
#include <cstring>

#include "sdg/core/error.h"
#include "sdg/io/random_access_file.h"
#include "sdg/io/tar_index.h"
#include "sdg/tensors/tensor_file.h"
#include "support/python.h"
#include "support/temporary_folder.h"

using namespace sdg;
using test::message_of;
using test::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

namespace {

Tensor decode(const std::string& bytes, const std::string& name = "a.jpg") {
  return image::decode_image(std::as_bytes(std::span(bytes)), name);
}
std::string rejection(const std::string& bytes, const std::string& name = "a.jpg") {
  return message_of<Error>([&] { decode(bytes, name); });
}

// Smooth, so that JPEG keeps it: two gradients and a wave.
Tensor picture(int64_t channels, int64_t height, int64_t width) {
  const Tensor y = torch::linspace(0, 1, height).unsqueeze(1), x = torch::linspace(0, 1, width).unsqueeze(0);
  const Tensor planes =
      torch::stack({y.expand({height, width}), x.expand({height, width}), (3 * (x + y)).sin() * 0.5 + 0.5});
  return (planes.narrow(0, 0, channels) * 255).round().to(at::kByte);
}

std::string jpeg_of(const Tensor& image, int subsampling) {
  const Tensor pixels = image.permute({1, 2, 0}).contiguous();
  const tjhandle handle = tjInitCompress();
  unsigned char* data = nullptr;
  unsigned long size = 0;
  tjCompress2(handle, pixels.const_data_ptr<uint8_t>(), static_cast<int>(image.size(2)), 0,
              static_cast<int>(image.size(1)), image.size(0) == 1 ? TJPF_GRAY : TJPF_RGB, &data, &size, subsampling, 95,
              0);
  std::string out(reinterpret_cast<char*>(data), size);
  tjFree(data);
  tjDestroy(handle);
  return out;
}

int64_t largest_difference(const Tensor& a, const Tensor& b) {
  return (a.to(at::kLong) - b.to(at::kLong)).abs().max().item<int64_t>();
}

std::string hostile_png_size() {
  std::string png = image::encode_png(picture(3, 4, 4));
  const char header[] = {'I', 'H', 'D', 'R', 0x7F, -1, -1, -1, 0x7F, -1, -1, -1, 8, 2, 0, 0, 0};
  std::memcpy(png.data() + 12, header, sizeof(header));
  uint32_t crc = ~0U;
  for (const char c : header) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0xEDB88320U : 0);
  }
  crc = ~crc;
  for (int i = 0; i < 4; ++i) png[29 + i] = static_cast<char>(crc >> (24 - 8 * i));
  return png;
}

}  // namespace

TEST(Image, JpegComesBackCloseAndGreyStaysOneChannel) {
  for (const int64_t channels : {1, 3}) {
    const Tensor image = picture(channels, 37, 51);
    const Tensor decoded = decode(jpeg_of(image, channels == 1 ? TJSAMP_GRAY : TJSAMP_444));
    ASSERT_EQ(decoded.sizes(), image.sizes());
    EXPECT_EQ(decoded.scalar_type(), at::kByte);
    EXPECT_LE(largest_difference(decoded, image), 8);  // quality 95
  }
}

TEST(Image, PngComesBackExactly) {
  const TemporaryFolder folder;
  for (const int64_t channels : {1, 3}) {
    const Tensor image = picture(channels, 13, 29);
    EXPECT_TRUE(at::equal(decode(image::encode_png(image)), image));
    image::write_png(folder / "a.png", image);
    EXPECT_TRUE(at::equal(image::read_image(folder / "a.png"), image));
  }
}

TEST(Image, PnmOfOneAndTwoBytesAValue) {
  const Tensor two = torch::tensor({0, 255}, at::kByte).view({1, 1, 2});
  EXPECT_TRUE(at::equal(decode(std::string("P5\n# a comment\n2 1\n255\n\x00\xFF", 25)), two));
  EXPECT_TRUE(at::equal(decode(std::string("P5 2 1 65535\n\x00\x7F\xFF\xFF", 17)), two));
  EXPECT_TRUE(at::equal(decode(std::string("P6 1 1 15\n\x00\x0F\x03", 13)),
                        torch::tensor({0, 255, 51}, at::kByte).view({3, 1, 1})));
}

// Every value of every scale, binary and plain. Grey of two bytes is a mode of 32 bits in Pillow and is left out.
TEST(Image, PnmOfAnyScaleGivesPillowsBytes) {
  SDG_NEEDS_PYTHON("PIL numpy safetensors");
  const TemporaryFolder folder;
  const auto result = test::run_python(R"(
import sys, numpy as np
from PIL import Image
from safetensors.numpy import save_file
out, tensors = sys.argv[1], {}
def save(name, head, values, largest, channels, plain):
    values = np.resize(values, (3, (len(values) + 2) // 3, channels))
    with open(f"{out}/{name}", "wb") as f:
        f.write(f"{head} # made\n{values.shape[1]} 3\n{largest}\n".encode())
        if plain: f.write("".join(f"{v}{' ' if i % 7 else chr(10) + '# a comment 9' + chr(10)}" for i, v in enumerate(values.ravel())).encode())
        else: f.write(values.astype(">u2" if largest > 255 else "u1").tobytes())
    x = np.array(Image.open(f"{out}/{name}"))
    tensors[name] = np.ascontiguousarray(x[None] if channels == 1 else x.transpose(2, 0, 1))
for largest in (1, 2, 5, 10, 15, 100, 127, 254, 255):
    values = np.arange(largest + 1)
    save(f"p5_{largest}.pgm", "P5", values, largest, 1, False); save(f"p2_{largest}.pgm", "P2", values, largest, 1, True)
    save(f"p6_{largest}.ppm", "P6", values, largest, 3, False); save(f"p3_{largest}.ppm", "P3", values, largest, 3, True)
for largest in (256, 510, 1000, 65535):
    values = np.linspace(0, largest, 3000).astype(int)
    save(f"p6_{largest}.ppm", "P6", values, largest, 3, False); save(f"p3_{largest}.ppm", "P3", values, largest, 3, True)
save_file(tensors, f"{out}/expected.safetensors")
)",
                                       {folder.path().string()});
  ASSERT_EQ(result.status, 0) << result.output;
  const auto expected = tensors::read_tensors(folder / "expected.safetensors");
  EXPECT_EQ(expected.tensors.size(), 44U);
  for (const auto& [name, pixels] : expected.tensors)
    EXPECT_TRUE(at::equal(image::read_image(folder / name), pixels)) << name;
}

TEST(Image, PlainPnmThatIsDamagedIsRefused) {
  EXPECT_EQ(rejection("P2 2 1 9\n1 10"), "a.jpg: damaged PNM: value 10 is above the largest, 9");
  EXPECT_THAT(rejection("P2 2 1 9\n1"), HasSubstr("truncated PNM"));
  EXPECT_THAT(rejection("P3 1 1 9\n1 2   "), HasSubstr("expected a number"));
  EXPECT_THAT(rejection("P2 2 1 9\n1 -2 "), HasSubstr("expected a number at byte 11"));
  EXPECT_THAT(rejection("P2 16000 16000 9\n1"), HasSubstr("truncated PNM"));
  EXPECT_THAT(rejection("P4 8 1\n1"), HasSubstr("not an image"));
}

TEST(Image, WhatIsNoImageIsNamedAndDescribed) {
  for (const std::string start :
       {"R", "RIFF", "RIFF$", "RIFF1234WE", "MM", "MM*", "II", "GIF8", "BM", "P5", "\xFF\xD8\xFF"})
    EXPECT_THAT(rejection(start), StartsWith("a.jpg: ")) << start;
  EXPECT_EQ(rejection("hello, world"),
            "a.jpg: not an image (it begins with 68 65 6c 6c 6f 2c 20 77: expected JPEG, PNG, WebP, BMP, PPM or PGM)");
  EXPECT_EQ(rejection(""), "a.jpg: not an image (the file is empty)");
  EXPECT_EQ(rejection("GIF89a..."), "a.jpg: not an image (GIF is not supported: convert it to PNG)");
  EXPECT_EQ(rejection("P5 is how this text begins"), "a.jpg: damaged PNM: expected a number at byte 3");
  EXPECT_THAT(message_of<Error>([] { image::read_image("/no/such/image.png"); }),
              StartsWith("/no/such/image.png: cannot read: No such file"));
}

TEST(Image, ADamagedHeaderDoesNotSpoilTheNextPicture) {
  const std::string whole = jpeg_of(picture(3, 16, 16), TJSAMP_420);
  EXPECT_NE(rejection(whole.substr(0, 60)), "no error");
  EXPECT_NO_THROW(decode(whole));
}

TEST(Image, AJpegCutAnywhereIsRefused) {
  const std::string whole = jpeg_of(picture(3, 120, 160), TJSAMP_420);
  for (size_t percent = 1; percent < 100; ++percent) {
    EXPECT_THAT(rejection(whole.substr(0, whole.size() * percent / 100)), StartsWith("a.jpg: ")) << percent;
  }
  EXPECT_THAT(rejection(whole.substr(0, whole.size() - 2)), HasSubstr("damaged JPEG"));
  EXPECT_NO_THROW(decode(whole));
}

TEST(Image, StrayBytesInAJpegAreForgivenAndDoNotHideACut) {
  const std::string whole = jpeg_of(picture(3, 64, 64), TJSAMP_420);
  const size_t tables = whole.find("\xFF\xDB");
  std::string stray = whole;
  stray.insert(tables, "abc");
  EXPECT_TRUE(at::equal(decode(stray), decode(whole)));
  EXPECT_TRUE(at::equal(decode(whole + "trailing"), decode(whole)));
  EXPECT_THAT(rejection(stray.substr(0, stray.size() * 9 / 10)), HasSubstr("damaged JPEG: no end marker"));
}

TEST(Image, APngCutOrChangedAnywhereIsRefused) {
  const std::string whole = image::encode_png(picture(3, 20, 20));
  for (size_t percent = 1; percent < 100; ++percent) {
    EXPECT_THAT(rejection(whole.substr(0, whole.size() * percent / 100)), StartsWith("a.jpg: ")) << percent;
  }
  for (size_t at = 8; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    EXPECT_NE(rejection(changed), "no error") << at;
  }
}

// libpng's rule: a chunk with a capital first letter that one does not know says that the picture cannot be shown.
TEST(Image, APngWithAnUnknownCriticalChunkIsRefused) {
  const auto png = image::encode_png(picture(3, 5, 7));
  const auto chunk = [](const std::string& type, const std::string& data) {
    std::string out{'\0', '\0', '\0', static_cast<char>(data.size())};
    return out + type + data + "sum?";  // sums of chunks that nobody needs are not looked at
  };
  const auto with = [&](const std::string& type) { return png.substr(0, 33) + chunk(type, "abcd") + png.substr(33); };
  EXPECT_THAT(rejection(png.substr(0, 8) + chunk("CgBI", "abcd") + png.substr(8)),
              HasSubstr("a.jpg: PNG with an unknown critical chunk, CgBI (Apple's own kind"));
  EXPECT_THAT(rejection(with("XxXx")), HasSubstr("unknown critical chunk, XxXx"));
  EXPECT_THAT(rejection(with("a1cd")), HasSubstr("damaged PNG: no chunk"));
  EXPECT_TRUE(at::equal(decode(with("xxXx")), picture(3, 5, 7))) << "what is not critical is passed over";
}

TEST(Image, HostileSizesAreRefusedBeforeMemoryIsTaken) {
  EXPECT_THAT(rejection(hostile_png_size()), AllOf(StartsWith("a.jpg: "), HasSubstr("PNG")));
  EXPECT_THAT(rejection("P6 2000000000 2000000000 255\n"), HasSubstr("the limit is 268435456 pixels"));
  EXPECT_THAT(rejection("P6 99999999999999999999 1 255\n"), HasSubstr("number too large"));
  EXPECT_THAT(rejection("P5 0 4 255\n"), HasSubstr("image of 4 x 0 pixels: damaged"));
  EXPECT_THAT(rejection(jpeg_of(at::zeros({3, 8, 8}, at::kByte), TJSAMP_444).substr(0, 100)), HasSubstr("cut off"));
  EXPECT_THAT(rejection("P6 100 100 255\nshort"), HasSubstr("truncated PNM: expected 30015 bytes, the file has 20"));
}

TEST(Image, OnlyUint8PicturesAreEncoded) {
  EXPECT_THAT(message_of<Error>([] { image::encode_png(at::zeros({3, 4, 4})); }),
              HasSubstr("must be uint8 [1 or 3, H, W], got Float [3, 4, 4]"));
  EXPECT_THAT(message_of<Error>([] { image::encode_png(at::zeros({4, 4, 4}, at::kByte)); }),
              HasSubstr("got Byte [4, 4, 4]"));
}

TEST(ImageGrid, PlacesImagesRowByRowOnWhite) {
  const Tensor images = at::arange(5, at::kByte).view({5, 1, 1, 1}).expand({5, 3, 2, 4});
  const Tensor grid = image::image_grid(images, 3, 1, 2);  // two rows of three, each 4 x 8
  ASSERT_EQ(grid.sizes(), (Shape{3, 2 * 5 + 1, 3 * 9 + 1}));
  for (int64_t y = 0; y < 11; ++y) {
    for (int64_t x = 0; x < 28; ++x) {
      const int64_t index = y / 5 * 3 + x / 9;
      const bool gap = y % 5 == 0 || x % 9 == 0 || index >= 5;
      ASSERT_EQ(grid[1][y][x].item<int64_t>(), gap ? 255 : index) << y << ", " << x;
    }
  }
}

TEST(ImageGrid, ScaleRepeatsEachPixel) {
  const Tensor image = torch::tensor({1, 2, 3, 4}, at::kByte).view({1, 1, 2, 2});
  const Tensor expected = torch::tensor({1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4}, at::kByte).view({1, 4, 4});
  EXPECT_TRUE(at::equal(image::image_grid(image, 1, 0, 2), expected));
}

TEST(ToUint8, RoundsSaturatesAndSendsNanToZero) {
  const Tensor x = torch::tensor({-1.0F, 1.0F, 0.0F, -7.0F, 7.0F, NAN, INFINITY, -INFINITY, 1.0F / 127.5F - 1});
  const auto expected = torch::tensor({0, 255, 128, 0, 255, 0, 255, 0, 1}, at::kByte);
  EXPECT_TRUE(at::equal(image::to_uint8(x), expected)) << image::to_uint8(x);
  const Tensor every = at::arange(256, at::kByte);
  const Tensor unit = every.to(at::kFloat) / 127.5 - 1;
  EXPECT_TRUE(at::equal(image::to_uint8(unit), every)) << "every value survives the way to [-1, 1] and back";
  EXPECT_TRUE(at::equal(image::to_uint8(unit.to(at::kDouble)), every));
}

// Files of every kind written by Pillow, beside what Pillow decodes them to.
TEST(Image, DecodesAsPillowDoes) {
  SDG_NEEDS_PYTHON("PIL numpy safetensors");
  const TemporaryFolder folder;
  const auto result = test::run_python(R"(
import sys, numpy as np
from PIL import Image
from safetensors.numpy import save_file
out = sys.argv[1]
rng = np.random.default_rng(5)
yy, xx = np.mgrid[0:61, 0:83]
smooth = np.stack([yy * 4 % 256, xx * 3 % 256, (yy * xx) % 256], -1)
rgb = Image.fromarray((smooth * 0.7 + rng.integers(0, 77, smooth.shape)).astype(np.uint8))
alpha = Image.fromarray(rng.integers(0, 256, (61, 83), dtype=np.uint8))
rgba = rgb.copy(); rgba.putalpha(alpha)
grey = rgb.convert("L")
la = grey.copy(); la.putalpha(alpha)
palette = rgb.quantize(60)
few = rgb.quantize(3)
files = {}
def save(name, image, **options):
    image.save(f"{out}/{name}", **options)
for q in (30, 75, 95, 100):
    for s in (0, 1, 2): save(f"q{q}s{s}.jpg", rgb, quality=q, subsampling=s)
save("progressive.jpg", rgb, quality=80, progressive=True)
save("restart.jpg", rgb, quality=80, restart_marker_rows=1)
save("grey.jpg", grey, quality=80)
save("cmyk.jpg", rgb.convert("CMYK"), quality=90)
save("keep_rgb.jpg", rgb, quality=90, keep_rgb=True)
exif = Image.Exif(); exif[0x0112] = 6
save("turned.jpg", rgb, quality=90, exif=exif)
for name, image in dict(rgb=rgb, rgba=rgba, grey=grey, la=la, palette=palette, few=few, bits=grey.convert("1")).items():
    save(f"{name}.png", image)
save("palette_clear.png", palette, transparency=3)
save("rgb_clear.png", rgb, transparency=(1, 2, 3))
for name, image in dict(rgb=rgb, grey=grey, palette=palette, bits=grey.convert("1")).items(): save(f"{name}.bmp", image)
save("rgb.ppm", rgb); save("grey.pgm", grey)
for q in (30, 80, 100): save(f"q{q}.webp", rgb, quality=q)
save("exact.webp", rgb, lossless=True); save("rgba.webp", rgba, lossless=True); save("lossy_alpha.webp", rgba, quality=80)
save("grey.webp", grey, quality=80); save("turned.webp", rgb, quality=90, exif=exif)
import os
tensors = {}
for name in sorted(os.listdir(out)):
    image = Image.open(f"{out}/{name}")
    one = image.mode in ("1", "L", "LA") and not name.endswith(".bmp")
    x = np.array(image.convert("L" if one else "RGB"))
    tensors[name] = np.ascontiguousarray(x[None] if one else x.transpose(2, 0, 1))
save_file(tensors, f"{out}/expected.safetensors")
)",
                                       {folder.path().string()});
  ASSERT_EQ(result.status, 0) << result.output;
  const auto expected = tensors::read_tensors(folder / "expected.safetensors");
  EXPECT_EQ(expected.tensors.size(), 41U);
  for (const auto& [name, pixels] : expected.tensors) {
    const Tensor decoded = image::read_image(folder / name);
    const Tensor wanted =
        decoded.size(0) == 3 ? pixels.expand_as(decoded) : pixels;  // grey BMP: palettes have three channels
    ASSERT_EQ(decoded.sizes(), wanted.sizes()) << name;
    EXPECT_EQ(largest_difference(decoded, wanted), 0) << name;
  }
}

// libpng and Pillow: colours that the palette leaves out are black.
TEST(Image, IndexesBeyondAShortPaletteAreBlackAsInPillow) {
  SDG_NEEDS_PYTHON("PIL numpy safetensors");
  const TemporaryFolder folder;
  const auto result = test::run_python(R"(
import struct, sys, zlib, numpy as np
from PIL import Image
from safetensors.numpy import save_file
chunk = lambda kind, data: struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
rows = b''.join(b'\0' + bytes(range(16 * i, 16 * i + 16)) for i in range(16))
png = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 16, 16, 8, 3, 0, 0, 0)) + chunk(b'PLTE', bytes(range(100, 148)))
open(sys.argv[1] + '/short.png', 'wb').write(png + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))
save_file({'x': np.array(Image.open(sys.argv[1] + '/short.png').convert('RGB')).transpose(2, 0, 1).copy()}, sys.argv[1] + '/x.safetensors')
)",
                                       {folder.path().string()});
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_TRUE(
      at::equal(image::read_image(folder / "short.png"), tensors::read_tensors(folder / "x.safetensors").at("x")));
}

TEST(Image, DecodesRealPhotosAsPillowDoes) {
  SDG_NEEDS_PYTHON("PIL numpy safetensors");
  const auto photos = std::filesystem::path(SDG_SOURCE_DIR) / ".." / "shared" / "data" / "imagenet-photos.tar";
  if (!std::filesystem::exists(photos)) {
    std::cout << "SKIPPED: no " << photos << std::endl;
    GTEST_SKIP() << "no " << photos;
  }
  const TemporaryFolder folder;
  const auto result = test::run_python(R"(
import io, sys, tarfile, numpy as np
from PIL import Image
from safetensors.numpy import save_file
tensors = {}
with tarfile.open(sys.argv[1]) as t:
    for m in [m for m in t if m.isreg() and m.name.lower().endswith("jpeg")][::20]:
        image = Image.open(io.BytesIO(t.extractfile(m).read()))
        x = np.array(image if image.mode == "L" else image.convert("RGB"))
        tensors[m.name] = np.ascontiguousarray(x[None] if x.ndim == 2 else x.transpose(2, 0, 1))
save_file(tensors, sys.argv[2])
)",
                                       {photos.string(), (folder / "expected.safetensors").string()});
  ASSERT_EQ(result.status, 0) << result.output;
  const auto expected = tensors::read_tensors(folder / "expected.safetensors");
  const io::RandomAccessFile file(photos);
  size_t seen = 0;
  for (const auto& entry : io::index_tar(photos).files) {
    const auto wanted = expected.tensors.find(entry.name);
    if (wanted == expected.tensors.end()) continue;
    ++seen;
    const Tensor decoded = image::decode_image(file.read(entry.offset, entry.size), entry.name);
    ASSERT_EQ(decoded.sizes(), wanted->second.sizes()) << entry.name;
    EXPECT_TRUE(at::equal(decoded, wanted->second))
        << entry.name << " differs by up to " << largest_difference(decoded, wanted->second);
  }
  EXPECT_EQ(seen, expected.tensors.size());
  EXPECT_GE(seen, 10U);
}
