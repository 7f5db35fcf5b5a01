// Boxes and masks as conditions: found or given, trained on, followed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/tiny_program.h"
#include "sdg/image/image.h"
#include "sdg/regions/refine.h"
#include "sdg/tensors/npz.h"
#include "sdg/tensors/tensor_file.h"
#include "support/tiny_run.h"

using namespace sdg;
using test::expect_failure;
using ::testing::HasSubstr;

namespace {

// A U-Net that takes vectors and maps.
const std::string kUNet =
    "--config '" SDG_SOURCE_DIR
    "/configs/digits.yaml' --set device=cpu --set data.path=tiny.safetensors --set model.name=sg-unet --set "
    "model.dim=32 --set model.depth=1 --set train.steps=3 --set train.batch=8 --set train.warmup=1 --set "
    "sample.steps=2 --set eval.count=8 --set train.schedule=constant --set condition.source=file ";

class Regions : public test::Program {
 protected:
  Regions() { test::write_tiny_data(folder_ / "tiny.safetensors"); }  // 40 images, 8 x 8, a bright quarter each

  void write_boxes(const std::string& name, double shift = 0) const {
    auto boxes = at::empty({40, 4});
    for (int64_t i = 0; i < 40; ++i) {
      const int64_t corner = i % 4, row = corner / 2;
      const auto left = static_cast<double>(corner % 2 * 4), top = static_cast<double>(row * 4);
      boxes[i].copy_(at::tensor({left + shift, top, left + 4, top + 4}));
    }
    tensors::write_tensors(folder_ / name, {{{"boxes", boxes}}, {}});
  }
  nlohmann::json json(const std::string& arguments) const {
    const auto result = sdg(arguments + " --json");
    EXPECT_EQ(result.code, 0) << result.err;
    return result.code == 0 ? nlohmann::json::parse(result.out) : nlohmann::json();
  }
  void own_network() const {
    const auto result = sdg("train --run own " + test::kTiny +
                            "--set data.path=tiny.safetensors --set model.patch=2 "
                            "--set condition.source=none --set train.steps=20");
    ASSERT_EQ(result.code, 0) << result.err;
  }
};

}  // namespace

TEST_F(Regions, GivenBoxesAndClustersOfTheirContentsGuideAndAreFollowedInOrder) {
  write_boxes("truth.safetensors");
  const auto row = json(
      "boxes --boxes truth.safetensors --data tiny.safetensors --size 8 --extractor digits --clusters 3 --restarts 1 "
      "--truth truth.safetensors --picture seen.png");
  EXPECT_EQ(row.at("images"), 40);
  EXPECT_EQ(row.at("clusters"), 3);
  EXPECT_EQ(row.at("recall"), 1);
  EXPECT_EQ(row.at("area"), 0.25);
  EXPECT_EQ(image::read_image(folder_ / "seen.png").size(0), 3);
  const auto file = tensors::read_tensors(folder_ / "boxes.safetensors");
  EXPECT_EQ(file.at("maps").sizes(), (Shape{40, 1, 8, 8}));
  EXPECT_EQ(file.at("ids").sizes(), (Shape{40}));

  const auto trained = sdg("train --run guided " + kUNet + "--set condition.file=boxes.safetensors");
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_THAT(sdg("audit guided").out, HasSubstr("not known whether they saw labels"));
  const auto some = [&](const std::string& more) {
    const auto result = sdg("sample --run guided --overwrite --count 3 " + more);
    EXPECT_EQ(result.code, 0) << result.err;
    return image::read_image(folder_ / "samples" / "000001.png");
  };
  // Image 1 follows row 1, whatever else the file holds.
  auto two = file;
  for (const auto* name : {"ids", "maps"}) two.tensors[name] = file.at(name).slice(0, 0, 2).contiguous();
  two.tensors = {{"ids", two.at("ids")}, {"maps", two.at("maps")}};
  tensors::write_tensors(folder_ / "two.safetensors", two);
  const auto first = some("--conditions two.safetensors");
  EXPECT_TRUE(at::equal(first, some("--conditions boxes.safetensors")));
  two.tensors["ids"] = at::full({2}, 3, at::kLong);
  tensors::write_tensors(folder_ / "other.safetensors", two);
  expect_failure(sdg("sample --run guided --out s --conditions other.safetensors"), 1,
                 "other.safetensors: holds index 3, the network knows 3");
  two.tensors.erase("maps");
  tensors::write_tensors(folder_ / "other.safetensors", two);
  expect_failure(sdg("sample --run guided --out s --conditions other.safetensors"), 1,
                 "holds only an index an image, which is not what the network was trained on");
  expect_failure(sdg("sample --run guided --out s --conditions boxes.safetensors --guidance 0"), 2,
                 "--conditions: guidance 0 draws without any condition");
}

