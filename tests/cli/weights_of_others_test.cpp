// Checkpoints of other people's training, as the program takes them: files written by PyTorch.
#include <nlohmann/json.hpp>

#include "cli/tiny_program.h"
#include "sdg/tensors/tensor_file.h"
#include "support/python.h"

using namespace sdg;
using test::expect_failure;
using ::testing::AllOf;
using ::testing::HasSubstr;

namespace {

const std::string kDit = test::kTiny + "--set model.name=dit-tiny/2 --set model.depth=2 --set condition.source=label ";

class OthersWeights : public test::Program {
 protected:
  // One checkpoint of a tiny DiT, and Python's variations of its `state`.
  void write(const std::string& script) {
    const auto run = sdg("train --run first " + kDit);
    ASSERT_EQ(run.code, 0) << run.err;
    ASSERT_EQ(sdg("convert first w.pt --to public").code, 0);
    const auto python = test::run_python(
        "import sys, os, re, torch\nos.chdir(sys.argv[1])\nstate = torch.load('w.pt', weights_only=True)\n" + script,
        {folder_.path().string()});
    ASSERT_EQ(python.status, 0) << python.output;
  }
  test::Outcome start(const std::string& file, const std::string& run, const std::string& more = "") const {
    return sdg("train --run " + run + " " + kDit + "--set train.lr=0 --set model.weights=" + file + " " + more);
  }
  // Learning at rate 0 leaves what was taken.
  void expect_taken(const std::string& run) const {
    const auto before = tensors::read_tensors(last("first")).tensors, after = tensors::read_tensors(last(run)).tensors;
    for (const auto& [name, tensor] : after) {
      if (!name.starts_with("model.")) continue;
      EXPECT_TRUE(at::equal(tensor, before.at("ema." + name.substr(6)))) << run << ": " << name;
    }
  }
};

}  // namespace

TEST_F(OthersWeights, ANetworkCompiledBlockByBlockIsTakenWhole) {
  SDG_NEEDS_PYTHON("torch");
  write(R"(
torch.save({'model': {re.sub(r'^(blocks\.\d+\.)', r'\1_orig_mod.', k): v for k, v in state.items()}}, 'compiled.pt')
torch.save({'model': {k: v * 0 for k, v in state.items()}, 'ema': state, 'rng': torch.get_rng_state()}, 'rng.pt')
torch.save({'state_dict': {**{'net.' + k: v * 0 for k, v in state.items()}, **{'ema_model.' + k: v for k, v in state.items()}}},
           'lightning.ckpt')
)");
  for (const std::string file : {"compiled.pt", "rng.pt", "lightning.ckpt"}) {
    const auto begun = start(file, "from_" + file);
    ASSERT_EQ(begun.code, 0) << begun.err;
    EXPECT_THAT(begun.err, HasSubstr("took 32 tensors of " + file));
    EXPECT_THAT(begun.err, ::testing::Not(HasSubstr("start anew")));
    expect_taken("from_" + file);
    const auto converted = sdg("convert " + file + " out.safetensors --as dit --set model.heads=2");
    ASSERT_EQ(converted.code, 0) << converted.err;
    EXPECT_THAT(converted.err, HasSubstr("32 tensors"));
  }
  EXPECT_THAT(sdg("inspect rng.pt").out, HasSubstr("choice: this file also holds model (32 tensors)"));
  const auto report = nlohmann::json::parse(sdg("inspect lightning.ckpt --json").out);
  EXPECT_EQ(report.at("prefix"), "ema_model.");
  EXPECT_EQ(report.at("prefixes").at(0), "net.");
  EXPECT_THAT(sdg("inspect lightning.ckpt").out, HasSubstr("such a network below net."));
}

TEST_F(OthersWeights, ThatFitInPartStopTheRunUnlessAsked) {
  SDG_NEEDS_PYTHON("torch");
  write(R"(
torch.save({k: v for k, v in state.items() if not k.startswith('blocks.1.')}, 'part.pt')
torch.save({k.replace('blocks', 'layers'): v for k, v in state.items()}, 'renamed.pt')
)");
  expect_failure(start("part.pt", "a"), 1, "part.pt: does not fit the network: 22 of its 32 tensors");
  EXPECT_FALSE(std::filesystem::exists(last("a")));
  expect_failure(start("renamed.pt", "a"), 1, "of the file have no place (layers.0.");
  const auto asked = start("part.pt", "a", "--set model.weights_match=matching");
  ASSERT_EQ(asked.code, 0) << asked.err;
  EXPECT_THAT(asked.err, AllOf(HasSubstr("took 22 tensors of part.pt"), HasSubstr("10 start anew (blocks.1.")));
  expect_failure(sdg("convert renamed.pt o.safetensors --as dit"), 1, "the nearest family is dit");
}
