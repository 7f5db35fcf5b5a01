// Files and pictures of `sdg sample`, and the commands beside it.
#include <nlohmann/json.hpp>

#include "cli/tiny_program.h"
#include "sdg/image/image.h"
#include "sdg/tensors/npz.h"

using namespace sdg;
using test::expect_failure;
using ::testing::HasSubstr;

namespace {

class SampleMore : public test::Program {
 protected:
  void SetUp() override { train_run(); }
  std::string bytes(const std::string& name) const { return test::read_text(folder_ / name); }
  void write_picture(const std::string& name, int64_t side, double value) const {
    image::write_png(folder_ / name, at::full({1, side, side}, value, at::kByte));
  }
};

}  // namespace

TEST_F(SampleMore, PicturesSayInsideWhatTheyAre) {
  const auto result = sdg("sample --run run --count 3 --guidance 1.5 --cluster 2 --json");
  ASSERT_EQ(result.code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json.at("count"), 3);
  EXPECT_GT(json.at("cpu_seconds").get<double>(), 0);
  EXPECT_EQ(json.at("options").at("guidance"), 1.5);
  const auto png = bytes("samples/000001.png");
  EXPECT_THAT(png, HasSubstr("sdg sample: image 1, cluster 2, seed 0, guidance 1.5, 2 euler steps"));
  EXPECT_THAT(png, HasSubstr("; network "));
}

TEST_F(SampleMore, AnNpzThatWasKilledGoesOnAndEndsInTheSameBytes) {
  const std::string how = "sample --run run --count 400 --batch 16 --steps 20 --guidance 1.5 ";
  ASSERT_EQ(sdg(how + "--npz whole.npz").code, 0);
  for (int i = 0; i < 3; ++i) {
    test::RunningProgram running(folder_.path(), how + "--npz killed.npz");
    running.says("img/s", 10);
    ::usleep(100000 * (i + 1));
    running.send(SIGKILL);
    running.wait();
  }
  const auto last = sdg(how + "--npz killed.npz");
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_TRUE(bytes("whole.npz") == bytes("killed.npz"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "killed.npz.rows"));
  EXPECT_EQ(tensors::npz_contents(folder_ / "whole.npz").at("arr_0").shape, (Shape{400, 8, 8, 3}));
}

TEST_F(SampleMore, PicturesToBeginWithAreCheckedInOneLine) {
  write_picture("small.png", 7, 100);
  write_picture("right.png", 8, 100);
  const std::string sample = "sample --run run --count 2 ";
  expect_failure(sdg(sample + "--from small.png"), 2, "--from: small.png is 7 x 7, and this network draws 8 x 8");
  expect_failure(sdg(sample + "--mask right.png"), 2, "--from");
  expect_failure(sdg(sample + "--from right.png --mask right.png --solver ddpm"), 2, "ddpm adds noise on the way");
  expect_failure(sdg(sample + "--from right.png --strength 2"), 2, "--strength");
  expect_failure(sdg(sample + "--latents out.safetensors"), 2, "--latents: this run draws pixels");
  EXPECT_EQ(sdg(sample + "--from right.png --strength 0.5 --out a").code, 0);
  EXPECT_EQ(sdg(sample + "--from right.png --mask right.png --out b").code, 0);
  EXPECT_EQ(sdg(sample + "--between 0,5 --out c").code, 0);
  EXPECT_EQ(sdg(sample + "--trace strip.png").code, 0);
  EXPECT_EQ(sdg(sample + "--cluster 0:0.5,1:0.5 --out d").code, 0);
  EXPECT_EQ(sdg(sample + "--cluster 3 --npz three.npz").code, 0);
  EXPECT_EQ(sdg(sample + "--cluster 3:0.5 --npz all.npz").code, 0);
  EXPECT_EQ(test::read_text(folder_ / "three.npz"), test::read_text(folder_ / "all.npz")) << "the only one has all";
}

