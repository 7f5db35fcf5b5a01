#include "sdg/data/fingerprint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/made_images.h"
#include "sdg/tensors/tensor_file.h"

using namespace sdg;
using data::Fingerprint;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

namespace {

/// Folders and files to be changed, one class of four and one of three images.
class Fingerprints : public ::testing::Test {
 protected:
  Fingerprints() {
    for (int i = 0; i < 7; ++i) put("set", i < 4 ? "cat" : "dog", cat(i, ".png"), i);
  }
  void put(const std::string& root, const std::string& kind, const std::string& name, int64_t key) const {
    fs::create_directories(folder_ / root / kind);
    image::write_png(folder_ / root / kind / name, test::made_image(key));
  }
  data::OpenedData open(const std::string& name) const {
    data::DataOptions options;
    options.path = (folder_ / name).string();
    return data::open_data(options, "");
  }
  Fingerprint of(const std::string& name) const { return data::fingerprint(open(name)); }
  std::string difference(const Fingerprint& before, const std::string& name) const {
    return data::to_text(data::changes(before, of(name)));
  }
  std::string tar_of(const std::string& root, const std::string& prefix) const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / root))
      if (entry.is_regular_file()) files.push_back(entry.path());
    std::sort(files.rbegin(), files.rend());  // a tar keeps no order
    std::string bytes;
    for (const auto& file : files)
      bytes += test::tar_member(prefix + fs::relative(file, folder_ / root).string(), test::read_text(file));
    return bytes + std::string(1024, '\0');
  }
  void write_tensors(const std::string& name, const Tensor& images, const Tensor& labels) const {
    tensors::write_tensors(folder_ / name, {{{"images", images}, {"labels", labels}}, {}});
  }

  const test::TemporaryFolder folder_;
};

}  // namespace

TEST_F(Fingerprints, OfAFolderAMovedOneAndATarOfItAreEqual) {
  const auto before = of("set");
  EXPECT_EQ(before.images, 7);
  EXPECT_THAT(before.classes, ElementsAre("cat", "dog"));
  EXPECT_THAT(before.class_sizes, ElementsAre(4, 3));
  fs::copy(folder_ / "set", folder_ / "elsewhere", fs::copy_options::recursive);
  test::write_text(folder_ / "a.tar", tar_of("set", ""));
  test::write_text(folder_ / "b.tar", tar_of("set", "./wrapped/"));
  for (const std::string same : {"elsewhere", "a.tar", "b.tar"}) EXPECT_EQ(difference(before, same), "") << same;
}

TEST_F(Fingerprints, ComeBackFromText) {
  const auto before = of("set");
  const auto read = data::parse_fingerprint(data::to_text(before), "x");
  EXPECT_EQ(data::to_text(read), data::to_text(before));
  EXPECT_THROW(data::parse_fingerprint("{\"images\": \"many\"}", "x"), Error);
  EXPECT_THROW(data::parse_fingerprint("", "x"), Error);
}

TEST_F(Fingerprints, SayWhichClassWasRenamed) {
  const auto before = of("set");
  fs::rename(folder_ / "set/cat", folder_ / "set/zebra");  // now the second class
  EXPECT_THAT(difference(before, "set"),
              ::testing::AllOf(HasSubstr("class cat is now zebra"), HasSubstr("images have other labels"),
                               HasSubstr("the same images stand in another order")));
  fs::rename(folder_ / "set/zebra", folder_ / "set/cats");  // the order of before
  const auto order_kept = data::changes(before, of("set"));
  EXPECT_THAT(order_kept.labels, ElementsAre("class cat is now cats"));
  EXPECT_THAT(order_kept.images, IsEmpty());
}

TEST_F(Fingerprints, SayWhereAnImageCameOrWent) {
  const auto before = of("set");
  put("set", "dog", "9.png", 9);
  EXPECT_EQ(difference(before, "set"), "8 images, there were 7; class dog has 4 images, it had 3");
  fs::remove_all(folder_ / "set/dog");
  EXPECT_THAT(difference(before, "set"), HasSubstr("4 images, there were 7"));
}