TEST_F(Regions, BoxesAreFoundByAnOwnNetworksPatches) {
  own_network();
  write_boxes("truth.safetensors");
  const auto row = json("boxes --run own --depth 0 --time 0.95 --candidates 6 --clusters 4 --truth truth.safetensors");
  EXPECT_EQ(row.at("true_boxes"), 40);
  EXPECT_GT(row.at("overlap").get<double>(), 0.25) << "a box drawn at random does as well";
  const auto again = tensors::read_tensors(folder_ / "boxes.safetensors").at("boxes").clone();
  json("boxes --run own --depth 0 --time 0.95 --candidates 6 --out again.safetensors");
  EXPECT_TRUE(at::equal(tensors::read_tensors(folder_ / "again.safetensors").at("boxes"), again));
  EXPECT_FALSE(tensors::read_tensors(folder_ / "again.safetensors").tensors.contains("ids"));
}

TEST_F(Regions, MasksAreFoundAndTrainedOnAndGivenOnesScoreFully) {
  own_network();
  auto masks = at::zeros({40, 8, 8}, at::kByte);
  for (int64_t i = 0; i < 40; ++i) masks[i].narrow(0, i % 4 / 2 * 4, 4).narrow(1, i % 4 % 2 * 4, 4).fill_(1 + i % 4);
  tensors::write_tensors(folder_ / "truth.safetensors", {{{"masks", masks}}, {}});
  const auto found = json(
      "masks --run own --depth 0 --time 0.95 --clusters 3 --restarts 1 --truth truth.safetensors "
      "--out found.safetensors --picture seen.png");
  EXPECT_EQ(found.at("classes"), 3);
  EXPECT_GT(found.at("miou_majority").get<double>(), 0.1);
  // Refined, they are those of the library on the images that training sees.
  json(
      "masks --run own --depth 0 --time 0.95 --clusters 3 --restarts 1 --refine 2 --refine-epsilon 0.01 --out "
      "refined.safetensors");
  const auto rough = tensors::read_tensors(folder_ / "found.safetensors").at("maps");
  const auto refined = tensors::read_tensors(folder_ / "refined.safetensors").at("maps");
  const auto images = tensors::read_tensors(folder_ / "tiny.safetensors").at("images");
  for (const int64_t i : {0, 1, 39})
    EXPECT_TRUE(
        at::equal(refined[i], regions::refine(rough[i], images[i].unsqueeze(0), {.radius = 2, .epsilon = 0.01})))
        << i;
  EXPECT_FALSE(at::equal(refined, rough));
  const auto given = json(
      "masks --masks truth.safetensors --data tiny.safetensors --size 8 --classes 5 --truth "
      "truth.safetensors --out given.safetensors");
  EXPECT_EQ(given.at("miou"), 1);
  EXPECT_EQ(given.at("classes_an_image"), 2);
  const auto file = tensors::read_tensors(folder_ / "given.safetensors");
  EXPECT_TRUE(at::equal(file.at("maps"), masks));
  EXPECT_EQ(file.at("vectors").sizes(), (Shape{40, 5}));
  EXPECT_EQ(file.metadata.at("map_channels"), "5");
  for (const std::string name : {"found", "given"}) {
    const auto trained = sdg("train --run " + name + " " + kUNet + "--set condition.file=" + name + ".safetensors");
    ASSERT_EQ(trained.code, 0) << trained.err;
    const auto drawn =
        sdg("sample --run " + name + " --count 2 --out drawn-" + name + " --conditions " + name + ".safetensors");
    EXPECT_EQ(drawn.code, 0) << drawn.err;
  }
  expect_failure(sdg("train --run flipped " + kUNet + "--set condition.file=given.safetensors --set data.flip=true"), 2,
                 "data.flip: images would be mirrored and the maps");
}

