#include "sdg/checkpoint/provenance.h"

#include <gtest/gtest.h>

#include "sdg/core/error.h"

using namespace sdg;
using checkpoint::Provenance;
using checkpoint::Stage;
using checkpoint::Verdict;

namespace {
const Stage kClean{"no condition was given", Verdict::kYes};
const Stage kLabels{"the condition was the label", Verdict::kNo};
const Stage kForeign{"read from a file", Verdict::kUnknown};

Provenance of(const std::vector<Stage>& stages) {
  Provenance out;
  for (const auto& stage : stages) out.add(stage);
  return out;
}
}  // namespace

TEST(Provenance, NoOutweighsUnknownOutweighsYes) {
  EXPECT_EQ(Provenance().verdict(), Verdict::kUnknown) << "nothing is known of what says nothing";
  EXPECT_EQ(of({kClean}).verdict(), Verdict::kYes);
  EXPECT_EQ(of({kClean, kForeign}).verdict(), Verdict::kUnknown);
  EXPECT_EQ(of({kForeign, kLabels, kClean}).verdict(), Verdict::kNo);
}

TEST(Provenance, IsTakenOverWithTheWayItCame) {
  auto middle = of({kClean});
  middle.inherit(of({kLabels}), "initial weights a");
  auto end = of({kClean});
  end.inherit(middle, "initial weights b");
  EXPECT_EQ(end.verdict(), Verdict::kNo);
  ASSERT_EQ(end.stages().size(), 3);
  EXPECT_EQ(to_text(end.stages()[2]), "initial weights b: initial weights a: the condition was the label");
  const auto before = end.stages();
  end.inherit(middle, "initial weights b");  // as every save does
  EXPECT_EQ(end.stages(), before);
}

TEST(Provenance, AStageThatGoesOnGrowsAndAnotherOneIsAnother) {
  auto chain = of({kClean});
  chain.trained(kLabels, 0, 0);
  EXPECT_EQ(chain.stages().size(), 1) << "no step was done";
  chain.trained(kLabels, 0, 500);
  chain.trained(kLabels, 500, 600);
  ASSERT_EQ(chain.stages().size(), 2);
  EXPECT_EQ(to_text(chain.stages()[1]), "steps 0 to 600: the condition was the label");
  chain.trained(kClean, 600, 700);
  auto other_indices = kLabels;
  other_indices.key = "other";
  chain.trained(other_indices, 700, 800);
  chain.trained(kLabels, 800, 900);
  EXPECT_EQ(chain.stages().size(), 5);
  EXPECT_EQ(chain.verdict(), Verdict::kNo) << "what was once so stays so";
}

TEST(Provenance, ComesBackFromMetadata) {
  auto chain = of({kForeign});
  auto keyed = kClean;
  keyed.key = "0123";
  chain.trained(keyed, 20, 30);
  chain.inherit(of({kLabels}), "latents \xff.safetensors");  // a name that is not UTF-8
  const auto read = checkpoint::parse_provenance({{checkpoint::kProvenanceKey, to_json(chain)}}, "x");
  ASSERT_EQ(read.stages().size(), 3);
  EXPECT_EQ(read.stages()[0], chain.stages()[0]);
  EXPECT_EQ(read.stages()[1], chain.stages()[1]);
  EXPECT_EQ(read.verdict(), Verdict::kNo);
  EXPECT_TRUE(checkpoint::parse_provenance({}, "x").empty());
  for (const std::string malformed : {"[", "{\"a\": 1}", "[{\"what\": 3, \"label_free\": \"yes\"}]", "7"})
    EXPECT_THROW(checkpoint::parse_provenance({{checkpoint::kProvenanceKey, malformed}}, "x"), Error) << malformed;
  const auto invented = checkpoint::parse_provenance(
      {{checkpoint::kProvenanceKey, "[{\"what\": \"w\", \"label_free\": \"certainly\"}]"}}, "x");
  EXPECT_EQ(invented.verdict(), Verdict::kUnknown);
}
