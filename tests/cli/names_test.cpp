// Names that are not UTF-8, from the folder to every file and line the program writes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/tiny_program.h"
#include "data/made_images.h"
#include "sdg/core/utf8.h"
#include "sdg/tensors/tensor_file.h"
#include "support/python.h"

using namespace sdg;
using test::kTiny;
using test::Program;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {

const std::string kCafe = "caf\xE9";

class Names : public Program {
 protected:
  void SetUp() override {
    for (int64_t i = 0; i < 12; ++i) {
      const auto name = kCafe +
                        (i < 6 ? "/t\xEA"
                                 "te/"
                               : "/tea/") +
                        std::to_string(i) + "\xFF.png";
      std::filesystem::create_directories((folder_ / name).parent_path());
      image::write_png(folder_ / name, test::made_image(i));
    }
  }
  std::string shell_name(const std::string& name) const { return "'" + name + "'"; }
};

}  // namespace

TEST_F(Names, AreKeptByteForByteInEveryFile) {
  const std::string run = "r\xFCn";
  const auto trained = sdg("train --run " + shell_name(run) + " " + kTiny +
                           "--set train.batch=4 --set train.picture_every=0 --set cluster.clusters=2 "
                           "--set condition.source=label --set data.path=" +
                           shell_name(kCafe));
  ASSERT_EQ(trained.code, 0) << trained.err;
  const auto metadata = tensors::read_tensor_header(last(run)).metadata;
  auto names = nlohmann::json::parse(metadata.at("class_names")).get<std::vector<std::string>>();
  for (auto& name : names) name = from_utf8(name);
  EXPECT_THAT(names, ElementsAre("tea", "t\xEAte"));
  EXPECT_THAT(metadata.at("data"), HasSubstr("/" + kCafe + ": 12 images"));
  EXPECT_THAT(metadata.at("config"), HasSubstr("/" + kCafe + "\""));

  // It goes on, and is sampled, measured and clustered.
  const auto resumed = sdg("train --resume " + shell_name(run) + " --set train.steps=8");
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  const auto json_of = [&](const std::string& arguments) {
    const auto result = sdg(arguments);
    EXPECT_EQ(result.code, 0) << arguments << result.err;
    return nlohmann::json::parse(result.out, nullptr, false);
  };
  const auto row = json_of("kmeans " + shell_name(run) + " --clusters 2 --device cpu --json --out '\xFE.safetensors'");
  EXPECT_EQ(from_utf8(row.at("out").get<std::string>()), "\xFE.safetensors");
  EXPECT_THAT(from_utf8(row.at("made_from").get<std::string>()), HasSubstr(run + "/"));
  EXPECT_THAT(tensors::read_tensor_header(folder_ / "\xFE.safetensors").metadata.at("made_from"), HasSubstr(run + "/"));
  const auto inspected = json_of("inspect " + shell_name(last(run).string()) + " --json");
  EXPECT_THAT(from_utf8(inspected.at("metadata").at("data").get<std::string>()), HasSubstr(kCafe));
  json_of("audit " + shell_name(run) + " --json");
  EXPECT_EQ(sdg("features " + shell_name(run) + " --device cpu --depths 1 --times 0.9 --pooling mean").code, 0);
  EXPECT_EQ(sdg("clusters " + shell_name(run) + " --device cpu --generated 4").code, 0);
}

// The judge reads the file as everybody does, and applies the documented rule.
TEST_F(Names, CanBeReadByPython) {
  SDG_NEEDS_PYTHON("safetensors");
  ASSERT_EQ(sdg("train --run run " + kTiny +
                "--set train.batch=4 --set train.picture_every=0 --set condition.source=label --set data.path=" +
                shell_name(kCafe))
                .code,
            0);
  const auto result = test::run_python(R"(
import json, re, sys
from safetensors import safe_open
plain = lambda text: re.sub(rb'\\x([0-9A-F]{2})', lambda m: bytes([int(m[1], 16)]), text.encode())
with safe_open(sys.argv[1], 'numpy') as file: metadata = file.metadata()
assert [plain(n) for n in json.loads(metadata['class_names'])] == [b'tea', b't\xeate'], metadata['class_names']
assert b'/caf\xe9: 12 images' in plain(metadata['data']), metadata['data']
)",
                                       {last().string()});
  EXPECT_EQ(result.status, 0) << result.output;
}
