#include "cli/sample_output.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "cli/process.h"
#include "cli/terminal.h"
#include "sdg/core/background.h"
#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/evaluate/pictures.h"
#include "sdg/generate/content.h"
#include "sdg/image/image.h"
#include "sdg/image/image_folder.h"
#include "sdg/tensors/npz.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/tensors/tensor_stream.h"

namespace sdg::cli {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kGridImages = 100;

std::string file_name(int64_t index, const Output& output) {
  char text[32];
  std::snprintf(text, sizeof text, "%06lld.%s", static_cast<long long>(index), output.webp ? "webp" : "png");
  return text;
}

// 000000.png or .webp and following, and the grid that earlier versions put among them.
bool is_ours(const std::string& path) {
  if (path == "grid.png") return true;
  const auto digits = std::min(path.find_first_not_of("0123456789"), path.size());
  return digits >= 6 && (path.substr(digits) == ".png" || path.substr(digits) == ".webp");
}

void write_grid(const Output& output, int64_t count) {
  std::vector<Tensor> shown;
  for (int64_t i = 0; i < std::min(count, kGridImages); ++i)
    shown.push_back(image::read_image(fs::path(output.where) / file_name(i, output)));
  int64_t columns = 1;
  while (columns * columns < static_cast<int64_t>(shown.size())) ++columns;
  const auto images = at::stack(shown);
  image::write_png(grid_path(output.where),
                   image::image_grid(images, columns, 2, evaluate::picture_scale(images.size(3))));
}

// What a picture is, for whoever finds it alone. Of an image alone, so that its file is the same among few or many.
std::string text_of(const generate::Request& request, const std::string& network, int64_t index, const Tensor& told) {
  std::string text = cat("sdg sample: image ", index);
  if (told.numel() == 1 && told.item<int64_t>() >= 0) text += cat(", cluster ", told.item<int64_t>());
  return text + cat(", ", sample::to_text(request.sample), "; network ", network);
}

// Rows into a file that grows beside `where` and can be gone on with; `finish` makes of it what was asked for.
int64_t draw_rows(const std::string& where, const Output& output,
                  const std::map<std::string, tensors::TensorStream::Slot>& slots, const checkpoint::Trained& trained,
                  generate::Request request, const at::Device& device,
                  const std::function<std::map<std::string, Tensor>(const generate::Generated&)>& rows_of,
                  std::map<std::string, std::string> metadata = {}) {
  const auto count = request.sample.count;
  SDG_CHECK(!fs::is_directory(output.where), output.where, ": expected a file, got a folder");
  metadata["content"] = output.content;
  tensors::TensorStream stream(where, slots, metadata);
  const auto before = stream.rows_done();
  int64_t done = before;
  if (done > 0) say(cat(output.where, ": going on after ", done, " images of an earlier run"));
  if (done < count) {
    request.first = done;
    request.sample.count = count - done;
    catch_signals();
    ProgressBar bar("sample", "img/s");
    generate::generate(
        trained.info.config, trained.network, trained.prior, device, request,
        [&](const generate::Generated& piece) {
          for (const auto& [name, rows] : rows_of(piece)) stream.write(name, done, rows);
          done += piece.images.size(0);
          stream.commit(done);
          if (caught_signal()) throw Stopped();  // NOLINT(bugprone-std-exception-baseclass)
        },
        bar.callback());
  }
  stream.finish();
  return before;
}

Shape with_rows(int64_t rows, const Shape& rest) {
  Shape shape{rows};
  shape.insert(shape.end(), rest.begin(), rest.end());
  return shape;
}

// What `rows` images were drawn under: [rows] or [rows, L].
Shape condition_shape(const checkpoint::Trained& trained, int64_t rows) {
  const auto& prior = trained.prior;
  return with_rows(rows, prior.defined() && prior.dim() == 2 ? Shape{prior.size(1)} : Shape{});
}

// The numbers that images were told, -1 where it was none: of the rows of a file those that are indices.
Tensor numbers_told(const Tensor& clusters, const checkpoint::Trained& trained) {
  const auto& stored = trained.network.stored;
  if (!stored || stored->weights.defined()) return clusters;
  if (stored->clusters.defined())
    return at::where(clusters.ge(0), stored->clusters.to(at::kLong).index_select(0, clusters.clamp_min(0)), -1);
  if (stored->classes == 0) return at::full_like(clusters, -1);
  return at::where(clusters.ge(0), stored->values.index_select(0, clusters.clamp_min(0)), -1);
}

// The same of a piece.
Tensor conditions_of(const generate::Generated& piece, const checkpoint::Trained& trained) {
  const auto shape = condition_shape(trained, piece.clusters.size(0));
  return piece.clusters.sizes() == shape ? numbers_told(piece.clusters, trained) : at::full(shape, -1, at::kLong);
}

}  // namespace

