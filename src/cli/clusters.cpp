#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/declared.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "sdg/checkpoint/audit.h"
#include "sdg/checkpoint/run_folder.h"
#include "sdg/checkpoint/same_data.h"
#include "sdg/conditions/condition_source.h"
#include "sdg/conditions/told.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/evaluate/pictures.h"
#include "sdg/image/image.h"
#include "sdg/io/atomic_file.h"
#include "sdg/io/folder_lock.h"
#include "sdg/metrics/clustering.h"
#include "sdg/network/assign.h"
#include "sdg/recipe/source.h"
#include "sdg/report/chart.h"
#include "sdg/report/html_page.h"
#include "sdg/study/cluster_study.h"
#include "sdg/study/condition_gain.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  SamplingArguments source;
  std::string out;
  int64_t images = 5000, shown = 24, per_cluster = 8, generated = 64, told = 1000;
};

constexpr const char* kExamples =
    "  sdg clusters                                     a page about the newest run's clusters, in <run>/clusters/\n"
    "  sdg clusters --run runs/digits --shown 50 --out report\n";

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * share);
  return text;
}

std::string fixed(double value, int digits = 3) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

/// The pieces of the page, which share the run and its data.
class Report {
 public:
  Report(const Arguments& arguments, checkpoint::Trained trained, const at::Device& device)
      : arguments_(arguments),
        trained_(std::move(trained)),
        device_(device),
        config_(trained_.info.config),
        opened_(data::open_data(config_.data, config_.config_dir)),
        to_images_(latents::to_images_of(trained_.info, arguments.source.autoencoder, device)),
        dataset_(opened_, config_.data),
        indices_(network::evaluation_subset(dataset_, arguments.images, 0)),
        page_(cat("Clusters of ", trained_.path)) {
    checkpoint::check_own_data(trained_, opened_);
    ProgressBar bar("assign", "img/s");
    ids_ = conditions::condition_ids(trained_, opened_, dataset_, indices_, device_, bar.callback());
    clusters_ = conditions::cluster_count(trained_, ids_);
    rows_ = ids_;
    if (by_rows())
      rows_ = trained_.network.stored->clusters.defined()
                  ? at::tensor(indices_)
                  : conditions::tell_of(config_.condition.file, trained_).index_select(0, at::tensor(indices_));
  }

  void write(const fs::path& folder) {
    overview();
    told();
    if (!network::patch_level(config_))
      contact_sheets();
    else
      overlays();
    history();
    memorisation();
    export_ids(folder);
    page_.write(folder / "index.html");
  }

 private:
  void overview() {
    const auto sizes = study::cluster_sizes(ids_, clusters_);
    std::vector<double> sorted(sizes.counts.begin(), sizes.counts.end());
    page_.paragraph(cat(config_.model.name, ", condition ", config::name(config_.condition.source), ", step ",
                        trained_.info.step, ", data ", trained_.info.data, ". ", ids_.numel(),
                        network::patch_level(config_) ? " patches of " : " assignments of ", indices_.size(),
                        " images."));
    std::vector<std::vector<std::string>> rows{{"figure", "value"},
                                               {"clusters", std::to_string(clusters_)},
                                               {"entropy of the sizes (1 = even)", fixed(sizes.entropy)},
                                               {"without a member", std::to_string(sizes.dead.size())},
                                               {"more than 4 x the even share", std::to_string(sizes.dominant.size())}};
    if (opened_.labels && ids_.dim() == 1 && !recipe::facts_of(config_).labels) {
      const auto truth = opened_.labels->labels().index_select(0, at::tensor(indices_));
      const auto scores = metrics::cluster_scores(truth, ids_);
      rows.push_back({"NMI against the labels", fixed(scores.nmi)});
      rows.push_back({"AMI", fixed(scores.ami)});
      rows.push_back({"ARI", fixed(scores.ari)});
      rows.push_back({"accuracy (best matching)", fixed(scores.accuracy)});
    }
    page_.table(rows);
    for (size_t i = 1; i < rows.size(); ++i) std::printf("%-34s %s\n", rows[i][0].c_str(), rows[i][1].c_str());
    page_.heading("Sizes");
    std::sort(sorted.rbegin(), sorted.rend());
    page_.picture(report::draw(report::BarChart{"images a cluster, largest first", "rank", "images", sorted}), "");
    if (!sizes.dead.empty()) page_.paragraph(cat("Without a member: ", join(sizes.dead), "."));
    if (!sizes.dominant.empty()) page_.paragraph(cat("Dominant: ", join(sizes.dominant), "."));
    order_.resize(static_cast<size_t>(clusters_));
    for (size_t k = 0; k < order_.size(); ++k) order_[k] = static_cast<int64_t>(k);
    std::stable_sort(order_.begin(), order_.end(), [&](int64_t a, int64_t b) {
      return sizes.counts[static_cast<size_t>(a)] > sizes.counts[static_cast<size_t>(b)];
    });
    order_.resize(static_cast<size_t>(std::min(arguments_.shown, clusters_)));
    counts_ = sizes.counts;
  }

