#pragma once
#include "cli/reference.h"
#include "cli/sampling.h"

/// What `eval-fid` and `eval` share: what is measured and to what it is compared.
namespace sdg::cli {

struct MeasuredArguments {
  SamplingArguments sampling;
  ReferenceArguments reference;
  std::string images;  ///< to be measured instead of drawing some
};

/// Declares the options of drawing, --images and those of the reference.
void declare_measured(CLI::App& app, MeasuredArguments& arguments);

/// Throws UsageError for options that would be without effect.
void check_measured(const MeasuredArguments& arguments, const CLI::App& app);

/// The run that the arguments name, or need because they name no images; else nothing.
std::optional<checkpoint::Trained> run_of(const MeasuredArguments& arguments, const CLI::App& app,
                                          const at::Device& device);

}  // namespace sdg::cli
