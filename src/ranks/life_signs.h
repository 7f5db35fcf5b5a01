#pragma once
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace sdg::ranks {

/// Runs `ask`, which may block for ever where who should answer is stopped, on a thread of its own: its answer, or
/// nothing where there is none in time or it threw.
std::optional<std::string> answer_within(std::chrono::milliseconds time, std::function<std::string()> ask);

/// Each rank writes into the common store, twice a second and from a thread of its own, that it lives and where it is.
/// So who waits in vain can say for whom.
class LifeSigns {
 public:
  /// `store`: connections of this object's own, for the thread and for questions.
  LifeSigns(c10::intrusive_ptr<c10d::Store> signs, c10::intrusive_ptr<c10d::Store> questions, int64_t rank,
            int64_t ranks, std::chrono::milliseconds patience);
  /// Says goodbye; rank 0, whose process may hold the store, waits a little for the others to have done so.
  ~LifeSigns();
  LifeSigns(const LifeSigns&) = delete;
  LifeSigns& operator=(const LifeSigns&) = delete;

  /// Where this rank is: "step 12".
  void at(const std::string& place);
  std::string place() const;
  /// Tells the others why this rank is about to end.
  void failed(const std::string& why);

  struct Diagnosis {
    std::string text;         ///< "rank 1 gives no sign of life any more; it was last at step 12"
    bool first_gone = false;  ///< it is rank 0 that is lost, so that others must speak
  };
  /// Why a call with all ranks failed; takes about 2 s. Nothing where every rank lives and is where this one is.
  std::optional<Diagnosis> diagnose();
  /// After which nothing goes on: the others are told what was found, then let go by `disconnect`, and rank 0, whose
  /// process may hold the store, waits a little until they have asked.
  void conclude(const std::string& verdict, const std::function<void()>& disconnect);

  /// Rank 0 calls come(n), and wait(n) returns on the others; it throws RankError where rank 0 gives no sign of life
  /// for as long as patience lasts.
  void come(int64_t meeting);
  void wait(int64_t meeting);

 private:
  void see_others_off();

  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace sdg::ranks
