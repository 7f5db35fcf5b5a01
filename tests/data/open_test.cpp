#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <iostream>

#include "data/made_images.h"
#include "sdg/tensors/tensor_file.h"
#include "support/log_capture.h"

namespace fs = std::filesystem;
using namespace sdg;
using test::LogCapture;
using test::made_image;
using test::message_of;
using test::TemporaryFolder;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

namespace {

data::OpenedData open(const fs::path& path, data::Format format = data::Format::kAuto,
                      const std::string& config_dir = "") {
  data::DataOptions options;
  options.path = path.string();
  options.format = format;
  return data::open_data(options, config_dir);
}

std::string complaint(const fs::path& path, data::Format format = data::Format::kAuto) {
  const auto message = message_of<Error>([&] { open(path, format); });
  EXPECT_THAT(message, Not(HasSubstr("\n")));
  return message;
}

void write_image(const fs::path& path, int64_t key, int64_t channels = 1) {
  fs::create_directories(path.parent_path());
  image::write_png(path, made_image(key, channels, 9, 7));
}

std::vector<int64_t> labels_of(const data::OpenedData& opened) {
  const auto labels = opened.labels->labels();
  EXPECT_EQ(labels.scalar_type(), at::kLong);
  return {labels.const_data_ptr<int64_t>(), labels.const_data_ptr<int64_t>() + labels.numel()};
}

// dog/1, dog/deep/3, cat/2 and what must be left out.
void fill(const TemporaryFolder& folder) {
  write_image(folder / "set/dog/1.png", 1);
  write_image(folder / "set/dog/deep/3.PNG", 3);
  write_image(folder / "set/cat/2.png", 2, 3);
  test::write_text(folder / "set/cat/notes.txt", "no image");
  test::write_text(folder / "set/dog/.hidden.png", "no image");
}

void save(const fs::path& path, std::map<std::string, Tensor> tensors) {
  tensors::write_tensors(path, {std::move(tensors), {}});
}

}  // namespace

TEST(OpenData, AFolderHasAClassForEachSubFolder) {
  const TemporaryFolder folder;
  fill(folder);
  const auto opened = open(folder / "set");
  EXPECT_EQ(opened.description, "folder " + (folder / "set").string() + ": 3 images, 2 classes");
  EXPECT_THAT(opened.labels->class_names(), ElementsAre("cat", "dog"));
  EXPECT_THAT(labels_of(opened), ElementsAre(0, 1, 1));
  EXPECT_TRUE(at::equal(opened.images->read(0), made_image(2, 3, 9, 7)));
  EXPECT_TRUE(at::equal(opened.images->read(1), made_image(1, 1, 9, 7)));
  EXPECT_TRUE(at::equal(opened.images->read(2), made_image(3, 1, 9, 7)));
  EXPECT_EQ(opened.images->name(2), (folder / "set/dog/deep/3.PNG").string());
}

TEST(OpenData, ATarGivesWhatItsFolderGives) {
  const TemporaryFolder folder;
  fill(folder);
  std::string bytes;
  for (const char* name :
       {"set/dog/deep/3.PNG", "set/cat/notes.txt", "set/dog/1.png", "set/dog/.hidden.png", "set/cat/2.png"}) {
    bytes += test::tar_member(cat("./", name), test::read_text(folder / name));
  }
  test::write_text(folder / "set.tar", bytes + std::string(1024, '\0'));
  const auto from_folder = open(folder / "set"), from_tar = open(folder / "set.tar");
  EXPECT_EQ(from_tar.description, "tar " + (folder / "set.tar").string() + ": 3 images, 2 classes");
  EXPECT_EQ(from_tar.labels->class_names(), from_folder.labels->class_names());
  EXPECT_EQ(labels_of(from_tar), labels_of(from_folder));
  ASSERT_EQ(from_tar.images->size(), from_folder.images->size());
  for (int64_t i = 0; i < 3; ++i) EXPECT_TRUE(at::equal(from_tar.images->read(i), from_folder.images->read(i))) << i;
  EXPECT_THAT(from_tar.images->name(0), EndsWith("set.tar:set/cat/2.png"));
}

TEST(OpenData, AFolderWithoutSubFoldersHasNoClasses) {
  const TemporaryFolder folder;
  write_image(folder / "b.png", 1);
  write_image(folder / "a.png", 2);
  const auto opened = open(folder.path());
  EXPECT_EQ(opened.labels, nullptr);
  EXPECT_THAT(opened.description, EndsWith(": 2 images, no classes"));
  EXPECT_TRUE(at::equal(opened.images->read(0), made_image(2, 1, 9, 7)));
}

