#include "sdg/checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/config/names.h"
#include "sdg/config/write.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/data/dataset.h"
#include "sdg/network/assign.h"
#include "support/python.h"
#include "support/tiny_run.h"

using namespace sdg;
using ::testing::HasSubstr;
using ::testing::StartsWith;

namespace {

class Checkpoint : public ::testing::Test {
 protected:
  Checkpoint() : data_(folder_ / "data.safetensors") { test::write_tiny_data(data_); }
  std::filesystem::path trained(const std::string& source, int64_t stop = 0) {
    return test::train_quietly(test::tiny_config(data_, source), folder_ / source, stop).checkpoint;
  }
  const test::TemporaryFolder folder_;
  const std::filesystem::path data_;
};

}  // namespace

TEST_F(Checkpoint, GivesBackNetworkConfigurationAndPrior) {
  const auto path = trained("online");
  const auto file = tensors::read_tensors(path);
  for (const auto weights : {checkpoint::Weights::kEma, checkpoint::Weights::kModel}) {
    const auto part = cat(config::name(weights), ".");
    auto read = checkpoint::load_trained(path, at::kCPU, weights);
    EXPECT_EQ(read.info.step, 10);
    EXPECT_FALSE(read.info.labels_read);
    EXPECT_EQ(read.info.config.cluster.clusters, 4);
    const auto tensors = read.network.tensors(part);
    EXPECT_GT(tensors.size(), 20U);
    for (const auto& [name, tensor] : tensors) EXPECT_TRUE(test::same_bytes(tensor, file.at(name))) << name;
    ASSERT_TRUE(read.prior.defined());
    EXPECT_NEAR(read.prior.sum().item<double>(), 1, 1e-12);
  }
}

TEST_F(Checkpoint, HasNoPriorBeforeConditionsBegin) {
  EXPECT_FALSE(checkpoint::load_trained(trained("online", 4), at::kCPU).prior.defined());
  EXPECT_TRUE(checkpoint::load_trained(trained("online", 5), at::kCPU).prior.defined());
  EXPECT_FALSE(checkpoint::load_trained(trained("none"), at::kCPU).prior.defined());
}

TEST_F(Checkpoint, OfARunWhoseClustersRestAnswersWithTheKeptOnes) {
  auto config = test::tiny_config(data_);
  config.cluster.end = 0.5;
  const auto path = test::train_quietly(config, folder_ / "rests").checkpoint;
  const auto kept = tensors::read_tensors(path).at("kept_clusters").squeeze(1).to(at::kLong);
  ASSERT_GE(kept.min().item<int64_t>(), 0);
  const auto read = checkpoint::load_trained(path, at::kCPU);
  const auto opened = data::open_data(config.data, "");
  const data::Dataset dataset(opened, config.data);
  const std::vector<int64_t> some{3, 39, 0, 17};
  EXPECT_TRUE(at::equal(network::assign_clusters(config, read.network, dataset, some, at::kCPU),
                        kept.index_select(0, at::tensor(some))));
  auto asked = read.network;  // the head, were it asked
  asked.rested = Tensor();
  const auto all = rng::consecutive(0, dataset.size());
  const auto said = network::assign_clusters(config, asked, dataset, all, at::kCPU);
  EXPECT_FALSE(at::equal(said, kept)) << "tests nothing";
  // One that never had a look is answered by the head.
  asked.rested = read.network.rested.clone();
  asked.rested[17] = -1;
  EXPECT_EQ(network::assign_clusters(config, asked, dataset, some, at::kCPU)[3].item<int64_t>(),
            said[17].item<int64_t>());
  EXPECT_FALSE(checkpoint::load_trained(test::train_quietly(config, folder_ / "begun", 4).checkpoint, at::kCPU)
                   .network.rested.defined());
}

TEST_F(Checkpoint, OfALabelRunSaysThatLabelsWereReadAndKeepsTheirShares) {
  const auto read = checkpoint::load_trained(trained("label"), at::kCPU);
  EXPECT_TRUE(read.info.labels_read);
  EXPECT_EQ(read.info.classes, static_cast<int64_t>(read.info.class_names.size()));
  const auto labels = tensors::read_tensors(data_).at("labels");
  const auto share = labels.bincount({}, read.info.classes).to(at::kDouble) / labels.numel();
  EXPECT_LT((read.prior - share).abs().max().item<double>(), 1e-12);
}

TEST_F(Checkpoint, KeepsTheOrderOfTheDataThatItsRunBeganWith) {
  auto info = checkpoint::load_trained(trained("none"), at::kCPU).info;
  EXPECT_EQ(info.order, data::OrderKind::kSorted) << "of a small data set";
  for (const auto order : {data::OrderKind::kFeistel, data::OrderKind::kSorted}) {
    info.order = order;
    tensors::TensorFile file;
    checkpoint::describe(file, info);
    EXPECT_EQ(file.metadata.contains("data_order"), order == data::OrderKind::kFeistel);
    EXPECT_EQ(checkpoint::parse_info(file, "x").order, order);
  }
}

TEST_F(Checkpoint, IsReadByPythonsSafetensors) {
  SDG_NEEDS_PYTHON("safetensors torch");
  const auto path = trained("online");
  const auto copy = folder_ / "copy.safetensors";
  const auto result = test::run_python(
      "import sys\n"
      "from safetensors import safe_open\n"
      "from safetensors.torch import load_file, save_file\n"
      "with safe_open(sys.argv[1], 'pt') as f: meta = f.metadata()\n"
      "assert meta['format'] == 'sdg-checkpoint-2' and meta['step'] == '10', meta\n"
      "assert 'clusters: 4' in meta['config'], meta['config']\n"
      "save_file(load_file(sys.argv[1]), sys.argv[2])\n",
      {path.string(), copy.string()});
  ASSERT_EQ(result.status, 0) << result.output;
  test::expect_same_tensors(path, copy);
}

TEST_F(Checkpoint, OtherFilesAreRefusedByName) {
  const auto other = test::message_of<Error>([&] { checkpoint::load_trained(data_, at::kCPU); });
  EXPECT_THAT(other, StartsWith(data_.string() + ": not an sdg checkpoint"));

  auto file = tensors::read_tensors(trained("none"));
  const auto changed = folder_ / "changed.safetensors";
  const auto refusal = [&](const std::string& key, const std::string& value) {
    auto copy = file;
    copy.metadata[key] = value;
    tensors::write_tensors(changed, copy);
    const auto message = test::message_of<Error>([&] { checkpoint::load_trained(changed, at::kCPU); });
    EXPECT_THAT(message, StartsWith(changed.string())) << key;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message;
  };
  EXPECT_THAT(refusal("format", "sdg-checkpoint-9"), HasSubstr("checkpoint format sdg-checkpoint-9"));
  EXPECT_THAT(refusal("step", "many"), HasSubstr("malformed metadata"));
  EXPECT_THAT(refusal("class_names", "[1"), HasSubstr("malformed metadata"));
  EXPECT_THAT(refusal("config", "train: {bacth: 3}"), HasSubstr("train.batch"));
  auto missing = file;
  missing.tensors.erase(missing.tensors.lower_bound("ema."));
  tensors::write_tensors(changed, missing);
  EXPECT_THAT(test::message_of<Error>([&] { checkpoint::load_trained(changed, at::kCPU); }),
              HasSubstr("no tensor ema."));
}