TEST_F(Regions, ClustersOfAnOutsideNetworkAreToldInEveryWay) {
  const auto row = json(
      "kmeans --extractor digits --data tiny.safetensors --clusters 3 --restarts 1 --keep-features "
      "--neighbours 4");
  EXPECT_EQ(row.at("features"), 64);
  EXPECT_EQ(row.at("label_free"), "no") << "the digits' classifier saw labels";
  const auto file = tensors::read_tensors(folder_ / "ids.safetensors");
  EXPECT_EQ(file.at("centroids").sizes(), (Shape{3, 64}));
  EXPECT_EQ(file.at("features").sizes(), (Shape{40, 64}));
  EXPECT_EQ(file.at("neighbours").sizes(), (Shape{40, 4}));
  std::map<std::string, std::string> weights;
  for (const std::string told : {"cluster", "centroid", "feat", "knn_feat"}) {
    const auto options = kUNet + "--set condition.file=ids.safetensors --set condition.told=" + told;
    const auto trained = sdg("train --run " + told + " " + options);
    ASSERT_EQ(trained.code, 0) << trained.err;
    EXPECT_EQ(sdg("sample --run " + told + " --count 2 --overwrite").code, 0) << told;
    EXPECT_EQ(sdg("sample --run " + told + " --count 2 --overwrite --conditions ids.safetensors").code, 0) << told;
    // Stopped and gone on with, a run is the one that was not.
    ASSERT_EQ(sdg("train --run again-" + told + " " + options + " --set train.steps=2").code, 0);
    ASSERT_EQ(sdg("train --run again-" + told + " " + options).code, 0);
    test::expect_same_tensors(last(told), last("again-" + told));
  }
  expect_failure(sdg("train --run other " + kUNet +
                     "--set condition.file=ids.safetensors --set condition.told=feat "
                     "--set condition.source=none"),
                 2, "condition.told: feat says what of a file is told");
}

