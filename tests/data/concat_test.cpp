// Several files that are one data set.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "data/made_images.h"
#include "sdg/data/fingerprint.h"
#include "sdg/data/loader.h"
#include "sdg/tensors/tensor_file.h"
#include "support/log_capture.h"

namespace fs = std::filesystem;
using namespace sdg;
using test::made_image;
using test::message_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {

constexpr int64_t kCount = 13;
const std::vector<int64_t> kParts{0, 5, 6, 13};  // shards of 5, 1 and 7

/// Takes rows begin..end of every tensor.
tensors::TensorFile rows(const tensors::TensorFile& whole, int64_t begin, int64_t end) {
  tensors::TensorFile part{{}, whole.metadata};
  for (const auto& [name, tensor] : whole.tensors) part.tensors[name] = tensor.slice(0, begin, end).clone();
  return part;
}

tensors::TensorFile made_images() {
  std::vector<Tensor> images;
  for (int64_t i = 0; i < kCount; ++i) images.push_back(made_image(i, 3));
  tensors::TensorFile file;
  file.tensors["images"] = at::stack(images);
  file.tensors["labels"] = at::arange(kCount).remainder(4);
  file.tensors["masks"] = file.tensors["images"].select(1, 0).remainder(3);
  return file;
}

tensors::TensorFile made_latents() {
  const auto made = [](uint64_t seed) {
    return rng::normal({seed, rng::Purpose::kTest, 0}, rng::consecutive(0, kCount), {2, 4, 4});
  };
  data::LatentCard card;
  card.channels = 2;
  card.size = 4;
  card.scale = 0.5;
  tensors::TensorFile file;
  file.metadata = data::to_metadata(card);
  const char* const names[] = {"mean", "logvar", "mean_flipped", "logvar_flipped"};
  for (uint64_t i = 0; i < 4; ++i) file.tensors[names[i]] = made(i);
  file.tensors["labels"] = at::arange(kCount).remainder(4);
  return file;
}

class Shards : public ::testing::Test {
 protected:
  // As whole.safetensors, and in parts: shards/0.safetensors ...
  void write(const tensors::TensorFile& whole) {
    fs::create_directories(folder_ / "shards");
    tensors::write_tensors(folder_ / "whole.safetensors", whole);
    for (size_t i = 0; i + 1 < kParts.size(); ++i)
      tensors::write_tensors(shard(i), rows(whole, kParts[i], kParts[i + 1]));
  }
  fs::path shard(size_t number) const { return folder_ / "shards" / (std::to_string(number) + ".safetensors"); }
  std::string list() const { return cat(shard(0).string(), ",", shard(1).string(), ",", shard(2).string()); }

  static data::OpenedData open(const std::string& path) {
    data::DataOptions options;
    options.path = path;
    return data::open_data(options, "");
  }
  std::string complaint(const std::string& path) const {
    return message_of<Error>([&] { open(path); });
  }

  void expect_same(const data::OpenedData& a, const data::OpenedData& b, const data::DataOptions& options) const {
    EXPECT_EQ(a.size(), b.size());
    EXPECT_EQ(data::to_text(data::fingerprint(a)), data::to_text(data::fingerprint(b)));
    EXPECT_TRUE(at::equal(a.labels->labels(), b.labels->labels()));
    EXPECT_EQ(a.labels->class_names(), b.labels->class_names());
    const data::Dataset one(a, options), other(b, options);
    const auto all = rng::consecutive(0, kCount);
    EXPECT_TRUE(at::equal(one.values(all), other.values(all)));
    data::Loader left(one, {.batch = 5, .seed = 3, .flip = true, .threads = 2}, 0);
    data::Loader right(other, {.batch = 5, .seed = 3, .flip = true, .threads = 0}, 0);
    for (int step = 0; step < 8; ++step) {
      const auto x = left.next(), y = right.next();
      EXPECT_EQ(x.index, y.index);
      EXPECT_TRUE(at::equal(x.x, y.x)) << step;
    }
  }
  const test::TemporaryFolder folder_;
};

}  // namespace

TEST_F(Shards, OfImagesGiveTheBatchesOfTheOneFile) {
  write(made_images());
  const auto whole = open((folder_ / "whole.safetensors").string()), shards = open((folder_ / "shards").string());
  EXPECT_THAT(shards.description, HasSubstr("(3 parts): 13 images, 4 classes"));
  expect_same(whole, shards, test::made_options(8, 3));
  expect_same(whole, open(list()), test::made_options(8, 3));
  for (int64_t i = 0; i < kCount; ++i) EXPECT_TRUE(at::equal(shards.masks->mask(i), whole.masks->mask(i))) << i;
}

TEST_F(Shards, OfLatentsGiveTheBatchesOfTheOneFile) {
  write(made_latents());
  const auto whole = open((folder_ / "whole.safetensors").string()), shards = open((folder_ / "shards").string());
  data::DataOptions options;
  options.size = 4;
  options.channels = 2;
  options.flip = true;
  expect_same(whole, shards, options);
  EXPECT_TRUE(at::equal(shards.latents->raw_means(3, 8), whole.latents->raw_means(3, 8)));
}

TEST_F(Shards, InAListStandInTheOrderOfTheList) {
  write(made_images());
  const auto opened = open(cat(shard(2).string(), ",", shard(0).string()));
  EXPECT_EQ(opened.size(), 12);
  EXPECT_TRUE(at::equal(opened.images->read(0), made_image(6, 3)));
  EXPECT_TRUE(at::equal(opened.images->read(7), made_image(0, 3)));
  EXPECT_EQ(opened.images->name(7), shard(0).string() + "[0]");
}

