// What extracting a tar gives, with GNU tar as the judge.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "sdg/core/error.h"
#include "sdg/io/random_access_file.h"
#include "sdg/io/tar_index.h"
#include "support/python.h"
#include "support/temporary_folder.h"

using namespace sdg;
using test::TemporaryFolder;
using ::testing::Contains;
using ::testing::HasSubstr;

namespace {

// make(t) of the script puts entries into the archive: F file, L symbolic link, H hard link, D folder. What tar makes
// of it is listed as find does: links followed, circles not.
constexpr const char* kJudge = R"(
import io, os, subprocess, sys, tarfile
folder, format = sys.argv[1], sys.argv[2]
def entry(t, name, type, link='', data=b''):
    info = tarfile.TarInfo(name); info.type = type; info.linkname = link; info.size = len(data); info.mode = 0o755
    t.addfile(info, io.BytesIO(data))
def F(t, name, text): entry(t, name, tarfile.REGTYPE, '', text.encode())
def L(t, name, to): entry(t, name, tarfile.SYMTYPE, to)
def H(t, name, to): entry(t, name, tarfile.LNKTYPE, to)
def D(t, name): entry(t, name, tarfile.DIRTYPE)
@MAKE@
kind = {'gnu': tarfile.GNU_FORMAT, 'pax': tarfile.PAX_FORMAT, 'ustar': tarfile.USTAR_FORMAT}[format]
with tarfile.open(folder + '/a.tar', 'w', format=kind) as t: make(t)
os.mkdir(folder + '/out')
done = subprocess.run(['tar', 'xf', '../a.tar'], cwd=folder + '/out', capture_output=True, text=True)
print(done.stderr)
found = subprocess.run(['find', '-L', '.', '-type', 'f'], cwd=folder + '/out', capture_output=True, text=True).stdout
with open(folder + '/expected', 'w') as out:
    for name in sorted(found.split('\n')[:-1]):
        out.write(name[2:] + ': ' + open(folder + '/out/' + name).read() + '\n')
)";

std::string listed(const std::filesystem::path& tar) {
  const io::RandomAccessFile file(tar);
  std::vector<std::string> lines;
  for (const auto& entry : io::index_tar(tar).files) {
    const auto bytes = file.read(entry.offset, entry.size);
    lines.push_back(entry.name + ": " + std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()) + "\n");
  }
  std::sort(lines.begin(), lines.end());
  std::string out;
  for (const auto& line : lines) out += line;
  return out;
}

// The lines of make's body; `least` files must come out, so that a judge that extracts nothing proves nothing.
void expect_as_extracted(const std::string& body, size_t least, const std::string& format = "gnu") {
  SDG_NEEDS_PYTHON("tarfile");
  if (std::system("tar --version | grep -q 'GNU tar'") != 0) {
    std::cout << "SKIPPED: no GNU tar" << std::endl;
    GTEST_SKIP() << "no GNU tar";
  }
  const TemporaryFolder folder;
  std::string script = kJudge;
  const std::string mark = "@MAKE@";
  script.replace(script.find(mark), mark.size(), "def make(t):\n" + body);
  const auto result = test::run_python(script, {folder.path().string(), format});
  ASSERT_EQ(result.status, 0) << result.output;
  const auto expected = test::read_text(folder / "expected");
  EXPECT_GE(static_cast<size_t>(std::count(expected.begin(), expected.end(), '\n')), least) << expected;
  EXPECT_EQ(listed(folder / "a.tar"), expected) << result.output;
}

}  // namespace

TEST(TarExtraction, NamesThatLeadOutLoseWhatLeadsOut) {
  for (const std::string format : {"gnu", "pax", "ustar"}) {
    expect_as_extracted(R"(
    F(t, '/abs/cat/1.png', 'one')
    F(t, './here/./cat//3.png', 'three')
    F(t, '//double/5.png', 'five')
    F(t, 'dots/..6.png', 'six')
    F(t, 'dots.../7.png', 'seven')
    D(t, '/abs/dog/')
)",
                        5, format);
  }
}