TEST_F(Regions, WhatCannotBeHonouredIsRefusedInOneLine) {
  write_boxes("outside.safetensors", -1);
  const std::string data = " --data tiny.safetensors --size 8";
  expect_failure(sdg("boxes --boxes outside.safetensors" + data), 1, "reaches outside of the picture of 8 x 8");
  tensors::write_tensors(folder_ / "none.safetensors", {{{"boxes", at::zeros({40, 4})}}, {}});
  expect_failure(sdg("boxes --boxes none.safetensors" + data), 1, "has no box in the square that the network sees");
  EXPECT_EQ(json("boxes --boxes none.safetensors --missing whole" + data).at("area"), 1);
  EXPECT_EQ(json("boxes --boxes none.safetensors --missing empty" + data).at("area"), 0);
  expect_failure(sdg("boxes" + data), 2, "name what to look with: --extractor");
  expect_failure(sdg("boxes --extractor digits" + data), 2, "has no features of patches");
  expect_failure(sdg("boxes --data tiny.safetensors --extractor digits"), 2, "--size: name the side");
  expect_failure(sdg("masks --depth 1 --extractor digits" + data), 2, "--depth: says where in a network of yours");
  tensors::write_tensors(folder_ / "masks.safetensors", {{{"masks", at::full({40, 8, 8}, 7, at::kByte)}}, {}});
  expect_failure(sdg("masks --masks masks.safetensors --classes 7" + data), 1,
                 "mask 0: holds the value 7, expected classes 0 to 6");
  tensors::write_tensors(folder_ / "small.safetensors", {{{"masks", at::zeros({40, 4, 4}, at::kByte)}}, {}});
  expect_failure(sdg("masks --masks masks.safetensors --refine 2" + data), 2, "--refine: says how masks are found");
  expect_failure(sdg("masks --masks small.safetensors" + data), 1, "mask 0: is of 4 x 4 pixels, its image");
  auto features = at::arange(160).to(at::kFloat).view({40, 4});
  features[7].zero_();
  tensors::write_tensors(folder_ / "zeros.safetensors", {{{"features", features}}, {}});
  const auto warned = sdg("kmeans --features zeros.safetensors --no-standardize --l2 --clusters 2");
  EXPECT_EQ(warned.code, 0);
  EXPECT_THAT(warned.err, HasSubstr("1 of 40 rows are zero (the first is row 7): they have no direction"));
  expect_failure(sdg("kmeans --features zeros.safetensors --clusters 2 --neighbours 40"), 2,
                 "--neighbours: 40 neighbours among 40 images");
}

// The file of conditions and the images need not be there to know what a run will take.
TEST_F(Regions, ShippedConfigurationsTellWhatTheyTake) {
  for (const auto& [name, network] : {std::pair<std::string, std::string>{"cifar10", "sg-unet-fast"},
                                      {"imagenet32", "sg-unet-fast"},
                                      {"imagenet64", "sg-unet-fast-s64"},
                                      {"voc64-box", "sg-unetca-fast"},
                                      {"cocostuff64-mask", "sg-unetca-fast"}}) {
    const auto result = sdg("train --config self-guided/" + name + ".yaml --dry-run");
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_THAT(result.out, HasSubstr("  name: " + network + "\n"));
    EXPECT_THAT(result.out, HasSubstr("# parameters "));
    EXPECT_THAT(result.out, HasSubstr("is not there: counted with an index below cluster.clusters"));
    if (name == "imagenet32") EXPECT_THAT(result.out, HasSubstr("75,281,803")) << "as the public code's network";
  }
}

// Clusters are numbered otherwise than the images: a cluster's number is no row of the file.
TEST_F(Regions, ThePageOfClustersAsksByWhatImagesWereTold) {
  auto features = at::zeros({40, 4});
  auto ids = at::empty({40}, at::kLong);
  for (int64_t i = 0; i < 40; ++i) {
    features[i][i % 4] = 1;
    ids[i] = (i + 1) % 4;
  }
  tensors::write_tensors(folder_ / "told.safetensors", {{{"features", features}, {"ids", ids}}, {}});
  const auto trained = sdg("train --run told " + kUNet +
                           "--set condition.file=told.safetensors --set condition.told=feat --set train.steps=120 "
                           "--set train.lr=2e-3 --set condition.drop=0.2 --set train.ema=0.9");
  ASSERT_EQ(trained.code, 0) << trained.err;
  const auto page = sdg("clusters --run told --generated 8 --per-cluster 2");
  ASSERT_EQ(page.code, 0) << page.err;
  const auto gain_after = [&](const std::string& words) {
    const auto at = page.out.find(words);
    EXPECT_NE(at, std::string::npos) << page.out;
    return at == std::string::npos ? 0 : std::stod(page.out.substr(at + words.size()));
  };
  EXPECT_GT(gain_after("own condition takes away "), 3);
  EXPECT_LT(gain_after("another image's "), 0);
  EXPECT_THAT(sdg("eval-clusters --run told").out, HasSubstr("4 of 4 clusters"));
  expect_failure(sdg("sample --run told --cluster 1 --out s"), 2, "told.safetensors, not clusters; --conditions FILE");
}

