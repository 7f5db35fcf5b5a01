#include "sdg/image/image_folder.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <system_error>
#include <vector>

#include "sdg/core/error.h"
#include "sdg/image/image.h"
#include "sdg/io/atomic_file.h"

namespace sdg::image {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMark = ".sdg-incomplete";  // its first line is the content, its second the program

std::string line_of(const fs::path& file, int number) {
  std::ifstream in(file);
  std::string line;
  for (int i = 0; i < number; ++i) std::getline(in, line);
  return line;
}

bool is_hidden(const fs::path& path) {
  return path.filename().string().rfind('.', 0) == 0;
}

// Paths below the folder, with '/', of everything that is neither hidden nor a folder.
std::vector<std::string> files_in(const fs::path& folder) {
  std::vector<std::string> out;
  for (auto it = fs::recursive_directory_iterator(folder); it != fs::recursive_directory_iterator(); ++it) {
    if (is_hidden(it->path())) {
      if (it->is_directory()) it.disable_recursion_pending();
    } else if (!it->is_directory()) {
      out.push_back(it->path().lexically_relative(folder).generic_string());
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

// What a process that was killed left behind while it wrote an image.
void remove_temporaries(const fs::path& folder, const std::function<bool(const std::string&)>& is_ours) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const auto target = io::target_of_temporary(entry.path().filename().string());
    if (target.empty() || !entry.is_regular_file()) continue;
    const auto path = (entry.path().parent_path() / target).lexically_relative(folder).generic_string();
    if (is_ours(path)) found.push_back(entry.path());
  }
  for (const auto& path : found) fs::remove(path);
}

// A WebP says at its begin how long it is.
bool is_whole_webp(const fs::path& file) {
  std::error_code missing;
  const auto size = fs::file_size(file, missing);
  std::ifstream in(file, std::ios::binary);
  std::array<unsigned char, 8> head{};
  if (missing || !in.read(reinterpret_cast<char*>(head.data()), head.size())) return false;
  const uint64_t follow = head[4] | head[5] << 8 | head[6] << 16 | static_cast<uint64_t>(head[7]) << 24;
  return std::string_view(reinterpret_cast<const char*>(head.data()), 4) == "RIFF" && size == follow + head.size();
}

void remove_all(const fs::path& folder, const std::vector<std::string>& files) {
  for (const auto& file : files) {
    fs::remove(folder / file);
    std::error_code not_empty;
    for (auto up = (folder / file).parent_path(); up != folder && fs::remove(up, not_empty); up = up.parent_path()) {
    }
  }
}

}  // namespace

ImageFolder::ImageFolder(fs::path folder, const ImageFolderPlan& plan) : folder_(std::move(folder)) {
  std::error_code failed;
  SDG_CHECK(!fs::exists(folder_, failed) || fs::is_directory(folder_, failed), folder_.string(),
            ": expected a folder, got a file");
  lock_ = std::make_unique<io::FolderLock>(folder_, plan.program);
  if (lock_->held()) remove_temporaries(folder_, plan.writes);
  const auto mark = folder_ / kMark;
  const bool incomplete = fs::exists(mark);
  const auto files = files_in(folder_);
  const auto foreign =
      std::find_if(files.begin(), files.end(), [&](const std::string& file) { return !plan.writes(file); });
  SDG_CHECK_USAGE(foreign == files.end(), folder_.string(), ": holds ", foreign == files.end() ? "" : *foreign,
                  ", which ", plan.program, " does not write: name another folder with --out");
  goes_on_ = incomplete && !plan.overwrite && line_of(mark, 1) == plan.content;
  if (!goes_on_) {
    SDG_CHECK_USAGE(files.empty() || plan.overwrite, folder_.string(), ": holds ", files.size(),
                    incomplete ? " images of another command that was stopped" : " images already",
                    "; --overwrite replaces them, --out names another folder");
    remove_all(folder_, files);
  }
  io::write_atomically(mark, [&](std::ostream& out) { out << plan.content << "\n" << plan.program << "\n"; });
}

ImageFolder::~ImageFolder() {
  std::error_code ignored;
  if (!lock_ || wrote_ || goes_on_) return;
  fs::remove(folder_ / kMark, ignored);  // nothing is there that could be taken for all
}

bool ImageFolder::has(const std::string& path) const {
  constexpr std::string_view kEnd("\0\0\0\0IEND\xae\x42\x60\x82", 12);  // of every PNG
  if (path.ends_with(".webp")) return is_whole_webp(folder_ / path);
  std::ifstream in(folder_ / path, std::ios::binary);
  std::array<char, kEnd.size()> last{};
  in.seekg(-static_cast<std::streamoff>(last.size()), std::ios::end);
  return in.read(last.data(), last.size()) && std::string_view(last.data(), last.size()) == kEnd;
}

void ImageFolder::write(const std::string& path, const Tensor& image, const std::string& text) {
  const auto file = folder_ / path;
  std::error_code failed;
  fs::create_directories(file.parent_path(), failed);
  SDG_CHECK(!failed, file.parent_path().string(), ": cannot make the folder: ", failed.message());
  write_picture(file, image, text);
  wrote_ = true;
}

void ImageFolder::finish() {
  std::error_code failed;
  fs::remove(folder_ / kMark, failed);
  SDG_CHECK(!failed, (folder_ / kMark).string(), ": cannot remove: ", failed.message());
  lock_.reset();
}

void check_complete(const fs::path& folder) {
  const auto mark = folder / kMark;
  std::error_code ignored;
  if (!fs::exists(mark, ignored)) return;
  throw Error(cat(folder.string(), ": these images are incomplete: ", line_of(mark, 2),
                  " was stopped while it wrote them; the same command finishes them"));
}

}  // namespace sdg::image
