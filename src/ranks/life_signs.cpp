#include "ranks/life_signs.h"

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "sdg/core/error.h"
#include "sdg/ranks/ranks.h"

namespace sdg::ranks {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kBeat(500), kAnswer(1500);

std::string key(const char* what, int64_t number) {
  return cat(what, "/", number);
}

std::string to_text(const std::vector<uint8_t>& bytes) {
  return {bytes.begin(), bytes.end()};
}

std::string place_in(const std::string& sign) {
  const auto space = sign.find(' ');
  return space == std::string::npos ? std::string() : sign.substr(space + 1);
}

}  // namespace

std::optional<std::string> answer_within(milliseconds time, std::function<std::string()> ask) {
  auto promise = std::make_shared<std::promise<std::optional<std::string>>>();
  auto answer = promise->get_future();
  std::thread([promise, ask = std::move(ask)] {
    try {
      promise->set_value(ask());
    } catch (const std::exception&) {
      promise->set_value(std::nullopt);
    }
  }).detach();
  if (answer.wait_for(time) != std::future_status::ready) return std::nullopt;
  return answer.get();
}

struct LifeSigns::State {
  c10::intrusive_ptr<c10d::Store> signs, questions;
  int64_t rank, ranks;
  milliseconds patience;
  std::mutex mutex;
  std::condition_variable changed;
  std::string place = "the start";
  bool stop = false, ended = false;
  int64_t beats = 0;

  void beat() {
    std::string sign;
    {
      const std::lock_guard lock(mutex);
      sign = cat(++beats, " ", place);
    }
    signs->set(key("sign", rank), sign);
  }

  void serve() {
    try {
      std::unique_lock lock(mutex);
      // Of many ranks the store must answer many.
      while (!changed.wait_for(lock, kBeat * (1 + ranks / 256), [&] { return stop; })) {
        lock.unlock();
        beat();
        lock.lock();
      }
      lock.unlock();
      signs->set(key("left", rank), std::string("1"));
    } catch (const std::exception&) {  // the store has gone: calls with other ranks will tell
    }
    const std::lock_guard lock(mutex);
    ended = true;
    changed.notify_all();
  }

  std::string sign_of(int64_t other) const {
    const auto name = key("sign", other);
    return questions->check({name}) ? to_text(questions->get(name)) : std::string();
  }

  std::string all_signs() const {
    std::string out;
    for (int64_t i = 0; i < ranks; ++i) out += sign_of(i) + "\n";
    return out;
  }

  // What another rank has found, or "rank 3 failed: ...", or nothing.
  std::string failures() const {
    if (questions->check({"verdict"})) return to_text(questions->get("verdict"));
    for (int64_t i = 0; i < ranks; ++i) {
      if (i != rank && questions->check({key("failed", i)}))
        return cat("rank ", i, " failed: ", to_text(questions->get(key("failed", i))));
    }
    return {};
  }
};

LifeSigns::LifeSigns(c10::intrusive_ptr<c10d::Store> signs, c10::intrusive_ptr<c10d::Store> questions, int64_t rank,
                     int64_t ranks, milliseconds patience)
    : state_(std::make_shared<State>()) {
  state_->signs = std::move(signs);
  state_->questions = std::move(questions);
  state_->rank = rank;
  state_->ranks = ranks;
  state_->patience = patience;
  state_->beat();
  std::thread([state = state_] { state->serve(); }).detach();  // it may hang in a store that does not answer
}

LifeSigns::~LifeSigns() {
  auto& state = *state_;
  std::unique_lock lock(state.mutex);
  state.stop = true;
  state.changed.notify_all();
  state.changed.wait_for(lock, kAnswer, [&] { return state.ended; });
  lock.unlock();
  if (state.rank == 0) see_others_off();
}

void LifeSigns::see_others_off() {
  answer_within(kAnswer * 2, [state = state_] {
    for (int64_t i = 1; i < state->ranks; ++i) {
      while (!state->questions->check({key("left", i)})) std::this_thread::sleep_for(milliseconds(10));
    }
    return std::string();
  });
}