TEST(OpenData, LinksAreFollowedAndADanglingOneIsABrokenImage) {
  const TemporaryFolder folder;
  fill(folder);
  fs::create_directories(folder / "subset/birds");
  fs::create_directory_symlink(folder / "set/dog", folder / "subset/dog");
  fs::create_symlink(folder / "nowhere.png", folder / "subset/birds/gone.png");
  const auto opened = open(folder / "subset");
  EXPECT_THAT(opened.description, EndsWith(": 3 images, 2 classes"));
  const data::Dataset dataset(opened.images, test::made_options(7));
  EXPECT_TRUE(at::equal(dataset.image(0), dataset.image(1)));
  EXPECT_EQ(dataset.broken(), 1);
}

TEST(OpenData, ALoopOfLinksListsEachImageOnce) {
  const TemporaryFolder folder;
  fill(folder);
  fs::create_directory_symlink("..", folder / "set/dog/loop");
  fs::create_directory_symlink(".", folder / "set/cat/me");
  fs::create_directory_symlink("../cat", folder / "set/dog/cats");  // these two lead to each other
  fs::create_directory_symlink("../dog", folder / "set/cat/dogs");
  fs::create_symlink("self.png", folder / "set/cat/self.txt");
  const LogCapture log;
  const auto opened = open(folder / "set");
  EXPECT_THAT(opened.description, EndsWith(": 3 images, 2 classes"));
  EXPECT_THAT(log.lines, Contains(HasSubstr("4 entries are left out: cat/dogs (a link that leads back to itself)")));
}

TEST(OpenData, AnAliasOfASiblingIsNoLoopWhicheverSiblingItIs) {
  for (const std::string sibling : {"a", "b", "c", "d"}) {
    const TemporaryFolder folder;
    for (const std::string name : {"a", "b", "c", "d"}) write_image(folder / "set" / name / "0.png", 1);
    fs::create_directory_symlink(sibling, folder / "set/l");
    EXPECT_THAT(open(folder / "set").description, EndsWith(": 5 images, 5 classes")) << sibling;
  }
}

TEST(OpenData, AnAliasOfAClassIsAClass) {
  const TemporaryFolder folder;
  fill(folder);
  fs::create_directory_symlink("dog", folder / "set/hound");
  fs::create_symlink("../cat/2.png", folder / "set/dog/2.png");
  const auto opened = open(folder / "set");
  EXPECT_THAT(opened.labels->class_names(), ElementsAre("cat", "dog", "hound"));
  EXPECT_THAT(labels_of(opened), ElementsAre(0, 1, 1, 1, 2, 2, 2));
}

TEST(OpenData, WhatIsPassedOverIsCountedAndSaidOnce) {
  const TemporaryFolder folder;
  fill(folder);
  test::write_text(folder / "set/a.GIF", "");
  test::write_text(folder / "set/b.gif", "");
  test::write_text(folder / "set/README", "");
  test::write_text(folder / "set/._a.png", "macOS writes these");
  write_image(folder / "set/.thumbnails/1.png", 1);
  write_image(folder / "set/.thumbnails/deep/2.png", 1);
  ASSERT_EQ(::mkfifo((folder / "set/pipe.png").c_str(), 0600), 0);
  const LogCapture log;
  open(folder / "set");
  EXPECT_THAT(
      log.lines,
      ElementsAre(HasSubstr("1 entry is left out: " + (folder / "set/pipe.png").string() + " (a pipe or device)"),
                  HasSubstr("4 files passed over, as the suffix is not one of an image: 1 without a suffix, "
                            "2 .gif, 1 .txt"),
                  HasSubstr("3 images passed over, as the name, or a folder's on the way, begins with a dot")));
}

TEST(OpenData, PartsOfADataSetTakenForClassesAreNoticed) {
  const TemporaryFolder folder;
  write_image(folder / "x/train/cat/1.png", 1);
  write_image(folder / "x/Val/cat/2.png", 2);
  {
    const LogCapture log;
    open(folder / "x");
    EXPECT_THAT(log.lines, ElementsAre(HasSubstr("the only classes are Val, train")));
  }
  write_image(folder / "x/boat/3.png", 3);
  const LogCapture log;
  open(folder / "x");
  EXPECT_THAT(log.lines, ElementsAre()) << "a train may be a class like any other";
}