  // Are images told rows (of a file, or what was seen in them), which no cluster's number names?
  bool by_rows() const { return trained_.network.stored && trained_.prior.defined(); }

  // How much of the flow loss the conditions take away.
  void told() {
    if (!trained_.prior.defined() || config_.condition.drop == 0) return;
    const auto n = std::min<int64_t>(arguments_.told, static_cast<int64_t>(indices_.size()));
    const auto every = static_cast<int64_t>(indices_.size()) / n;
    std::vector<int64_t> rows, images;
    for (int64_t i = 0; i < n; ++i) rows.push_back(i * every);
    for (const auto row : rows) images.push_back(indices_[static_cast<size_t>(row)]);
    ProgressBar bar("ask", "img/s");
    const auto gain = study::condition_gain(trained_, dataset_, images, rows_.index_select(0, at::tensor(rows)),
                                            {0.1, 0.3, 0.5, 0.7, 0.9}, device_, bar.callback());
    page_.heading("What the conditions tell the network");
    std::vector<std::vector<std::string>> table{{"time", "told nothing", "its own", "less by", "another's", "less by"}};
    const auto less = [&](double error, double without) { return percent(1 - error / without); };
    for (size_t i = 0; i < gain.times.size(); ++i)
      table.push_back({fixed(gain.times[i], 1), fixed(gain.none[i]), fixed(gain.own[i]),
                       less(gain.own[i], gain.none[i]), fixed(gain.other[i]), less(gain.other[i], gain.none[i])});
    page_.table(table);
    const auto sentence = cat("Of the error of the velocity an image's own condition takes away ", percent(gain.gain),
                              " (standard error ", percent(gain.error), ", ", n,
                              " images, fresh noise), another image's ", percent(gain.gain_of_other), ".");
    page_.paragraph(sentence);
    std::printf("%s\n", sentence.c_str());
  }

  // Under the cluster, or where images are told rows, under those of these of indices_.
  Tensor draw(int64_t cluster, const std::vector<int64_t>& members, int64_t count) const {
    generate::Request request{.sample = config_.sample};
    request.sample.count = count;
    if (by_rows()) {
      request.rows = rows_.index_select(0, at::tensor(members));
    } else {
      request.cluster = cluster;
    }
    request.to_images = to_images_;
    return generate::generate(config_, trained_.network, trained_.prior, device_, request).images;
  }

  // Training images as a person sees them.
  Tensor pictures(const std::vector<int64_t>& indices) const {
    return to_images_ ? to_images_(dataset_.values(indices)) : dataset_.images(indices);
  }

