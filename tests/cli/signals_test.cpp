// Ends from outside: signals, readers that go away, closed streams, files that shrink.
#include <algorithm>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/tiny_program.h"
#include "sdg/image/image.h"
#include "sdg/tensors/tensor_file.h"
#include "support/python.h"
#include "support/tiny_run.h"

using namespace sdg;
using test::kTiny;
using test::Program;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

namespace {

const std::string kLong = "--set train.steps=5000 ";

std::string step_of(const fs::path& checkpoint) {
  return tensors::read_tensor_header(checkpoint).metadata.at("step");
}

class Ends : public Program {
 protected:
  // `script` with $SDG, in the working folder; bash for PIPESTATUS.
  test::Outcome bash(const std::string& script) const {
    test::write_text(folder_ / "script.sh", "cd '" + folder_.path().string() + "'\nSDG='" SDG_PROGRAM "'\n" + script);
    const auto path = (folder_ / "script.sh").string();
    const int status = std::system(("bash '" + path + "' >'" + path + ".out' 2>'" + path + ".err'").c_str());
    return {test::exit_code(status), text("script.sh.out"), text("script.sh.err")};
  }
  std::string text(const std::string& name) const { return test::read_text(folder_ / name); }
  void expect_no_unfinished_file(const fs::path& root) const {
    for (const auto& entry : fs::recursive_directory_iterator(root))
      EXPECT_THAT(entry.path().filename().string(), Not(HasSubstr(".tmp"))) << entry.path();
  }
};

class EndsBySignal : public Ends, public ::testing::WithParamInterface<int> {};

}  // namespace

TEST_P(EndsBySignal, TrainingSavesAndSaysWhatEndedIt) {
  test::RunningProgram program(folder_.path(), "train --run run " + kTiny + kLong);
  ASSERT_TRUE(program.says(" 1/5000", 120)) << program.err();
  program.send(GetParam());
  program.send(GetParam());  // `timeout` and job managers send it to the process and to its group
  const auto ended = program.wait();
  EXPECT_EQ(ended.code, 128 + GetParam()) << ended.err;
  EXPECT_THAT(ended.err, AllOf(HasSubstr("stopped at step "), HasSubstr(" of 5000 by ")));
  ASSERT_TRUE(fs::exists(last()));
  EXPECT_GE(std::stoi(step_of(last())), 1);
  expect_no_unfinished_file(folder_.path());
}

INSTANTIATE_TEST_SUITE_P(Signals, EndsBySignal, ::testing::Values(SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU));

TEST_F(Ends, UnderNohupAHangUpEndsNothing) {
  const auto result = bash("trap '' HUP\n\"$SDG\" train --run run " + kTiny + "--set train.steps=60 2>err & pid=$!\n" +
                           "until grep -q ' 1/60' err; do sleep 0.1; done\nkill -HUP $pid\nwait $pid; echo $? >code\n");
  ASSERT_EQ(text("code"), "0\n") << result.err << text("err");
  EXPECT_EQ(step_of(last()), "60");
}

TEST_F(Ends, AReaderOfTheMessagesThatGoesAwayEndsNoTraining) {
  bash("\"$SDG\" train --run run " + kTiny + "2>&1 | head -1 >shown; echo ${PIPESTATUS[0]} >code");
  EXPECT_EQ(text("code"), "0\n");
  EXPECT_EQ(step_of(last()), "6");
  EXPECT_THAT(test::read_text(checkpoint::RunFolder(folder_ / "run").log()), HasSubstr("finished: "));
}

TEST_F(Ends, CtrlCThatTakesTheReaderAlongSavesAndIsCode130) {
  bash("( bash -c 'echo $$ >pid; exec \"$0\" train --run run " + kTiny + kLong +
       " --set train.log_every=1' \"$SDG\" 2>&1; echo $? >code ) | head -1 >shown &\n" +
       "until grep -q '\"step\":3' run/metrics.jsonl 2>/dev/null; do sleep 0.1; done\nkill -INT $(cat pid)\nwait\n");
  EXPECT_EQ(text("code"), "130\n");
  EXPECT_TRUE(fs::exists(last()));
}

TEST_F(Ends, ResultsIntoAClosedPipeEndQuietlyAndIntoAFullDiskDoNot) {
  const auto closed = bash("\"$SDG\" config --help-options | true; echo ${PIPESTATUS[0]} >code");
  EXPECT_EQ(text("code"), "141\n");
  EXPECT_EQ(closed.err, "");
  const auto full = bash("\"$SDG\" config --help-options >/dev/full; echo $? >code");
  EXPECT_EQ(text("code"), "1\n");
  EXPECT_THAT(full.err, HasSubstr("sdg: standard output: cannot write"));
  const auto none = bash("\"$SDG\" config --list >&-; echo $? >code");
  EXPECT_EQ(text("code"), "1\n");
  EXPECT_THAT(none.err, HasSubstr("sdg: standard output: cannot write"));
}

