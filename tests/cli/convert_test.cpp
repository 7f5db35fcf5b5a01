#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/tiny_program.h"
#include "sdg/model/catalog.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/tensors/torch_file.h"
#include "sdg/tensors/weights.h"
#include "support/python.h"

using namespace sdg;
using test::expect_failure;
using test::Program;
using ::testing::HasSubstr;
using ::testing::Not;

namespace {

class Weights : public Program {
 protected:
  // A SiT for 3 channels of side 8 and 4 classes, as a bare state dict.
  void write_sit(const std::string& name) const {
    model::ModelOptions options;
    options.name = "sit-tiny/2";
    const auto net =
        model::build(options, {.size = 8, .channels = 3, .condition = model::ConditionKind::kIndex, .classes = 4}, 1);
    std::map<std::string, Tensor> tensors;
    for (const auto& item : net->named_parameters()) tensors[item.key()] = item.value().detach();
    tensors::write_torch(folder_ / name, tensors);
  }
  std::string checkpoint() const { return last().string(); }
};

}  // namespace

TEST_F(Weights, APublicSiTCanBeDrawnFromAfterConversion) {
  write_sit("sit.pt");
  const auto converted = sdg("convert sit.pt sit.safetensors --as sit");
  ASSERT_EQ(converted.code, 0) << converted.err;
  EXPECT_EQ(converted.out, "");
  EXPECT_THAT(converted.err, HasSubstr("all count as equally frequent"));
  const auto drawn =
      sdg("sample --checkpoint sit.safetensors --count 4 --steps 2 --class 3 --guidance 1.5 --device cpu");
  ASSERT_EQ(drawn.code, 0) << drawn.err;
  EXPECT_EQ(test::count_files(folder_ / "samples"), 4);
}

TEST_F(Weights, ARunExportedToTorchAndBackDrawsTheSameImages) {
  train_run();
  for (const std::string out : {"net.pt", "net.safetensors"}) {
    const auto there =
        sdg("convert " + (out == "net.pt" ? "run" : checkpoint()) + " " + out + " --to public --entry ema");
    ASSERT_EQ(there.code, 0) << there.err;
    EXPECT_THAT(there.err, HasSubstr("trained with condition.token=scaled condition.token_scale=0 "
                                     "condition.null_token=shared, which stands in the file"));
    const auto back = sdg("convert " + out + " back.safetensors --set model.heads=2 --set sample.steps=2");
    ASSERT_EQ(back.code, 0) << back.err;
    EXPECT_THAT(back.err, Not(HasSubstr("sgfm")));
    for (const auto& [from, to] :
         std::vector<std::pair<std::string, std::string>>{{checkpoint(), "a"}, {"back.safetensors", "b"}}) {
      const auto drawn =
          sdg("sample --checkpoint " + from + " --out " + to +
              " --count 3 --steps 2 --guidance 2 --solver euler --cluster 1 --seed 4 --device cpu --overwrite");
      ASSERT_EQ(drawn.code, 0) << drawn.err;
    }
    EXPECT_EQ(test::read_text(folder_ / "a-grid.png"), test::read_text(folder_ / "b-grid.png"));
  }
}

TEST_F(Weights, PythonReadsWhatIsExportedUnderPublicNames) {
  SDG_NEEDS_PYTHON("torch safetensors");
  train_run();
  for (const std::string entry : {"ema", "model"}) {
    for (const std::string out : {"net.pt", "net.safetensors"}) {
      const auto result = sdg("convert " + checkpoint() + " " + out + " --to public --entry " + entry);
      ASSERT_EQ(result.code, 0) << result.err;
    }
    const auto python = test::run_python(
        "import sys, torch\n"
        "from safetensors.torch import load_file\n"
        "pt, st, run = torch.load(sys.argv[1], weights_only=True), load_file(sys.argv[2]), load_file(sys.argv[3])\n"
        "run = {k.split('.', 1)[1]: v for k, v in run.items() if k.startswith(sys.argv[4] + '.')}\n"
        "assert pt.keys() == st.keys() == run.keys() and 'in_blocks.0.attn.qkv.weight' in pt, list(pt)[:5]\n"
        "for k in run: assert torch.equal(pt[k], run[k]) and torch.equal(st[k], run[k]), k\n"
        "torch.save({'ema': {'module.' + k: v for k, v in pt.items()}, 'step': 7}, sys.argv[1])\n",
        {(folder_ / "net.pt").string(), (folder_ / "net.safetensors").string(), checkpoint(), entry});
    ASSERT_EQ(python.status, 0) << python.output;
    const auto again = tensors::read_weights(folder_ / "net.pt");  // as Python saved it
    const auto before = tensors::read_tensors(checkpoint());
    EXPECT_EQ(again.stripped, "module.");
    for (const auto& [name, tensor] : again.tensors)
      EXPECT_TRUE(at::equal(tensor, before.at(entry + "." + name))) << name;
  }
}

