#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "sdg/image/image.h"
#include "support/python.h"

using namespace sdg;

// Pillow writes them and says what it reads of them; pixels are as Image.open gives them.
TEST(Exif, OrientationAndPixelsAreAsPillowReadsThem) {
  SDG_NEEDS_PYTHON("PIL numpy");
  const test::TemporaryFolder folder;
  const auto result = test::run_python(R"(
import numpy as np, struct, sys, zlib
from PIL import Image
folder = sys.argv[1]
image = Image.fromarray(np.arange(6 * 9 * 3, dtype=np.uint8).reshape(6, 9, 3))
def exif(value, order='<'):
    e = Image.Exif(); e.endian = order; e[0x010f] = 'maker'; e[0x0112] = value; return e
xmp = lambda v: ('<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="%d"/>' % v).encode()
for v in range(1, 9):
    image.save(f'{folder}/{v}.jpg', quality=95, exif=exif(v))
    image.save(f'{folder}/big{v}.jpg', quality=95, exif=exif(v, '>'))
    image.save(f'{folder}/{v}.png', exif=exif(v))
    image.save(f'{folder}/{v}.webp', exif=exif(v, '>'))
image.save(f'{folder}/none.jpg', quality=95); image.save(f'{folder}/none.png')
image.save(f'{folder}/odd.jpg', quality=95, exif=exif(9)); image.save(f'{folder}/zero.jpg', quality=95, exif=exif(0))
image.save(f'{folder}/xmp.jpg', quality=95, xmp=xmp(6)); image.save(f'{folder}/none.webp')
image.save(f'{folder}/cut.jpg', quality=95, exif=b'Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff\x12\x01')
import os
with open(f'{folder}/expected', 'w') as out:
    for name in sorted(os.listdir(folder)):
        if not name.endswith(('jpg', 'png', 'webp')): continue
        opened = Image.open(f'{folder}/{name}')
        try: value = opened.getexif().get(0x0112, 1)
        except Exception: value = 1
        out.write(f'{name} {value if 1 <= value <= 8 else 1} {opened.height} {opened.width}\n')
)",
                                       {folder.path().string()});
  ASSERT_EQ(result.status, 0) << result.output;
  std::ifstream lines(folder / "expected");
  std::string name;
  int seen = 0, turned = 0;
  for (int64_t orientation = 0, height = 0, width = 0; lines >> name >> orientation >> height >> width; ++seen) {
    const auto bytes = test::read_text(folder / name);
    EXPECT_EQ(image::exif_orientation(std::as_bytes(std::span(bytes))), orientation) << name;
    const auto image = image::read_image(folder / name);
    EXPECT_EQ(image.sizes(), (at::IntArrayRef{3, height, width})) << name;
    turned += orientation != 1;
  }
  EXPECT_EQ(seen, 39);
  EXPECT_GE(turned, 28);
}

TEST(Exif, NothingIsReadBeyondTheEnd) {
  std::string bytes(
      "\xFF\xD8\xFF\xE1\x00\x1E"
      "Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0",
      34);
  EXPECT_EQ(image::exif_orientation(std::as_bytes(std::span(bytes))), 6);
  for (size_t length = 0; length < bytes.size(); ++length)
    image::exif_orientation(std::as_bytes(std::span(bytes)).first(length));
  for (size_t i = 0; i < bytes.size() * 256; ++i) {
    std::string changed = bytes;
    changed[i / 256] = static_cast<char>(i % 256);
    const auto value = image::exif_orientation(std::as_bytes(std::span(changed)));
    EXPECT_TRUE(value >= 1 && value <= 8);
  }
}