  // A row a cluster: real members, a gap, images drawn with that condition.
  void contact_sheets() {
    page_.heading(
        by_rows() ? "Members (left) and images drawn under what each of them was told (right), largest clusters first"
                  : "Members (left) and images drawn from the cluster (right), largest clusters first");
    const auto n = arguments_.per_cluster;
    const auto* id = ids_.const_data_ptr<int64_t>();
    const auto example = pictures({indices_.front()})[0];
    ProgressBar bar("draw", "clusters/s");
    int64_t done = 0;
    for (const auto cluster : order_) {
      std::vector<int64_t> members, places;
      for (size_t i = 0; i < indices_.size() && static_cast<int64_t>(members.size()) < n; ++i) {
        if (id[i] != cluster) continue;
        members.push_back(indices_[i]);
        places.push_back(static_cast<int64_t>(i));
      }
      const auto shown = members.empty() ? Tensor() : pictures(members);
      const auto blank = at::full_like(example, 255);
      std::vector<Tensor> cells;
      for (int64_t i = 0; i < n; ++i) cells.push_back(i < static_cast<int64_t>(members.size()) ? shown[i] : blank);
      cells.push_back(blank);
      if (trained_.prior.defined() && !(by_rows() && places.empty())) {
        const auto drawn = draw(cluster, places, n);
        for (int64_t i = 0; i < n; ++i) cells.push_back(drawn[i]);
      }
      page_.picture(image::image_grid(at::stack(cells), static_cast<int64_t>(cells.size()), 2, scale()),
                    cat("cluster ", cluster, ", ", counts_[static_cast<size_t>(cluster)], " of ", indices_.size()));
      bar.update(++done, static_cast<int64_t>(order_.size()));
    }
  }

  void overlays() {
    page_.heading("Images and their maps of clusters, one colour a cluster");
    const auto count = std::min<int64_t>(arguments_.shown, static_cast<int64_t>(indices_.size()));
    page_.picture(evaluate::overlay_sheet(ids_.slice(0, 0, count), indices_, dataset_, to_images_), "");
  }

  void history() {
    const auto folder = fs::path(trained_.path).parent_path();
    std::vector<fs::path> files;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      if (entry.path().filename().string().rfind("step-", 0) == 0) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    if (!recipe::facts_of(config_).online || files.size() < 2) return;
    page_.heading("Churn between checkpoints");
    std::vector<std::vector<std::string>> rows{{"from step", "to step", "changed cluster", "NMI between"}};
    Tensor before;
    int64_t before_step = 0;
    for (const auto& file : files) {
      const auto other = checkpoint::load_trained(file, device_);
      ProgressBar bar(cat("step ", other.info.step), "img/s");
      const auto ids = conditions::condition_ids(other, opened_, dataset_, indices_, device_, bar.callback());
      if (before.defined())
        rows.push_back({std::to_string(before_step), std::to_string(other.info.step),
                        percent(study::churn(before, ids)),
                        fixed(metrics::cluster_scores(before.flatten(), ids.flatten()).nmi)});
      before = ids;
      before_step = other.info.step;
    }
    page_.table(rows);
  }