// GNU tar and bsdtar refuse to extract "../", but GNU tar cuts it off when it writes: the same files written with and
// without that (-P) must be the same list.
TEST(TarExtraction, NamesThatLeadUpAreThoseThatTarWouldHaveWritten) {
  const TemporaryFolder folder;
  const std::string make =
      "cd '" + folder.path().string() +
      "' && mkdir -p ds/cat ds/dog deep/er && echo 1 > ds/cat/1.png && echo 2 > ds/dog/2.png && "
      "ln ds/cat/1.png ds/dog/hard.png && ln -s ../cat/1.png ds/dog/soft.png && cd deep/er && "
      "tar cf cut.tar ../../ds 2>/dev/null && tar cPf up.tar ../../ds && tar cPf absolute.tar \"$PWD/../../ds\" && "
      "mkdir -p ../x/y && tar cPf middle.tar ../x/y/../../../ds && "
      "mkdir out && tar xf cut.tar -C out && cd out && find -L . -type f | sort > ../expected";
  ASSERT_EQ(std::system(make.c_str()), 0);
  const auto lines = test::read_text(folder / "deep/er/expected");
  EXPECT_EQ(lines, "./ds/cat/1.png\n./ds/dog/2.png\n./ds/dog/hard.png\n./ds/dog/soft.png\n");
  EXPECT_EQ(listed(folder / "deep/er/up.tar"), listed(folder / "deep/er/cut.tar"));
  for (const auto* name : {"absolute.tar", "middle.tar"}) {
    EXPECT_EQ(listed(folder / "deep/er" / name), listed(folder / "deep/er/cut.tar")) << name;
    EXPECT_TRUE(io::index_tar(folder / "deep/er" / name).left_out.empty()) << name;
  }
}

TEST(TarExtraction, OfEntriesWithOneNameTheLastCounts) {
  expect_as_extracted(R"(
    F(t, 'a.png', 'old')
    F(t, 'b.png', 'other')
    F(t, './a.png', 'new')
    F(t, 'file', 'a file'); F(t, 'file/inside.png', 'in a file')
    D(t, 'empty'); F(t, 'empty', 'file for an empty folder')
    D(t, 'full'); F(t, 'full/x.png', 'x'); F(t, 'full', 'file for a full folder')
    F(t, 'was_file', 'f'); D(t, 'was_file'); F(t, 'was_file/y.png', 'y')
    L(t, 'was_link', 'full'); D(t, 'was_link'); F(t, 'was_link/z.png', 'z')
    L(t, 'link.png', 'a.png'); F(t, 'link.png', 'no link any more')
    F(t, 'plain.png', 'plain'); L(t, 'plain.png', 'a.png')
)",
                      7);
}

TEST(TarExtraction, HardLinksHaveTheBytesOfThatMoment) {
  for (const std::string format : {"gnu", "pax", "ustar"}) {
    expect_as_extracted(R"(
    F(t, 'ds/cat/1.png', 'one')
    H(t, 'ds/dog/1.png', 'ds/cat/1.png')
    H(t, 'ds/dog/chain.png', 'ds/dog/1.png')
    F(t, 'ds/cat/1.png', 'one anew')
    H(t, 'ds/dog/late.png', './ds/cat/1.png')
    H(t, 'ds/dog/early.png', 'ds/cat/later.png')
    F(t, 'ds/cat/later.png', 'later')
    H(t, 'ds/cat/later.png', 'ds/cat/later.png')
    H(t, '/abs/2.png', '/ds/cat/1.png')
    F(t, 'ds/dog/chain.png', 'a file again')
    H(t, 'ds/folder.png', 'ds/cat')
    F(t, 'ds/over.png', 'to be replaced'); H(t, 'ds/over.png', 'ds/cat/1.png')
    L(t, 'ds/soft.png', 'cat/1.png'); H(t, 'ds/dog/soft.png', 'ds/soft.png'); H(t, 'ds/soft2.png', 'ds/soft.png')
)",
                        9, format);
  }
}