TEST_F(Fingerprints, NoticeOneReplacedImageARenamedFileAndAMovedOne) {
  const auto before = of("set");
  put("set", "cat", "2.png", 50);
  EXPECT_EQ(difference(before, "set"), "the contents of the images differ");
  put("set", "cat", "2.png", 2);
  EXPECT_EQ(difference(before, "set"), "");
  fs::rename(folder_ / "set/cat/2.png", folder_ / "set/cat/2b.png");
  EXPECT_EQ(difference(before, "set"), "files have other names");
  fs::rename(folder_ / "set/cat/2b.png", folder_ / "set/cat/9.png");
  EXPECT_EQ(difference(before, "set"), "the same images stand in another order; files have other names");
}

TEST_F(Fingerprints, OfTensorsNoticePermutedRelabelledAndReplacedImages) {
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < 40; ++i) rows.push_back(test::made_image(i).squeeze(0));
  const auto images = at::stack(rows);
  const auto labels = at::arange(40).remainder(4);
  write_tensors("data.safetensors", images, labels);
  const auto before = of("data.safetensors");
  const auto flipped = images.flip({0});
  write_tensors("data.safetensors", flipped, labels);
  EXPECT_EQ(difference(before, "data.safetensors"), "the same images stand in another order");
  write_tensors("data.safetensors", images, labels.flip({0}));
  EXPECT_EQ(difference(before, "data.safetensors"), "images have other labels");
  auto replaced = images.clone();
  replaced[17][0][0] = replaced[17][0][0].item<int64_t>() ^ 1;  // one bit
  write_tensors("data.safetensors", replaced, labels);
  EXPECT_EQ(difference(before, "data.safetensors"), "the contents of the images differ");
  tensors::write_tensors(folder_ / "data.safetensors", {{{"images", images}}, {}});
  EXPECT_EQ(difference(before, "data.safetensors"), "there are no classes any more");
}

TEST_F(Fingerprints, OfLargeSetsAreOfAllSizesAndOfSamples) {
  class Large : public test::MadeSource {
   public:
    using MadeSource::MadeSource;
    uint64_t stored_size(int64_t index) const override { return 1000000 + (index == longer); }
    Tensor read(int64_t index) const override { return MadeSource::read(index == replaced ? 7777 : index); }
    int64_t longer = -1, replaced = -1;
  };
  const auto of_source = [](const std::shared_ptr<Large>& source) {
    data::OpenedData opened;
    opened.images = source;
    return data::fingerprint(opened);
  };
  auto source = std::make_shared<Large>(1000);
  const auto before = of_source(source);
  EXPECT_EQ(source->reads, Fingerprint::kSamples);
  EXPECT_EQ(before.bag, "");
  source->longer = 501;
  EXPECT_EQ(data::to_text(data::changes(before, of_source(source))), "the contents of the images differ");
  source->longer = -1;
  EXPECT_EQ(data::to_text(data::changes(before, of_source(source))), "");
  for (const int64_t sampled : {0, 999}) {
    source->replaced = sampled;
    EXPECT_EQ(data::to_text(data::changes(before, of_source(source))), "the contents of the images differ");
  }
  source->replaced = 1;  // as the header says: between two samples, and of the same size
  EXPECT_EQ(data::to_text(data::changes(before, of_source(source))), "");
}

TEST(SameImages, AreTheImagesAndLatentsOfThemInAnyPair) {
  Fingerprint images, latents, other_latents, other;
  images.images = latents.images = other_latents.images = other.images = 5;
  images.contents = "a";
  latents.contents = "b";
  other_latents.contents = "c";
  latents.encoded = other_latents.encoded = "a";
  other.contents = "d";
  EXPECT_TRUE(data::same_images(images, latents));
  EXPECT_TRUE(data::same_images(latents, images));
  EXPECT_TRUE(data::same_images(latents, other_latents));
  EXPECT_FALSE(data::changes(latents, other_latents).images.empty()) << "but a run must not change between them";
  EXPECT_FALSE(data::same_images(images, other));
  EXPECT_FALSE(data::same_images(latents, other));
}

TEST_F(Fingerprints, OfFilesThatCannotBeReadAreMadeAllTheSame) {
  test::write_text(folder_ / "set/cat/1.png", "");
  fs::remove(folder_ / "set/cat/3.png");
  fs::create_symlink("nowhere.png", folder_ / "set/cat/3.png");
  const auto before = of("set");
  EXPECT_EQ(before.images, 7);
  EXPECT_EQ(difference(before, "set"), "");
  test::write_text(folder_ / "set/cat/1.png", "x");
  EXPECT_EQ(difference(before, "set"), "the contents of the images differ");
}
