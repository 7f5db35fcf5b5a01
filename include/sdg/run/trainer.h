#pragma once
#include <functional>
#include <optional>
#include <string>

#include "sdg/checkpoint/run_folder.h"
#include "sdg/core/reducer.h"
#include "sdg/learn/learner.h"

namespace sdg::run {

/// A distance of drawn images to the reference, measured while training (eval.every).
struct Measured {
  std::string name;  ///< "FD-digits", as of the extractor
  double value = 0;
  int64_t step = 0;
  bool lowest = false;  ///< so far: its checkpoint is kept
};

/// What an onlooker learns after each step.
struct StepReport {
  int64_t step = 0;   ///< steps done
  int64_t steps = 0;  ///< of how many
  learn::StepResult result;
  bool read = true;        ///< are its figures there? Else using them waits for the device, and the two below are older
  double smooth_loss = 0;  ///< running mean of the flow loss
  double images_per_second = 0;      ///< of the last steps, pictures, checkpoints and measurements left out
  std::optional<Measured> measured;  ///< the last one of this process
};

/// Callbacks of a run; each may be empty.
struct Observer {
  std::function<void(const std::string&)> on_start;  ///< one line: what is trained, from which step
  std::function<void(const StepReport&)> on_step;
  std::function<void(const std::string&)> on_event;  ///< one line: pictures and checkpoints written, cluster scores
  std::function<bool()> stop;                        ///< asked after each step: true ends the run with a checkpoint
};

struct Outcome {
  int64_t step = 0;
  bool finished = false;  ///< false: stopped on request
  bool resumed = false;
  bool idle = false;  ///< the run had reached its end before: nothing was done or written
  std::filesystem::path checkpoint;
};

/// Trains `config` in `folder`, which no other process may do meanwhile (io/folder_lock.h). A folder that holds a
/// checkpoint is gone on with from the newest sound one (checkpoint/recovery.h says what happens to damaged ones), and
/// the run that was stopped equals the one that never was, bit for bit on the CPU. Options that differ are taken as
/// their declarations allow, with a line of what changed after which step; throws UsageError for those that may not. A
/// picture or row of the last checkpoint that is missing is made up for; a finished run is left alone.
///
/// Over ranks all call this with the same configuration, and each trains with its share of every batch
/// (learn/own_images.h): the run equals that of one rank, also where it goes on with another number of ranks. Only rank
/// 0 writes, into a folder that all must see, and should have callbacks; `stop` of any rank stops all. Throws
/// UsageError on all ranks where configurations, versions or data differ.
Outcome train(const recipe::RunConfig& config, const checkpoint::RunFolder& folder, const Observer& observer,
              Reducer& reducer = Reducer::local());

}  // namespace sdg::run