TEST(OpenData, SuffixesMayBeCapitalsAndFilesWithoutOneAreLookedInto) {
  const TemporaryFolder folder;
  fill(folder);
  const auto tar = test::tar_member("cat/2.PNG", test::read_text(folder / "set/cat/2.png")) + std::string(1024, '\0');
  for (const std::string name : {"a.TAR", "a.Tar", "a.download"}) {
    test::write_text(folder / name, tar);
    EXPECT_EQ(open(folder / name).images->size(), 1) << name;
  }
  save(folder / "x.SafeTensors", {{"images", made_image(5)}});
  EXPECT_EQ(open(folder / "x.SafeTensors").images->size(), 1);
  fs::copy(folder / "set/cat/2.png", folder / "2.PNG");
  EXPECT_EQ(open(folder / "2.PNG").images->size(), 1);
}

TEST(OpenData, ImagesToBeShownTurnedAreCounted) {
  const TemporaryFolder folder;
  const std::string block("eXIfII*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0", 26);
  const std::string chunk = std::string("\0\0\0\x16", 4) + block + "sum?";
  for (int64_t i = 0; i < 4; ++i) {
    const auto name = folder / cat(i, ".png");
    write_image(name, i);
    const auto png = test::read_text(name);
    if (i > 1) test::write_text(name, png.substr(0, 33) + chunk + png.substr(33));
  }
  const LogCapture log;
  {
    const auto opened = open(folder.path());
    for (int64_t i = 0; i < 8; ++i) EXPECT_TRUE(at::equal(opened.images->read(i % 4), made_image(i % 4, 1, 9, 7)));
  }
  EXPECT_THAT(log.lines, ElementsAre(HasSubstr("2.png: is to be shown turned (EXIF orientation 6)"),
                                     HasSubstr("2 of the images that were read are to be shown turned")));
}

TEST(OpenData, ATextFileNamedJpgIsABrokenImage) {
  const TemporaryFolder folder;
  write_image(folder / "b.png", 1);
  test::write_text(folder / "a.jpg", "this is no picture\n");
  const auto opened = open(folder.path());
  EXPECT_THAT(message_of<Error>([&] { opened.images->read(0); }), HasSubstr((folder / "a.jpg").string()));
  const data::Dataset tolerant(opened.images, test::made_options(7));
  EXPECT_TRUE(at::equal(tolerant.image(0), tolerant.image(1)));
  EXPECT_EQ(tolerant.broken(), 1);
  const data::Dataset strict(opened.images, test::made_options(7, 1, 0));
  EXPECT_THAT(message_of<Error>([&] { strict.image(0); }), HasSubstr("the first is " + (folder / "a.jpg").string()));
}

TEST(OpenData, TensorsWithLabels) {
  const TemporaryFolder folder;
  const auto images = at::stack({made_image(0, 3), made_image(1, 3), made_image(2, 3)});
  save(folder / "x.safetensors", {{"images", images}, {"labels", at::tensor({2, 0, 2}, at::kInt)}});
  const auto opened = open(folder / "x.safetensors");
  EXPECT_EQ(opened.description, "tensors " + (folder / "x.safetensors").string() + ": 3 images, 3 classes");
  EXPECT_THAT(opened.labels->class_names(), ElementsAre("0", "1", "2"));
  EXPECT_THAT(labels_of(opened), ElementsAre(2, 0, 2));
  EXPECT_TRUE(at::equal(opened.images->read(1), images[1]));
}

TEST(OpenData, GreyTensorsWithoutLabels) {
  const TemporaryFolder folder;
  const auto images = at::cat({made_image(0), made_image(1)});  // [2, 8, 8]
  save(folder / "x.data", {{"images", images}});
  const auto opened = open(folder / "x.data", data::Format::kTensors);
  EXPECT_EQ(opened.labels, nullptr);
  EXPECT_TRUE(at::equal(opened.images->read(1), made_image(1)));
}

TEST(OpenData, TheShippedDigitsUseTheWholeRangeOfBytes) {
  const auto opened = open(fs::path(SDG_SOURCE_DIR) / "configs" / "digits.safetensors");
  EXPECT_THAT(opened.description, EndsWith(": 1797 images, 10 classes"));
  const data::Dataset dataset(opened.images, test::made_options());
  std::set<int64_t> allowed, seen;
  for (int64_t k = 0; k <= 16; ++k) allowed.insert((k * 255 + 8) / 16);
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const auto image = dataset.image(i);
    for (int64_t p = 0; p < image.numel(); ++p) seen.insert(image.const_data_ptr<uint8_t>()[p]);
  }
  EXPECT_EQ(seen, allowed);
}

TEST(OpenData, ARelativePathIsTriedBesideTheConfigFirst) {
  const TemporaryFolder folder;
  save(folder / "digits.safetensors", {{"images", made_image(5)}});
  EXPECT_THAT(open("digits.safetensors", data::Format::kAuto, folder.path().string()).description,
              HasSubstr(": 1 image, no classes"));
  EXPECT_THAT(open("digits.safetensors").description, HasSubstr(": 1797 images, 10 classes"));
}