std::string grid_path(const std::string& out) {
  auto folder = fs::absolute(out).lexically_normal();
  if (folder.filename().empty()) folder = folder.parent_path();
  return folder.string() + "-grid.png";
}

std::string content_of(const checkpoint::Trained& trained, const generate::Request& request, const std::string& decoder,
                       const at::Device& device) {
  io::Digest digest;
  digest.text(generate::content_digest(trained)).text(device.is_cpu() ? "cpu" : "gpu");
  generate::add_content(digest, request, decoder);
  return digest.hex();
}

int64_t draw_folder(const Output& output, const checkpoint::Trained& trained, generate::Request request,
                    const at::Device& device) {
  const auto count = request.sample.count;
  image::ImageFolder folder(output.where, {.program = "sdg sample",
                                           .content = output.content + (output.webp ? " webp" : ""),
                                           .writes = is_ours,
                                           .overwrite = output.overwrite});
  int64_t before = 0;
  while (folder.goes_on() && before < count && folder.has(file_name(before, output))) ++before;
  if (before > 0) say(cat(output.where, ": going on after ", before, " images of an earlier run"));
  if (before < count) {
    request.first = before;
    request.sample.count = count - before;
    catch_signals();
    ProgressBar bar("sample", "img/s");
    int64_t index = before;
    const auto network = generate::content_digest(trained);
    BackgroundWork writers(std::max(2, available_cores()), 256);
    generate::generate(
        trained.info.config, trained.network, trained.prior, device, request,
        [&](const generate::Generated& piece) {
          const auto numbers = numbers_told(piece.clusters, trained);
          for (int64_t i = 0; i < piece.images.size(0) && !caught_signal(); ++i, ++index) {
            auto text = text_of(request, network, index, numbers[i]);
            writers.add([&folder, name = file_name(index, output), image = piece.images[i], text = std::move(text)] {
              folder.write(name, image, text);
            });
          }
          if (caught_signal()) {
            writers.finish();
            throw Stopped();  // NOLINT(bugprone-std-exception-baseclass)
          }
        },
        bar.callback());
    writers.finish();
  }
  write_grid(output, count);
  folder.finish();
  return before;
}

int64_t draw_npz(const Output& output, const checkpoint::Trained& trained, const generate::Request& request,
                 const at::Device& device) {
  const auto count = request.sample.count;
  const auto rows = output.where + ".rows";
  int64_t size = trained.info.config.data.size;
  if (request.to_images) {  // of latents only the decoder knows the size of pictures: of one
    auto one = request;
    one.sample.count = 1;
    size = generate::generate(trained.info.config, trained.network, trained.prior, device, one).images.size(2);
  }
  const auto before = draw_rows(
      rows, output,
      {{"arr_0", {at::kByte, {count, size, size, 3}}}, {"arr_1", {at::kLong, condition_shape(trained, count)}}},
      trained, request, device, [&](const generate::Generated& piece) -> std::map<std::string, Tensor> {
        return {{"arr_0", piece.images.expand({-1, 3, -1, -1}).permute({0, 2, 3, 1}).contiguous()},
                {"arr_1", conditions_of(piece, trained)}};
      });
  {
    auto drawn = tensors::read_tensors(rows);
    std::map<std::string, Tensor> arrays{{"arr_0", drawn.at("arr_0")}};
    if (drawn.at("arr_1").ge(0).all().item<bool>()) arrays["arr_1"] = drawn.at("arr_1");
    tensors::write_npz(output.where, arrays);
  }
  fs::remove(rows);
  return before;
}

int64_t draw_latents(const Output& output, const checkpoint::Trained& trained, generate::Request request,
                     const data::LatentCard& card, const at::Device& device) {
  const auto count = request.sample.count;
  const auto& data = trained.info.config.data;
  request.latents = true;
  request.to_images = [](const Tensor& x) { return at::zeros({x.size(0), 1, 1, 1}, at::kByte); };  // no pictures
  return draw_rows(
      output.where, output,
      {{"mean", {at::kFloat, {count, data.channels, data.size, data.size}}},
       {"conditions", {at::kLong, condition_shape(trained, count)}}},
      trained, request, device,
      [&](const generate::Generated& piece) -> std::map<std::string, Tensor> {
        return {{"mean", piece.latents / card.scale + card.shift}, {"conditions", conditions_of(piece, trained)}};
      },
      to_metadata(card));
}

}  // namespace sdg::cli
