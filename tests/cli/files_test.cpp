// Files of other programs, given to this one: what comes out is what their own readers see in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/tiny_program.h"
#include "support/python.h"

using namespace sdg;
using test::expect_failure;
using test::Program;
using ::testing::HasSubstr;
using ::testing::Not;

namespace {
class Files : public Program {};
}  // namespace

TEST_F(Files, ConvertWritesTheValuesThatTorchLoads) {
  SDG_NEEDS_PYTHON("torch safetensors");
  const auto made = test::run_python(R"(
import sys, torch
c = torch.tensor([1 + 2j, 3 - 4j])
torch.save({'w': torch._neg_view(torch.tensor([1., 2., 3.])), 'v': c.clone().conj().imag, 'c': c.conj()}, sys.argv[1])
)",
                                     {(folder_ / "marked.pt").string()});
  ASSERT_EQ(made.status, 0) << made.output;
  for (const std::string out : {"out.safetensors", "out.pt"}) {
    const auto converted = sdg("convert marked.pt " + out + " --to public");
    ASSERT_EQ(converted.code, 0) << converted.err;
  }
  const auto compared = test::run_python(R"(
import sys, torch
from safetensors.torch import load_file
want = torch.load(sys.argv[1] + '/marked.pt')
for got in (load_file(sys.argv[1] + '/out.safetensors'), torch.load(sys.argv[1] + '/out.pt')):
    assert got.keys() == want.keys(), got.keys()
    for k in want: assert torch.equal(got[k].resolve_conj(), want[k].resolve_conj().resolve_neg()), (k, got[k], want[k])
)",
                                         {folder_.path().string()});
  EXPECT_EQ(compared.status, 0) << compared.output;
}

TEST_F(Files, InspectListsEveryArrayOfAnNpzAndNamesWhatItCannotRead) {
  SDG_NEEDS_PYTHON("numpy");
  const auto made = test::run_python(
      "import sys, numpy as np\n"
      "np.savez(sys.argv[1], **{'gr\\u00f6\\u00dfe': np.arange(3.), 'f': np.zeros((2, 3), order='F'), 'o': "
      "np.array([{}, 1])})\n",
      {(folder_ / "a.npz").string()});
  ASSERT_EQ(made.status, 0) << made.output;
  const auto told = sdg("inspect a.npz");
  EXPECT_EQ(told.code, 0) << told.err;
  EXPECT_THAT(told.out, HasSubstr("größe"));
  EXPECT_THAT(told.out + told.err, HasSubstr("'o' holds Python objects"));
  const auto json = nlohmann::json::parse(sdg("inspect a.npz --json").out);
  EXPECT_EQ(json["tensors"].size(), 2U);
}

TEST_F(Files, AFileThatIsNoFileOfWeightsIsToldInOneLine) {
  test::write_text(folder_ / "w.pt", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 675129344\n");
  const auto told = sdg("inspect w.pt");
  EXPECT_EQ(told.code, 1);
  EXPECT_THAT(told.err, HasSubstr("this is a Git LFS pointer: the file itself of 675129344 bytes was not fetched"));
  EXPECT_EQ(std::count(told.err.begin(), told.err.end(), '\n'), 1) << told.err;
}
