#include "sdg/tensors/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include "sdg/core/error.h"
#include "sdg/tensors/npz.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/tensors/torch_file.h"
#include "support/python.h"
#include "support/temporary_folder.h"

using namespace sdg;
using test::message_of;
using test::TemporaryFolder;
using ::testing::HasSubstr;

namespace {

std::vector<std::string> names_of(const tensors::Weights& weights) {
  std::vector<std::string> out;
  for (const auto& [name, unused] : weights.tensors) out.push_back(name);
  return out;
}
using Names = std::vector<std::string>;

}  // namespace

TEST(Weights, TheFormatIsToldByContentNotByName) {
  const TemporaryFolder folder;
  const std::map<std::string, Tensor> tensors{{"w", at::arange(6, at::kFloat).view({2, 3})}};
  const auto file = folder / "weights.dat";
  const auto expect = [&](const std::string& format) {
    const auto read = tensors::read_weights(file);
    EXPECT_EQ(read.format, format);
    EXPECT_TRUE(at::equal(read.tensors.at("w"), tensors.at("w")));
  };
  tensors::write_tensors(file, {tensors, {}});
  expect("safetensors");
  tensors::write_torch(file, tensors);
  expect("torch zip");
  tensors::write_npz(file, tensors);
  expect("npz");
  test::write_text(file, "plain text");
  EXPECT_THAT(message_of<Error>([&] { tensors::read_weights(file); }), HasSubstr("none of safetensors"));
  test::write_text(file, "");
  EXPECT_THAT(message_of<Error>([&] { tensors::read_weights(file); }), HasSubstr("none of safetensors"));
  EXPECT_THAT(message_of<Error>([&] { tensors::read_weights(folder / "absent"); }), HasSubstr("No such file"));
}

TEST(Weights, EveryDtypeOfSafetensorsComesFromPython) {
  SDG_NEEDS_PYTHON("torch safetensors");
  const TemporaryFolder folder;
  const auto python = test::run_python(
      "import sys, torch\n"
      "from safetensors.torch import save_file\n"
      "d = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2,\n"
      "     torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool, torch.uint16, torch.uint32]\n"
      "save_file({str(t): torch.tensor([0, 1, 1, 0, 1]).to(t) for t in d}, sys.argv[1])\n",
      {(folder / "a").string()});
  ASSERT_EQ(python.status, 0) << python.output;
  const auto read = tensors::read_weights(folder / "a");
  EXPECT_EQ(read.tensors.size(), 14U);
  for (const auto& [name, tensor] : read.tensors)
    EXPECT_TRUE(at::equal(tensor.to(at::kFloat), torch::tensor({0.F, 1.F, 1.F, 0.F, 1.F}))) << name;
}

TEST(Weights, ShardsAreJoinedByTheirIndex) {
  const TemporaryFolder folder;
  tensors::write_tensors(folder / "s1", {{{"a", at::ones({2})}}, {}});
  tensors::write_tensors(folder / "s2", {{{"b", at::ones({3})}}, {}});
  const auto index = folder / "model.safetensors.index.json";
  const auto read = [&](const std::string& map) {
    test::write_text(index, R"({"metadata": {"total_size": 20}, "weight_map": )" + map + "}");
    return names_of(tensors::read_weights(folder.path()));
  };
  EXPECT_EQ(read(R"({"a": "s1", "b": "s2"})"), (Names{"a", "b"}));
  const auto complaint = [&](const std::string& map) { return message_of<Error>([&] { read(map); }); };
  EXPECT_THAT(complaint(R"({"a": "s1", "b": "s1"})"), HasSubstr("tensor 'b' is in none of the shards"));
  EXPECT_THAT(complaint(R"({"a": "s1", "c": "s2"})"), HasSubstr("none of the shards"));
  EXPECT_THAT(complaint(R"({"a": "s1"}, "b": 1)"), HasSubstr("no error"));  // an unknown field beside the map
  EXPECT_THAT(complaint(R"({"a": "s1", "b": "s9"})"), HasSubstr("No such file"));
  EXPECT_THAT(complaint(R"({"a": "../s1"})"), HasSubstr("shards lie beside their index"));
  EXPECT_THAT(complaint(R"({"a": "/etc/passwd"})"), HasSubstr("shards lie beside their index"));
  EXPECT_THAT(complaint("[]"), HasSubstr("an object weight_map"));
  EXPECT_THAT(complaint("{"), HasSubstr("not valid JSON"));
}

TEST(Weights, FlatFilesWithPartsAreReadByPart) {
  const TemporaryFolder folder;
  const auto file = folder / "a";
  const auto one = at::ones({1});
  tensors::write_tensors(file, {{{"ema.w", one}, {"model.w", one}, {"model.v", one}, {"prior", one}}, {}});
  EXPECT_EQ(names_of(tensors::read_weights(file)), (Names{"w"}));
  EXPECT_EQ(names_of(tensors::read_weights(file, "model")), (Names{"v", "w"}));
  EXPECT_THAT(message_of<Error>([&] { tensors::read_weights(file, "opt"); }),
              HasSubstr("has no entry opt; its names begin with ema, model"));
  tensors::write_tensors(file, {{{"model.w", one}, {"first_stage.v", one}}, {}});
  EXPECT_EQ(names_of(tensors::read_weights(file)), (Names{"first_stage.v", "model.w"})) << "not a file with parts";
}

TEST(Weights, BeginningsThatEveryNameHasAreTakenOff) {
  const TemporaryFolder folder;
  const auto one = at::ones({1});
  tensors::write_tensors(folder / "a", {{{"_orig_mod.module.w", one}, {"_orig_mod.module.v", one}}, {}});
  const auto read = tensors::read_weights(folder / "a");
  EXPECT_EQ(names_of(read), (Names{"v", "w"}));
  EXPECT_EQ(read.stripped, "_orig_mod.module.");
  tensors::write_tensors(folder / "a", {{{"module.w", one}, {"v", one}}, {}});
  EXPECT_EQ(names_of(tensors::read_weights(folder / "a")), (Names{"module.w", "v"}));
}

TEST(Weights, AFolderOfSgfmHoldsTheAverageAndTheRawWeights) {
  const TemporaryFolder folder;
  tensors::write_torch(folder / "nnet.pth", {{"raw", at::ones({1})}});
  tensors::write_torch(folder / "nnet_ema.pth", {{"average", at::ones({1})}});
  EXPECT_EQ(names_of(tensors::read_weights(folder.path())), (Names{"average"}));
  EXPECT_EQ(names_of(tensors::read_weights(folder.path(), "model")), (Names{"raw"}));
  EXPECT_THAT(message_of<Error>([&] { tensors::read_weights(folder.path(), "opt"); }), HasSubstr("it has ema, model"));
}