TEST(OpenData, SaysWhatIsWrongWithThePath) {
  const TemporaryFolder folder;
  const auto missing = complaint("no/such/folder");
  EXPECT_THAT(missing, HasSubstr("no/such/folder"));
  EXPECT_THAT(missing, HasSubstr(fs::current_path().string())) << "the places where it looked";
  fs::create_directories(folder / "empty/inside");
  EXPECT_THAT(complaint(folder / "empty"), HasSubstr("holds no images"));
  test::write_text(folder / "empty/a.txt", "text");
  EXPECT_THAT(complaint(folder / "empty"), HasSubstr("found 1 file, 1 .txt"));
  test::write_text(folder / "e.tar", std::string(1024, '\0'));
  EXPECT_THAT(complaint(folder / "e.tar"), HasSubstr("holds no images"));
  EXPECT_THAT(complaint(folder / "empty/a.txt"),
              HasSubstr("expected a folder, a .tar, a .safetensors file or an image"));
  EXPECT_THAT(complaint(folder / "empty/a.txt", data::Format::kFolder), HasSubstr("expected a folder"));
  EXPECT_THAT(complaint(""), HasSubstr("data.path"));
  for (const std::string name : {"page.tar", "page.bin"}) {
    test::write_text(folder / name, "<!DOCTYPE html><html><body>404</body></html>");
    EXPECT_THAT(complaint(folder / name), HasSubstr("a web page (HTML)"));
    test::write_text(folder / name, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
    EXPECT_THAT(complaint(folder / name), HasSubstr("a Git LFS pointer"));
    test::write_text(folder / name, "");
    EXPECT_THAT(complaint(folder / name), HasSubstr("the file is empty"));
    test::write_text(folder / name, "\x1F\x8B\x08 packed");
    EXPECT_THAT(complaint(folder / name), HasSubstr("gzip-compressed; unpack it first: gzip -dc"));
  }
  EXPECT_NE(complaint(folder / "empty", data::Format::kTar), "no error");
  EXPECT_NE(complaint(folder / "empty", data::Format::kTensors), "no error");
}

TEST(OpenData, SaysWhatIsWrongWithTheTensors) {
  const TemporaryFolder folder;
  const auto path = folder / "x.safetensors";
  const auto images = made_image(0);
  const auto rejection = [&](std::map<std::string, Tensor> tensors) {
    save(path, std::move(tensors));
    return complaint(path);
  };
  EXPECT_THAT(rejection({{"pixels", images}}), HasSubstr("images"));
  EXPECT_THAT(rejection({{"images", images.to(at::kFloat)}}), HasSubstr("uint8"));
  EXPECT_THAT(rejection({{"images", at::zeros({2, 2, 4, 4}, at::kByte)}}), HasSubstr("got Byte [2, 2, 4, 4]"));
  EXPECT_THAT(rejection({{"images", at::zeros({0, 4, 4}, at::kByte)}}), HasSubstr("non-empty"));
  EXPECT_THAT(rejection({{"images", images}, {"labels", at::zeros({2}, at::kLong)}}), HasSubstr("integers [1]"));
  EXPECT_THAT(rejection({{"images", images}, {"labels", at::zeros({1})}}), HasSubstr("integers [1]"));
  EXPECT_THAT(rejection({{"images", images}, {"labels", at::full({1}, -1, at::kLong)}}), HasSubstr("got -1"));
  EXPECT_THAT(rejection({{"images", images}, {"labels", at::full({1}, int64_t{1} << 40, at::kLong)}}),
              HasSubstr("[0, "));
}

TEST(OpenData, PhotographsOfImageNetBecomeSquaresWithoutABrokenOne) {
  const fs::path tar = fs::path(SDG_SOURCE_DIR) / ".." / "shared" / "data" / "imagenet-photos.tar";
  if (!fs::exists(tar)) {
    std::cout << "SKIPPED: no ../shared/data/imagenet-photos.tar beside the source folder" << std::endl;
    GTEST_SKIP() << "no ../shared/data/imagenet-photos.tar";
  }
  const auto opened = open(tar);
  EXPECT_EQ(opened.images->size(), 300);
  const data::Dataset dataset(opened.images, test::made_options(64, 3, 0));
  for (int64_t i = 0; i < 300; i += 10) {
    const auto image = dataset.image(i);
    EXPECT_EQ(image.sizes(), (at::IntArrayRef{3, 64, 64}));
    EXPECT_GT(image.to(at::kFloat).std().item<float>(), 5)
        << opened.images->name(i) << " should not be one plain colour";
  }
  EXPECT_EQ(dataset.broken(), 0);
}
