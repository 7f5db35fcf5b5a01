#include "generate/recorded_answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "generate/drawing.h"
#include "sdg/core/error.h"
#include "sdg/generate/generate.h"
#include "support/tape.h"
#include "support/tiny_run.h"

using namespace sdg;
using ::testing::HasSubstr;

namespace {

class Recorded : public ::testing::Test {
 protected:
  Recorded() {
    const at::NoGradGuard no_grad;
    int64_t key = 0;
    for (auto& parameter : network_.model->parameters())
      parameter.add_(rng::normal({9, rng::Purpose::kTest, 0}, {key++}, parameter.sizes()).view(parameter.sizes()), 0.1);
    network_.set_training(false);
    request_.sample.steps = 6;
    request_.sample.guidance = 1.5;
  }

  // Two groups, 16 images and 8.
  std::vector<Tensor> draw(generate::RecordedAnswers* recorded) {
    generate::Drawing drawing{config_, network_, prior_, at::kCPU, request_};
    drawing.grid = drawing.find_grid();
    drawing.recorded = recorded;
    return {drawing.draw_group({0, 16}).x, drawing.draw_group({16, 24}).x, drawing.draw_group({24, 40}).x};
  }

  const recipe::RunConfig config_ = test::tiny_config("unused");
  network::Network network_ = network::build_network(config_, 0, at::kCPU);
  Tensor prior_ = at::tensor({0.1, 0.2, 0.3, 0.4}, at::kDouble);
  generate::Request request_;
};

}  // namespace

TEST_F(Recorded, DrawsTheSameImagesWhateverChangesFromStepToStep) {
  const std::map<std::string, std::function<void(sample::SampleOptions&)>> ways{
      {"guided", [](auto&) {}},
      {"guided in part", [](auto& s) { s.guidance_begin = 0.4, s.guidance_end = 0.8; }},
      {"from another cluster", [](auto& s) { s.guide = sample::Guide::kOther; }},
      {"conditional", [](auto& s) { s.guidance = 1; }},
      {"of no condition", [](auto& s) { s.guidance = 0; }},
      {"that remembers", [](auto& s) { s.solver = sample::Solver::kUnipc; }},
      {"with noise", [](auto& s) { s.solver = sample::Solver::kStochasticHeun; }}};
  for (const auto& [name, change] : ways) {
    const auto before = request_;
    change(request_.sample);
    const auto expected = draw(nullptr);
    generate::RecordedAnswers recorded(test::tapes());
    const auto taped = test::operations_taped();
    const auto found = draw(&recorded);
    EXPECT_GT(test::operations_taped(), taped) << name << ": nothing was recorded";
    for (size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(test::same_bytes(found[i], expected[i])) << name << " " << i;
    request_ = before;
  }
}

TEST_F(Recorded, CallsTheNetworkOnlyUntilItIsRecorded) {
  request_.sample.steps = 10;
  size_t all = 0, steps = 20;
  for (auto* count : {&all, &steps}) {
    if (count == &steps) request_.sample.steps = 20;
    generate::RecordedAnswers recorded(test::tapes());
    const auto before = test::operations_taped();
    draw(&recorded);
    *count = test::operations_taped() - before;
  }
  EXPECT_EQ(all, steps);
}

TEST_F(Recorded, OnACpuIsRefused) {
  request_.sample.graph = Graph::kCuda;
  EXPECT_EQ(test::message_of<UsageError>([&] { generate::generate(config_, network_, prior_, at::kCPU, request_); }),
            "sample.graph: cuda records on a GPU, and the device is the CPU; choose none");
}