TEST_F(Weights, InspectTellsTensorsAndNetwork) {
  write_sit("sit.pt");
  const auto json = sdg("inspect sit.pt --as sit --json");
  ASSERT_EQ(json.code, 0) << json.err;
  const auto report = nlohmann::json::parse(json.out);
  EXPECT_EQ(report.at("format"), "torch zip");
  EXPECT_EQ(report.at("network").at("preset"), "sit-tiny/2");
  EXPECT_EQ(report.at("network").at("classes"), 4);
  EXPECT_TRUE(report.at("network").at("missing").empty());
  const auto read = tensors::read_weights(folder_ / "sit.pt");
  EXPECT_EQ(report.at("tensors").size(), read.tensors.size());
  int64_t elements = 0;
  for (const auto& [name, tensor] : read.tensors) elements += tensor.numel();
  EXPECT_EQ(report.at("elements"), elements);
  EXPECT_EQ(report.at("bytes"), 4 * elements);

  const auto text = sdg("inspect sit.pt");
  EXPECT_THAT(text.out, HasSubstr("float32   [64,3,2,2]"));
  EXPECT_THAT(text.out, HasSubstr("(dit or sit)"));
  EXPECT_THAT(text.out, HasSubstr("say which with --as"));
}

TEST_F(Weights, InspectReadsOurOwnCheckpointsByPart) {
  train_run();
  const auto ema = nlohmann::json::parse(sdg("inspect " + checkpoint() + " --json").out);
  EXPECT_EQ(ema.at("entry"), "ema");
  EXPECT_EQ(ema.at("network").at("clusters"), 5);
  EXPECT_TRUE(ema.at("network").at("unexpected").empty()) << ema.at("network").dump();
  EXPECT_EQ(nlohmann::json::parse(sdg("inspect " + checkpoint() + " --entry model --json").out).at("entry"), "model");
}

TEST_F(Weights, MistakesAreOneLine) {
  write_sit("sit.pt");
  test::write_text(folder_ / "text", "no weights at all");
  expect_failure(sdg("inspect text"), 1, "none of safetensors");
  expect_failure(sdg("inspect absent"), 1, "No such file");
  expect_failure(sdg("inspect sit.pt --entry ema"), 1, "has no entry ema");
  expect_failure(sdg("inspect sit.pt --as uvit"), 2, "cannot be of a uvit");
  expect_failure(sdg("convert sit.pt out.bin --to public"), 2, "ends in .pt, .pth or .safetensors");
  expect_failure(sdg("convert sit.pt out.safetensors"), 2, "say which with --as");
  expect_failure(sdg("convert sit.pt no/such/folder.safetensors --as sit"), 2,
                 "no/such to write folder.safetensors into");
  expect_failure(sdg("convert sit.pt out.safetensors --as sit --set model.dimm=3"), 2, "model.dimm");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out.safetensors"));
}

TEST_F(Weights, InspectKnowsAnAutoencoder) {
  tensors::TensorFile file;
  file.tensors["encoder.conv_in.weight"] = at::zeros({8, 3, 3, 3});
  file.tensors["encoder.down_blocks.0.resnets.0.conv1.weight"] = at::zeros({8, 8, 3, 3});
  file.tensors["quant_conv.weight"] = at::zeros({8, 8, 1, 1});
  tensors::write_tensors(folder_ / "vae.safetensors", file);
  const auto result = sdg("inspect vae.safetensors --json");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(nlohmann::json::parse(result.out).at("autoencoder"), "kl");
}
