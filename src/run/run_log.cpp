#include "run/run_log.h"

namespace sdg::run {

RunLog::RunLog(const checkpoint::RunFolder& folder, int64_t step)
    : lines_(folder.metrics(), step), events_(folder.tensorboard(), step) {}

void RunLog::write(const StepReport& report) {
  io::Row row{{"loss", report.result.flow_loss},
              {"smooth_loss", report.smooth_loss},
              {"grad_norm", report.result.grad_norm},
              {"lr", report.result.lr},
              {"conditioned", report.result.conditioned ? 1.0 : 0.0}};
  if (report.result.sinkhorn) {
    row.emplace_back("cluster_loss", report.result.cluster_loss);
    row.emplace_back("used_clusters", static_cast<double>(report.result.sinkhorn->used_clusters));
    row.emplace_back("cluster_entropy", report.result.sinkhorn->entropy);
    row.emplace_back("marginal_error", report.result.sinkhorn->marginal_error);
  }
  if (report.result.inner_loss != 0) row.emplace_back("inner_loss", report.result.inner_loss);
  if (report.result.dispersive_loss != 0) row.emplace_back("dispersive_loss", report.result.dispersive_loss);
  if (report.result.alignment_loss != 0) row.emplace_back("alignment_loss", report.result.alignment_loss);
  if (report.result.agreement >= 0) row.emplace_back("agreement", report.result.agreement);
  row.emplace_back("images_per_second", report.images_per_second);
  write(report.step, row, "train/");
}

void RunLog::write(int64_t step, const io::Row& row, const std::string& tag) {
  // The lines last: by them a resumed run knows whether a row is there.
  for (const auto& [name, value] : row) events_.scalar(tag + name, value, step);
  events_.flush();
  lines_.write(step, row);
}

void RunLog::picture(const std::string& tag, const Tensor& image, int64_t step) {
  events_.image(tag, image, step);
  events_.flush();
}

}  // namespace sdg::run