  void memorisation() {
    generate::Request request{.sample = config_.sample};
    request.sample.count = arguments_.generated;
    request.to_images = to_images_;
    const auto drawn = generate::generate(config_, trained_.network, trained_.prior, device_, request).images;
    // Decoding takes its time: of latents only some are compared.
    constexpr size_t kDecoded = 512;
    const auto compared = to_images_ ? std::min(kDecoded, indices_.size()) : indices_.size();
    const auto training = pictures({indices_.begin(), indices_.begin() + static_cast<int64_t>(compared)});
    const auto near = study::nearest_training(drawn, training);
    page_.heading("Generated images and their nearest training images");
    auto sorted = near.distance;
    std::sort(sorted.begin(), sorted.end());
    const auto sentence = cat("Distance in pixels (root mean square, of 255), nearest of ", training.size(0),
                              " training images: generated images median ", fixed(sorted[sorted.size() / 2], 1),
                              "; training images to each other median ", fixed(near.training_median, 1),
                              ", first percentile ", fixed(near.training_low, 1), ". ", near.closer_than_low, " of ",
                              drawn.size(0), " generated images are nearer than that percentile.");
    page_.paragraph(sentence);
    std::printf("%s\n", sentence.c_str());
    std::vector<int64_t> order(near.distance.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
    std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return near.distance[static_cast<size_t>(a)] < near.distance[static_cast<size_t>(b)];
    });
    order.resize(std::min<size_t>(order.size(), 16));
    std::vector<Tensor> cells;
    for (const auto i : order) cells.push_back(drawn[i]);
    for (const auto i : order) cells.push_back(training[near.index[static_cast<size_t>(i)]]);
    page_.picture(image::image_grid(at::stack(cells), static_cast<int64_t>(order.size()), 2, scale()),
                  "The generated images nearest to training images (above), and those (below)");
  }

  void export_ids(const fs::path& folder) {
    tensors::TensorFile file;
    file.tensors["ids"] = ids_;
    file.tensors["indices"] = at::tensor(indices_);
    const auto chain = checkpoint::provenance_of(trained_.info);
    file.metadata = {{"format", "sdg-pseudo-labels-2"},
                     {"made_from", trained_.path},
                     {"label_free", to_text(chain.verdict())},
                     {checkpoint::kProvenanceKey, to_json(chain)}};
    if (static_cast<int64_t>(indices_.size()) == dataset_.size())
      file.metadata["data_fingerprint"] = data::to_text(data::fingerprint(opened_));
    tensors::write_tensors(folder / "ids.safetensors", file);
    io::write_atomically(folder / "ids.csv", [&](std::ostream& out) {
      out << "index,cluster\n";
      const auto flat = ids_.dim() == 1 ? ids_ : std::get<0>(ids_.mode(1));
      for (size_t i = 0; i < indices_.size(); ++i)
        out << indices_[i] << "," << flat[static_cast<int64_t>(i)].item<int64_t>() << "\n";
    });
    page_.paragraph(
        "ids.safetensors and ids.csv beside this page hold the assignments (of a patch-level run, the csv "
        "holds each image's most frequent cluster).");
  }

  // Decoded latents are large enough as they are.
  int64_t scale() const {
    return to_images_ ? 1 : std::max<int64_t>(1, evaluate::picture_scale(config_.data.size) / 2);
  }

  const Arguments& arguments_;
  checkpoint::Trained trained_;
  at::Device device_;
  const recipe::RunConfig& config_;
  data::OpenedData opened_;
  latents::ToImages to_images_;
  data::Dataset dataset_;
  std::vector<int64_t> indices_;
  report::HtmlPage page_;
  Tensor ids_, rows_;  // clusters of indices_, and what the network is told of each: that, or a row of a file
  int64_t clusters_ = 0;
  std::vector<int64_t> order_, counts_;
};

int execute(const Arguments& arguments, const CLI::App& app) {
  const auto device = parse_device(arguments.source.device);
  auto trained = load(arguments.source, device);
  SDG_CHECK_USAGE(!trained.info.converted, trained.path, ": a converted checkpoint knows no data set to show");
  if (network::patch_level(trained.info.config))
    refuse(app, {"--per-cluster"}, "a patch-level run is shown by images and their maps");
  const fs::path folder = arguments.out.empty() ? checkpoint::RunFolder::of_checkpoint(trained.path).root() / "clusters"
                                                : fs::path(arguments.out);
  const io::FolderLock lock(folder, "sdg clusters");
  Report(arguments, std::move(trained), device).write(folder);
  say(cat("wrote ", (folder / "index.html").string(), ", ids.safetensors and ids.csv"));
  return 0;
}

}  // namespace

Command clusters_command() {
  return {
      "clusters", "A page about a run's clusters: sizes, members beside drawn images, churn, memorisation.", kExamples,
      [](CLI::App& app) {
        auto arguments = std::make_shared<Arguments>();
        declare_source(app, arguments->source.run, arguments->source.checkpoint, "look at");
        app.add_option("--out", arguments->out, "folder of the page; default: clusters/ in the run")->type_name("DIR");
        declare(app, "--images", arguments->images, declared("eval.cluster_images"), "5000 unless given.");
        const auto number = [&](const char* flag, int64_t& target, const char* help, double min = 1) {
          declare(app, flag, target, own<int64_t>({.help = help, .min = min, .max = 1 << 20}));
        };
        number("--shown", arguments->shown, "clusters to show; of patch-level runs, images; 24 unless given");
        number("--per-cluster", arguments->per_cluster, "members and drawn images a cluster; 8 unless given");
        number("--told", arguments->told,
               "images at which the network is asked what their conditions tell it; 1000 unless given", 2);
        number("--generated", arguments->generated, "images compared with the training images; 64 unless given");
        app.add_option("--autoencoder", arguments->source.autoencoder,
                       "runs trained on latents: what decodes them; default: what made them")
            ->type_name("FILES");
        declare_device(app, arguments->source.device);
        return [arguments, &app] { return execute(*arguments, app); };
      }};
}

}  // namespace sdg::cli