TEST_F(Ends, ClosedStreamsPutNoTextIntoFiles) {
  SDG_NEEDS_PYTHON("tensorboard");
  bash("\"$SDG\" train --run run " + kTiny + "<&- >&- 2>&-; echo $? >code");
  ASSERT_EQ(text("code"), "0\n");
  const auto run = checkpoint::RunFolder(folder_ / "run");
  std::istringstream lines(test::read_text(run.metrics()));
  for (std::string line; std::getline(lines, line);) EXPECT_TRUE(nlohmann::json::accept(line)) << line;
  // Every byte of the event files belongs to a record whose sums agree.
  const auto result = test::run_python(
      "import sys, glob, struct\n"
      "from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c\n"
      "from tensorboard.compat.proto.event_pb2 import Event\n"
      "steps = []\n"
      "for name in glob.glob(sys.argv[1] + '/*'):\n"
      "  data = open(name, 'rb').read(); at = 0\n"
      "  while at < len(data):\n"
      "    n = struct.unpack('<Q', data[at:at+8])[0]\n"
      "    record = data[at+12:at+12+n]; at += n + 16\n"
      "    assert struct.unpack('<I', data[at-4:at])[0] == masked_crc32c(record), (name, at)\n"
      "    steps += [Event.FromString(record).step]\n"
      "  assert at == len(data)\n"
      "assert max(steps) == 6, steps\n",
      {run.tensorboard().string()});
  EXPECT_EQ(result.status, 0) << result.output;
}

TEST_F(Ends, OtherCommandsEndAtOnceAndLeaveNoHalfWrittenFile) {
  train_run();
  test::RunningProgram program(folder_.path(), "sample --run run --count 200000 --out drawn");
  ASSERT_TRUE(program.says("sample ", 120)) << program.err();
  for (int i = 0; i < 2000 && (!fs::exists(folder_ / "drawn") || test::count_files(folder_ / "drawn") < 20); ++i)
    ::usleep(5000);
  program.send(SIGTERM);
  EXPECT_EQ(program.wait().code, 143);
  expect_no_unfinished_file(folder_.path());
  for (const auto& entry : fs::directory_iterator(folder_ / "drawn")) {
    if (entry.path().extension() == ".png") EXPECT_NO_THROW(image::read_image(entry.path()));
  }
}

TEST_F(Ends, AMappedCheckpointThatIsShortenedIsNamed) {
  train_run();
  test::RunningProgram program(folder_.path(), "sample --run run --count 200000 --out drawn");
  ASSERT_TRUE(program.says("sample ", 120)) << program.err();
  fs::resize_file(last(), 4096);
  const auto ended = program.wait();
  EXPECT_EQ(ended.code, 1) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("sdg: run/checkpoints/last.safetensors: was shortened"));
}

TEST_F(Ends, TrainingDataThatIsShortenedIsNamedAndTheCheckpointStays) {
  tensors::TensorFile images;
  images.tensors["images"] = at::randint(0, 256, {20000, 8, 8}, at::kLong).to(at::kByte);
  tensors::write_tensors(folder_ / "images.safetensors", images);
  test::RunningProgram program(folder_.path(), "train --run run " + kTiny + kLong +
                                                   "--set data.path=images.safetensors --set data.cache_mb=0 "
                                                   "--set train.save_every=2 --set train.picture_every=0");
  ASSERT_TRUE(program.says(" 1/5000", 120)) << program.err();
  for (int i = 0; i < 2000 && !fs::exists(last()); ++i) ::usleep(5000);
  fs::resize_file(folder_ / "images.safetensors", 600000);
  const auto ended = program.wait();
  EXPECT_EQ(ended.code, 1) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("images.safetensors: was shortened while it was in use"));
  EXPECT_NO_THROW(tensors::read_tensors(last()));
}

TEST_F(Program, AFinishedRunSaysSoAndStaysAsItIs) {
  train_run();
  const auto before = test::read_text(checkpoint::RunFolder(folder_ / "run").log());
  const auto again = sdg("train --run run " + kTiny);
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("finished already, at step 6; nothing was done"));
  EXPECT_EQ(test::read_text(checkpoint::RunFolder(folder_ / "run").log()), before);
}

TEST_F(Program, AfterABadStepALowerRateGoesOnFromTheCheckpoint) {
  train_run("--set train.save_every=3");
  const auto changed = sdg("train --run run " + kTiny + "--set train.save_every=3 --set train.steps=8 " +
                           "--set train.lr=0.0005 --set data.max_broken=0.5 --set train.batch=12");
  ASSERT_EQ(changed.code, 0) << changed.err;
  EXPECT_THAT(changed.err, HasSubstr("changed from step 6: data.max_broken 0.001 -> 0.5, train.steps 6 -> 8, "
                                     "train.batch 16 -> 12, train.lr 0.002 -> 0.0005"));
  EXPECT_THAT(tensors::read_tensor_header(last()).metadata.at("changes"), HasSubstr("train.lr 0.002 -> 0.0005"));
  EXPECT_THAT(sdg("inspect '" + last().string() + "'").out, HasSubstr("changes: "));
  const auto refused = sdg("train --run run " + kTiny + "--set train.steps=9 --set seed=3");
  test::expect_failure(refused, 2, "another configuration: seed (0 -> 3); the order of the data");
}

TEST_F(Program, ResumeBesideTheNameOfAnotherRunIsRefused) {
  train_run();
  test::expect_failure(sdg("train --run run --resume other " + kTiny), 2, "--run run and --resume other name two");
  EXPECT_FALSE(fs::exists(folder_ / "other"));
  EXPECT_EQ(sdg("train --run run --resume ./run/").code, 0);
  EXPECT_EQ(sdg("train --run run --resume").code, 0);
}
