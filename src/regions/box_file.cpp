#include "sdg/regions/box_file.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <set>

#include "io/json_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/core/utf8.h"
#include "sdg/io/file_kind.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::regions {
namespace {

using nlohmann::json;

Box parse_box(const json& entry, const std::string& where) {
  if (entry.is_null()) return {};
  const bool fits = entry.is_array() && entry.size() == 4 &&
                    std::all_of(entry.begin(), entry.end(), [](const json& each) { return each.is_number(); });
  SDG_CHECK(fits, where, ": expected [left, top, right, bottom] or null, got ", io::json_text(entry).substr(0, 60));
  return {entry[0].get<double>(), entry[1].get<double>(), entry[2].get<double>(), entry[3].get<double>()};
}

// The image called `key`, by its name below the folders that all share or with some of these before it; -1 for none.
int64_t image_called(const std::string& key, const std::map<std::string, int64_t>& place,
                     const data::ImageSource& images) {
  for (size_t begin = 0;;) {
    const auto found = place.find(key.substr(begin));
    if (found != place.end() && (begin == 0 || images.name(found->second).ends_with("/" + key))) return found->second;
    const auto slash = key.find('/', begin);
    if (slash == std::string::npos) return -1;
    begin = slash + 1;
  }
}

std::vector<Box> from_json(const std::filesystem::path& path, const data::ImageSource& images) {
  std::ifstream in(path);
  json all;
  std::set<std::string> names;
  const auto once = [&](int depth, json::parse_event_t event, const json& key) {
    if (depth != 1 || event != json::parse_event_t::key) return true;
    const auto& name = key.get_ref<const std::string&>();
    SDG_CHECK(names.insert(name).second, path.string(), ": has two boxes of ", name);
    return true;
  };
  try {
    all = json::parse(in, once);
  } catch (const json::exception& error) {
    throw Error(cat(path.string(), ": not JSON: ", error.what()));
  }
  SDG_CHECK(all.is_array() || all.is_object(), path.string(),
            ": expected a list of boxes, or an object of them by name");
  std::vector<Box> out;
  if (all.is_array()) {
    for (const auto& entry : all) out.push_back(parse_box(entry, cat(path.string(), ": box ", out.size())));
    return out;
  }
  std::map<std::string, int64_t> place;
  for (int64_t i = 0; i < images.size(); ++i)
    if (const auto name = images.short_name(i); !name.empty()) place[name] = i;
  SDG_CHECK(!place.empty(), path.string(), ": has boxes by name, but the images have no names; give a list");
  out.resize(static_cast<size_t>(images.size()));
  std::set<int64_t> found;
  for (const auto& [key, entry] : all.items()) {
    const auto image = image_called(from_utf8(key), place, images);
    SDG_CHECK(image >= 0, path.string(), ": has a box of ", key, ", which is no image of the data set");
    SDG_CHECK(found.insert(image).second, path.string(), ": has two boxes of ", images.name(image), ", one called ",
              key);
    out[static_cast<size_t>(image)] = parse_box(entry, cat(path.string(), ": box of ", key));
  }
  return out;
}

void check_inside(const Box& box, int64_t index, const data::ImageSource& images, const std::string& where) {
  const bool none = box == Box();
  if (none) return;
  const auto name = cat(where, ": the box of ", images.name(index), ", ", box.left, " ", box.top, " ", box.right, " ",
                        box.bottom, ",");
  SDG_CHECK(std::isfinite(box.left + box.top + box.right + box.bottom), name, " holds numbers that are not finite");
  SDG_CHECK(!box.empty(), name, " has no area: expected left < right and top < bottom");
  const auto picture = images.read(index);
  const auto height = picture.size(1), width = picture.size(2);
  SDG_CHECK(box.left >= 0 && box.top >= 0 && box.right <= static_cast<double>(width) &&
                box.bottom <= static_cast<double>(height),
            name, " reaches outside of the picture of ", width, " x ", height, " pixels");
}

}  // namespace

std::vector<Box> read_boxes(const std::filesystem::path& path, const data::ImageSource& images) {
  const auto where = path.string();
  SDG_CHECK(std::filesystem::is_regular_file(path), where, ": no such file of boxes");
  const auto kind = io::lower_suffix(path);
  SDG_CHECK(kind == ".safetensors" || kind == ".json", where, ": boxes are read from .safetensors or .json");
  const auto boxes =
      kind == ".json" ? from_json(path, images) : to_boxes(tensors::read_tensors(path).at("boxes", where), where);
  SDG_CHECK(static_cast<int64_t>(boxes.size()) == images.size(), where, ": expected one box for each of ",
            images.size(), " images, got ", boxes.size());
  worker_pool().run(images.size(), [&](int64_t i) { check_inside(boxes[static_cast<size_t>(i)], i, images, where); });
  return boxes;
}

std::vector<Box> in_center_crops(const std::vector<Box>& boxes, const data::ImageSource& images, int64_t side) {
  std::vector<Box> out(boxes.size());
  worker_pool().run(images.size(), [&](int64_t i) {
    const auto at = static_cast<size_t>(i);
    if (boxes[at].empty()) return;
    const auto picture = images.read(i);
    out[at] = in_center_crop(boxes[at], picture.size(1), picture.size(2), side);
  });
  return out;
}

void settle_missing(std::vector<Box>& boxes, Missing missing, int64_t side, const data::ImageSource& images,
                    const std::string& where) {
  const auto none = [](const Box& box) { return box.empty(); };
  const auto first = std::find_if(boxes.begin(), boxes.end(), none);
  if (first == boxes.end()) return;
  SDG_CHECK(missing != Missing::kRefuse, where, ": ", images.name(first - boxes.begin()), " has no box",
            " in the square that the network sees, as ", std::count_if(boxes.begin(), boxes.end(), none), " of ",
            boxes.size(), " images; --missing empty or whole says what their map is");
  const auto end = static_cast<double>(side);
  const Box instead = missing == Missing::kWhole ? Box{0, 0, end, end} : Box{};
  std::replace_if(boxes.begin(), boxes.end(), none, instead);
}

}  // namespace sdg::regions