TEST(TarExtraction, SymbolicLinksAreFollowedInsideTheArchive) {
  for (const std::string format : {"gnu", "pax"}) {
    expect_as_extracted(R"(
    F(t, 'store/1.png', 'one'); F(t, 'store/deep/2.png', 'two')
    L(t, 'cat/1.png', '../store/1.png')
    L(t, 'cat/again.png', '1.png')
    L(t, 'dog', 'store')
    L(t, 'bird/all', '../store')
    L(t, 'out.png', '/nowhere/at/all.png')
    L(t, 'out2.png', '../../../../../../../../../../nowhere.png')
    L(t, 'missing.png', 'store/9.png')
    L(t, 'self.png', 'self.png')
    L(t, 'before.png', 'after.png'); F(t, 'after.png', 'after')
    F(t, 'dog/through.png', 'through a link')
    L(t, 'store/loop', '..')
    L(t, 'store/me', '.')
    L(t, 'n' * 120 + '.png', 'store/' + '././' * 40 + '1.png')
)",
                        10, format);
  }
}

// find would list these again and again, or twice at least.
TEST(TarExtraction, FoldersThatLinkToEachOtherAreListedOnce) {
  SDG_NEEDS_PYTHON("tarfile");
  const TemporaryFolder folder;
  const auto result = test::run_python(R"(
import io, sys, tarfile
with tarfile.open(sys.argv[1], 'w') as t:
    def entry(name, type, link=''):
        info = tarfile.TarInfo(name); info.type = type; info.linkname = link; t.addfile(info)
    for a, b in ['xy', 'yz', 'zx']:
        entry(a + '/1.png', tarfile.REGTYPE)
        entry(a + '/link', tarfile.SYMTYPE, '../' + b)
    entry('alias', tarfile.SYMTYPE, 'x')
)",
                                       {(folder / "a.tar").string()});
  ASSERT_EQ(result.status, 0) << result.output;
  const auto index = io::index_tar(folder / "a.tar");
  EXPECT_EQ(listed(folder / "a.tar"), "alias/1.png: \nx/1.png: \ny/1.png: \nz/1.png: \n");
  EXPECT_EQ(index.left_out.size(), 4U);
}

TEST(TarExtraction, WhatIsLeftOutIsNamed) {
  SDG_NEEDS_PYTHON("tarfile");
  const TemporaryFolder folder;
  const auto result = test::run_python(R"(
import io, sys, tarfile
with tarfile.open(sys.argv[1], 'w') as t:
    def entry(name, type, link=''):
        info = tarfile.TarInfo(name); info.type = type; info.linkname = link; t.addfile(info)
    entry('a.png', tarfile.REGTYPE)
    entry('null.png', tarfile.CHRTYPE)
    entry('pipe.png', tarfile.FIFOTYPE)
    entry('out.png', tarfile.SYMTYPE, '/etc/hostname')
    entry('up.png', tarfile.SYMTYPE, '../etc/hostname')
    entry('gone.png', tarfile.SYMTYPE, 'b.png')
    entry('hard.png', tarfile.LNKTYPE, 'b.png')
    entry('loop', tarfile.SYMTYPE, '.')
    entry('s.png', b'S')
)",
                                       {(folder / "a.tar").string()});
  ASSERT_EQ(result.status, 0) << result.output;
  const auto index = io::index_tar(folder / "a.tar");
  EXPECT_EQ(index.files.size(), 1U);
  EXPECT_EQ(index.left_out.size(), 8U);
  for (const std::string line :
       {"null.png (a device)", "pipe.png (a pipe)", "s.png (a sparse file)",
        "out.png (a symbolic link to /etc/hostname, out of the archive", "up.png (a symbolic link to ../etc/hostname",
        "gone.png (a symbolic link to b.png, not in the archive)", "hard.png (a hard link to b.png, which does not",
        "loop (a symbolic link that leads back to itself)"}) {
    EXPECT_THAT(index.left_out, Contains(HasSubstr(line)));
  }
}
