#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "sdg/config/names.h"

/// Each option is declared once, in the `visit` of its options struct. YAML, `--set`, `--help`, validation and
/// docs/config.md all come from that declaration; the default is the member's initial value.
///
///     struct TrainOptions {
///       int64_t steps = 1500;
///       void visit(config::Fields& fields) {
///         fields("steps", steps, {.help = "Optimizer steps.", .unit = "steps", .min = 1});
///       }
///     };
namespace sdg::config {

/// May an option differ when a run goes on?
enum class Resume {
  kFixed,  ///< no: what is stored would mean something else
  kSaid,   ///< yes, and the run says and remembers at which step: it changes what is learned
  kFree,   ///< yes: it changes where and how things are done, not what is learned
};

/// What a person needs to know of one option.
struct Doc {
  std::string help;    ///< one or two sentences: what it does, what happens when it is changed
  std::string unit{};  ///< "steps", "images", "fraction", …; empty where there is none
  double min = -std::numeric_limits<double>::infinity();  ///< smallest accepted number
  double max = std::numeric_limits<double>::infinity();   ///< largest accepted number
  std::vector<std::string> choices{};  ///< the accepted strings; empty accepts any. An enum's are its names
  Resume resume = Resume::kFixed;      ///< may it change when a run goes on
  std::string instead{};    ///< kFixed: what to do instead, as the end of an error message; empty says the usual
  bool only_speed = false;  ///< it changes how fast things are done, not what comes out
  bool later = false;  ///< declared after settings had begun to be known by their digests: its default is what was done
                       ///< before, and leaves them as they were
};

using Slot = std::variant<bool*, int64_t*, double*, std::string*, std::vector<int64_t>*, NamedSlot>;
/// What a slot holds, in the same order; of an enum the name.
using Value = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>>;

/// One declared option, bound to the struct that was visited.
struct Field {
  std::string path;  ///< "train.steps"
  Slot slot;
  Doc doc;
  Value initial;  ///< the slot's value when it was declared: the default, where the struct was fresh
};

/// A group of options and what it is about ("train", "How long and how fast to train").
struct Group {
  std::string path;
  std::string help;
};

/// Collects the fields of a struct; the struct must outlive it.
class Fields {
 public:
  template <class Options>
  static Fields of(Options& options) {
    Fields fields;
    options.visit(fields);
    return fields;
  }

  /// Declares one option of the struct being visited. `name` is of a-z, 0-9 and _. Throws Error where the path is
  /// declared already or is `extends`, which configs use for themselves.
  void operator()(std::string_view name, Slot slot, Doc doc);
  template <class T>
    requires std::is_constructible_v<Slot, T*>
  void operator()(std::string_view name, T& option, Doc doc) {
    (*this)(name, Slot(&option), std::move(doc));
  }

  /// Declares a struct of options below `name`; names as above. A group may be declared in several parts: the first
  /// help counts.
  template <class Options>
  void group(std::string_view name, Options& options, std::string help) {
    const std::string outer = prefix_;
    enter(name, std::move(help));
    options.visit(*this);
    prefix_ = outer;
  }

  // Of a temporary by value: a range-for over a part of it would outlive it.
  const std::vector<Field>& list() const& { return fields_; }
  std::vector<Field> list() && { return std::move(fields_); }
  const std::vector<Group>& groups() const& { return groups_; }
  std::vector<Group> groups() && { return std::move(groups_); }
  /// The field of that path, or nullptr.
  const Field* find(std::string_view path) const;
  /// The group of that path, or nullptr.
  const Group* find_group(std::string_view path) const;

 private:
  void enter(std::string_view name, std::string help);
  std::string join(std::string_view name) const;

  std::string prefix_;
  std::vector<Field> fields_;
  std::vector<Group> groups_;
};

}  // namespace sdg::config