TEST_F(Shards, AFileWithACommaInItsNameIsOneFile) {
  write(made_images());
  fs::rename(folder_ / "whole.safetensors", folder_ / "a,b.safetensors");
  EXPECT_EQ(open((folder_ / "a,b.safetensors").string()).size(), kCount);
}

TEST_F(Shards, FoldersJoinTheirClassesByName) {
  const auto image = [&](const std::string& name, int64_t key) {
    fs::create_directories((folder_ / name).parent_path());
    image::write_png(folder_ / name, made_image(key));
  };
  image("one/dog/a.png", 1);
  image("one/cat/b.png", 2);
  image("two/dog/a.png", 3);
  image("two/ant/c.png", 4);
  const auto opened = open(cat((folder_ / "one").string(), ",", (folder_ / "two").string()));
  EXPECT_THAT(opened.labels->class_names(), ElementsAre("ant", "cat", "dog"));
  EXPECT_TRUE(at::equal(opened.labels->labels(), at::tensor({1, 2, 0, 2}, at::kLong)));
  EXPECT_TRUE(at::equal(opened.images->read(2), made_image(4)));
}

TEST_F(Shards, ABrokenImageIsReplacedAcrossTheBorder) {
  for (const auto* name : {"one/a.png", "one/b.png", "two/a.png"}) {
    fs::create_directories((folder_ / name).parent_path());
    image::write_png(folder_ / name, made_image(name[0] == 't' ? 7 : 1));
  }
  test::write_text(folder_ / "one/b.png", "no image");
  const data::Dataset dataset(open(cat((folder_ / "one").string(), ",", (folder_ / "two").string())),
                              test::made_options());
  EXPECT_EQ(dataset.shown(1), 2);
  EXPECT_TRUE(at::equal(dataset.image(1), made_image(7)));
}

TEST_F(Shards, TarsInAFolderAreOneDataSet) {
  for (int64_t part = 0; part < 2; ++part) {
    image::write_png(folder_ / "x.png", made_image(part));
    const auto bytes = test::read_text(folder_ / "x.png");
    fs::create_directories(folder_ / "tars");
    test::write_text(folder_ / "tars" / cat(part, ".tar"),
                     test::tar_member(cat("c", part, "/x.png"), bytes) + std::string(1024, '\0'));
  }
  test::write_text(folder_ / "tars/README.md", "two tars");
  const auto opened = open((folder_ / "tars").string());
  EXPECT_EQ(opened.size(), 2);
  EXPECT_TRUE(at::equal(opened.images->read(1), made_image(1)));
}

TEST_F(Shards, AFolderWithImagesOrFoldersIsNoFolderOfShards) {
  write(made_images());
  image::write_png(folder_ / "shards/x.png", made_image(1));
  EXPECT_EQ(open((folder_ / "shards").string()).size(), 1);
}

TEST_F(Shards, ThatDoNotGoTogetherAreNamed) {
  const auto spoil = [&](const tensors::TensorFile& whole, const std::function<void(tensors::TensorFile&)>& change) {
    write(whole);
    auto last = rows(whole, 6, kCount);
    change(last);
    tensors::write_tensors(shard(2), last);
    const auto message = complaint(list());
    EXPECT_THAT(message, HasSubstr(shard(0).string()));
    EXPECT_THAT(message, HasSubstr(shard(2).string()));
    return message;
  };
  const auto images = made_images(), latents = made_latents();
  EXPECT_THAT(spoil(images, [](auto& f) { f.tensors.erase("labels"); }), HasSubstr("has labels"));
  EXPECT_THAT(spoil(images, [](auto& f) { f.tensors.erase("masks"); }), HasSubstr("has masks"));
  EXPECT_THAT(spoil(images, [](auto& f) { f.tensors["images"] = at::zeros({7, 1, 8, 8}, at::kByte); }),
              HasSubstr("holds images [3, 8, 8]"));
  EXPECT_THAT(spoil(images, [&](auto& f) { f = rows(latents, 6, kCount); }), HasSubstr("(tensors) and "));
  EXPECT_THAT(spoil(latents,
                    [](auto& f) {
                      f.tensors.erase("logvar");
                      f.tensors.erase("logvar_flipped");
                    }),
              HasSubstr("has `logvar`"));
  EXPECT_THAT(spoil(latents, [](auto& f) { f.metadata["scale"] = "0.25"; }), HasSubstr("of one autoencoder"));
  EXPECT_THAT(spoil(latents, [](auto& f) { f.metadata["factor"] = "4"; }), HasSubstr("at 1/8"));
  EXPECT_THAT(complaint(shard(0).string() + ",/nowhere.safetensors"), HasSubstr("/nowhere.safetensors"));
  EXPECT_THAT(complaint(shard(0).string() + ",,x"), HasSubstr("before and after each comma"));
}

TEST_F(Shards, LabelsThatLookLikeIdentifiersAreWarnedOfOnce) {
  auto whole = made_images();
  whole.tensors.erase("masks");
  whole.tensors["labels"] = at::arange(kCount) * 70000;
  write(whole);
  const test::LogCapture log;
  EXPECT_EQ(open((folder_ / "shards").string()).labels->class_names().size(), 840001U);
  ASSERT_EQ(log.lines.size(), 1U);
  EXPECT_THAT(log.lines[0], HasSubstr("only 13 of these 840001 classes have an image"));
}