void LifeSigns::conclude(const std::string& verdict, const std::function<void()>& disconnect) {
  answer_within(kAnswer, [state = state_, verdict] {
    if (!state->questions->check({"verdict"})) state->questions->set("verdict", verdict);
    state->questions->set(key("left", state->rank), std::string("1"));
    return std::string();
  });
  answer_within(kAnswer, [disconnect] {
    disconnect();
    return std::string();
  });
  if (state_->rank == 0) see_others_off();
}

void LifeSigns::at(const std::string& place) {
  const std::lock_guard lock(state_->mutex);
  state_->place = place;
}

std::string LifeSigns::place() const {
  const std::lock_guard lock(state_->mutex);
  return state_->place;
}

void LifeSigns::failed(const std::string& why) {
  answer_within(kAnswer, [state = state_, why] {
    state->questions->set(key("failed", state->rank), why);
    return std::string();
  });
}

std::optional<LifeSigns::Diagnosis> LifeSigns::diagnose() {
  const auto ask = [&](std::string (State::*question)() const) {
    return answer_within(kAnswer, [state = state_, question] { return ((*state).*question)(); });
  };
  const auto split = [](const std::string& text) {
    std::vector<std::string> lines;
    for (size_t begin = 0; begin < text.size();) {
      const auto end = text.find('\n', begin);
      lines.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    return lines;
  };
  const auto failed = ask(&State::failures);
  const auto before = ask(&State::all_signs);
  if (failed && !failed->empty()) return Diagnosis{*failed, false};
  std::this_thread::sleep_for(kBeat * 3);
  const auto after = ask(&State::all_signs);
  // Rank 0's process usually holds the store.
  if (!before || !after) return Diagnosis{"rank 0 has ended or does not answer", true};
  const auto first = split(*before), second = split(*after);
  const auto own = place();
  std::string lost, elsewhere;
  bool first_gone = false;
  for (size_t i = 0; i < first.size(); ++i) {
    if (static_cast<int64_t>(i) == state_->rank) continue;
    auto& text = first[i] == second[i] ? lost : elsewhere;
    if (second[i].empty()) {
      text += cat(text.empty() ? "" : "; ", "rank ", i, " has not come");
    } else if (first[i] == second[i]) {
      first_gone |= i == 0;
      text += cat(text.empty() ? "" : "; ", "rank ", i, " gives no sign of life any more; it was last at ",
                  place_in(second[i]));
    } else if (place_in(second[i]) != own) {
      text += cat(text.empty() ? "" : "; ", "rank ", i, " is still at ", place_in(second[i]));
    }
  }
  if (!lost.empty()) return Diagnosis{lost, first_gone};
  if (!elsewhere.empty()) return Diagnosis{elsewhere, false};
  return std::nullopt;
}

void LifeSigns::come(int64_t meeting) {
  state_->questions->set(key("come", meeting), std::string("1"));
}

void LifeSigns::wait(int64_t meeting) {
  std::string last;
  auto alive = Clock::now();
  for (milliseconds pause(1);; pause = std::min(pause * 2, milliseconds(200))) {
    const auto answer = answer_within(kAnswer * 2, [state = state_, meeting]() -> std::string {
      if (state->questions->check({key("come", meeting)})) return "come";
      const auto failure = state->failures();
      return failure.empty() ? state->sign_of(0) : "failed " + failure;
    });
    if (answer && *answer == "come") return;
    if (answer && answer->rfind("failed ", 0) == 0) throw RankError(answer->substr(7));
    if (answer && *answer != last) {
      last = *answer;
      alive = Clock::now();
    }
    if (!answer || Clock::now() - alive > state_->patience) {
      throw FirstRankLost(cat("rank ", state_->rank, " of ", state_->ranks, ", at ", place(), ": rank 0 has ended or ",
                              "gives no sign of life any more; it was last at ", place_in(last)));
    }
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace sdg::ranks
