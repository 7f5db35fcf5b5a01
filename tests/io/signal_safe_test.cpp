#include "sdg/io/signal_safe.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "sdg/core/error.h"
#include "sdg/io/atomic_file.h"
#include "sdg/tensors/tensor_file.h"
#include "support/temporary_folder.h"

using namespace sdg;
using test::TemporaryFolder;

TEST(MappedFileAt, NamesTheFileWhileItsTensorsLive) {
  const TemporaryFolder folder;
  tensors::TensorFile file;
  file.tensors["x"] = at::ones({4096});
  for (const std::string name : {"a", "b"}) tensors::write_tensors(folder / (name + ".safetensors"), file);
  auto a = tensors::read_tensors(folder / "a.safetensors"), b = tensors::read_tensors(folder / "b.safetensors");
  const auto* inside = a.at("x").const_data_ptr<float>() + 4095;
  EXPECT_EQ(io::mapped_file_at(inside).path, (folder / "a.safetensors").string());
  EXPECT_EQ(io::mapped_file_at(b.at("x").const_data_ptr()).path, (folder / "b.safetensors").string());
  EXPECT_EQ(io::mapped_file_at(&file).path, nullptr);
  a = {};
  EXPECT_EQ(io::mapped_file_at(inside).path, nullptr);
  a = tensors::read_tensors(folder / "b.safetensors");  // takes the entry that has become free
  EXPECT_EQ(io::mapped_file_at(a.at("x").const_data_ptr()).path, (folder / "b.safetensors").string());
}

TEST(MappedFileAt, TellsAShortenedFileFromOneThatIsStillWhole) {
  const TemporaryFolder folder;
  const auto path = folder / "a.safetensors";
  tensors::TensorFile file;
  file.tensors["x"] = at::ones({4096});
  tensors::write_tensors(path, file);
  const auto size = std::filesystem::file_size(path);
  const auto read = tensors::read_tensors(path);
  const auto found = io::mapped_file_at(read.at("x").const_data_ptr());
  EXPECT_EQ(found.size, size);
  EXPECT_FALSE(found.shortened());
  std::filesystem::resize_file(path, size - 1);
  EXPECT_TRUE(found.shortened());
  std::filesystem::remove(path);  // replaced or gone: the mapping is of the file that it was
  EXPECT_FALSE(found.shortened());
}

TEST(UnfinishedFiles, AreRemovedAndTheOldContentStays) {
  const TemporaryFolder folder;
  test::write_text(folder / "file", "old");
  EXPECT_THROW(io::write_atomically(folder / "file",
                                    [&](std::ostream& out) {
                                      out << "new" << std::flush;
                                      EXPECT_EQ(test::count_files(folder.path()), 2);
                                      io::remove_unfinished_files();
                                      EXPECT_EQ(test::count_files(folder.path()), 1);
                                    }),
               Error);
  EXPECT_EQ(test::read_text(folder / "file"), "old");
  io::write_atomically(folder / "file", [](std::ostream& out) { out << "new"; });
  io::remove_unfinished_files();
  EXPECT_EQ(test::read_text(folder / "file"), "new");
}