TEST_F(SampleMore, BadSettingsAreRefusedInOneLine) {
  const std::string sample = "sample --run run --count 2 ";
  expect_failure(sdg(sample + "--steps 0"), 2, "--steps");
  expect_failure(sdg(sample + "--steps 100000000000"), 2, "--steps");
  expect_failure(sdg(sample + "--cluster 99"), 2, "cluster must be 0 to 4, got 99");
  expect_failure(sdg(sample + "--cluster 0:0.5,99:0.5"), 2, "cluster must be 0 to 4, got 99");
  expect_failure(sdg(sample + "--cluster 1:x"), 2, "--cluster");
  expect_failure(sdg(sample + "--solver dopri5 --guidance 2 --guidance-every 2"), 2, "guidance_every: dopri5");
  expect_failure(sdg(sample + "--solver euler --eta 0.5"), 2, "--eta: only ddim has one");
  expect_failure(sdg(sample + "--grid list"), 2, "times: expected numbers");
  expect_failure(sdg(sample + "--guidance 2 --guide network"), 2, "--guide-checkpoint");
  expect_failure(sdg(sample + "--guidance 2 --guide-checkpoint nowhere.safetensors"), 1, "nowhere.safetensors");
  expect_failure(sdg(sample + "--class 3"), 2, "--class: this run knows no labels");
}

TEST_F(SampleMore, ARunGuidesItselfByItsRawWeights) {
  const auto result =
      sdg("sample --run run --count 4 --guidance 2 --guide-checkpoint '" + last().string() + "' --guide-weights model");
  EXPECT_EQ(result.code, 0) << result.err;
}

TEST_F(SampleMore, InvertedPicturesComeBackAndDensitiesAreNumbers) {
  write_picture("grey.png", 8, 120);
  const auto inverted = sdg("invert --run run --pictures grey.png --solver rk4 --steps 20 --guidance 1 --out back.png");
  ASSERT_EQ(inverted.code, 0) << inverted.err;
  EXPECT_THAT(inverted.out, HasSubstr("grey.png  PSNR"));
  const auto density = sdg("likelihood --run run --images 5 --solver heun --steps 4 --json");
  ASSERT_EQ(density.code, 0) << density.err;
  const auto said = nlohmann::json::parse(density.out);
  EXPECT_GT(said.at("bits_per_dimension").get<double>(), 1);
  EXPECT_FALSE(said.at("conditional").get<bool>());
  EXPECT_EQ(said.at("options").at("guidance"), 0);
  const auto told = sdg("likelihood --run run --images 5 --solver heun --steps 4 --cluster 2 --json");
  EXPECT_TRUE(nlohmann::json::parse(told.out).at("conditional").get<bool>());
  EXPECT_NE(nlohmann::json::parse(told.out).at("bits_per_dimension"), said.at("bits_per_dimension"));
  expect_failure(sdg("invert --run run --pictures grey.png --solver rk4 --guidance 1.5"), 2,
                 "--guidance: pictures are walked without a condition");
  expect_failure(sdg("invert --run run --pictures grey.png --out back.jpg"), 2, "must end in .png");
  expect_failure(sdg("likelihood --run run --images 5 --guidance 2"), 2, "--guidance");
  expect_failure(sdg("likelihood --run run --images 5 --guide-checkpoint '" + last().string() + "'"), 2,
                 "--guide-checkpoint: a guided velocity is that of no density");
}

TEST_F(SampleMore, AFittedGridIsAListOfTimes) {
  const auto fitted = sdg("fit-grid --run run --steps 3");
  ASSERT_EQ(fitted.code, 0) << fitted.err;
  EXPECT_EQ(std::count(fitted.out.begin(), fitted.out.end(), ','), 3);
  const auto times = fitted.out.substr(0, fitted.out.find('\n'));
  EXPECT_EQ(sdg("sample --run run --count 2 --grid list --times " + times).code, 0);
}