TEST_F(Regions, IndicesOfATextFileAreFollowedAsTheyWereTrainedOn) {
  std::string lines;
  for (int64_t i = 0; i < 40; ++i) lines += std::to_string(i % 4) + "\n";
  test::write_text(folder_ / "ids.txt", lines);
  ASSERT_EQ(sdg("train --run told " + kUNet + "--set condition.file=ids.txt").code, 0);
  const auto drawn = sdg("sample --run told --count 3 --npz a.npz --conditions ids.txt");
  ASSERT_EQ(drawn.code, 0) << drawn.err;
  EXPECT_TRUE(at::equal(tensors::read_npz(folder_ / "a.npz").at("arr_1"), at::arange(3)));
  expect_failure(sdg("sample --run told --count 3 --npz b.npz --conditions ids.txt --prior-temperature 2"), 2,
                 "--prior-temperature");
}

// Where in a file, or in a checkpoint's part of it, is nothing that anybody could look up.
TEST_F(Regions, TheArraysOfDrawnImagesHoldIndicesThatTheyWereToldAndNoPlaces) {
  tensors::TensorFile file;
  file.tensors["ids"] = at::arange(40).remainder(3) + 4;
  file.tensors["maps"] = at::zeros({40, 1, 8, 8}, at::kByte);
  tensors::write_tensors(folder_ / "ids.safetensors", file);
  tensors::write_tensors(folder_ / "vectors.safetensors", {{{"vectors", at::zeros({40, 8})}}, {}});
  for (const std::string name : {"ids", "vectors"}) {
    ASSERT_EQ(sdg("train --run " + name + " " + kUNet + "--set condition.file=" + name + ".safetensors").code, 0);
    for (const std::string& more : {std::string(), " --conditions " + name + ".safetensors"}) {
      const auto drawn = sdg("sample --run " + name + " --count 5 --npz a.npz" + more);
      ASSERT_EQ(drawn.code, 0) << drawn.err;
      const auto arrays = tensors::read_npz(folder_ / "a.npz");
      ASSERT_EQ(arrays.contains("arr_1"), name == "ids") << name << more;
      if (name == "vectors") continue;
      EXPECT_GE(arrays.at("arr_1").min().item<int64_t>(), 4);
      if (!more.empty()) EXPECT_TRUE(at::equal(arrays.at("arr_1"), file.at("ids").slice(0, 0, 5)));
    }
  }
}

TEST_F(Regions, VectorsOfOtherPatchesThanTheNetworksAreNamedBeforeAnyWork) {
  tensors::write_tensors(folder_ / "nine.safetensors", {{{"patch_vectors", at::zeros({40, 9, 32})}}, {}});
  for (const std::string how : {"--dry-run", "--run nine"})
    expect_failure(sdg("train " + how + " " + test::kTiny + "--set data.path=tiny.safetensors " +
                       "--set condition.source=file --set condition.file=nine.safetensors"),
                   1, "nine.safetensors: holds patch_vectors of 9 patches an image, the network has 16");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "nine"));
}

TEST_F(Regions, WhatTheyAreScoredAgainstIsReadBeforeTheWork) {
  own_network();
  expect_failure(sdg("masks --run own --clusters 3 --truth no.safetensors --out m.safetensors"), 1,
                 "no.safetensors: no such folder or file of masks");
  write_boxes("truth.safetensors");
  const auto few = tensors::read_tensors(folder_ / "truth.safetensors").at("boxes").slice(0, 0, 7).contiguous();
  tensors::write_tensors(folder_ / "few.safetensors", {{{"boxes", few}}, {}});
  const auto result = sdg("boxes --run own --truth few.safetensors --out b.safetensors");
  expect_failure(result, 1, "few.safetensors: ");
  EXPECT_EQ(result.err.find("img/s"), std::string::npos) << result.err;
  expect_failure(sdg("boxes --run own --clusters 41 --out b.safetensors"), 2, "--clusters: expected at most");
}
