#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

/// Where weights, pseudo-labels, features and latents come from, stage by stage. Every file that is written carries its
/// chain, and what is made from a file takes over that file's chain: what once depended on labels stays so.
namespace sdg::checkpoint {

/// Is something free of labels?
enum class Verdict { kYes, kNo, kUnknown };

/// "yes", "no", "unknown"; anything else reads as unknown.
std::string to_text(Verdict verdict);
Verdict parse_verdict(const std::string& text);

/// Of two things that both went in: no before unknown before yes.
Verdict worse(Verdict a, Verdict b);

struct Stage {
  std::string what;  ///< one sentence: "the condition was the label of each image (condition.source label)"
  Verdict label_free = Verdict::kUnknown;
  std::string of{};             ///< "" for the file's own making; else what it took over: "initial weights a.st"
  std::string key{};            ///< digest of the condition indices, where they were given
  int64_t first = 0, last = 0;  ///< steps done before and after it; equal where it trained nothing
  bool operator==(const Stage&) const = default;
};

class Provenance {
 public:
  /// Nothing is known of something that says nothing.
  bool empty() const { return stages_.empty(); }
  Verdict verdict() const;
  const std::vector<Stage>& stages() const { return stages_; }

  /// A stage that is there already is not added again.
  void add(Stage stage);
  /// Takes over the chain of `other`, which went into this as `role` ("initial weights a.safetensors").
  void inherit(const Provenance& other, const std::string& role);
  /// Steps from `first` to `last` done as `stage` says: lengthens the last training stage where it is the same one.
  void trained(Stage stage, int64_t first, int64_t last);

 private:
  std::vector<Stage> stages_;
};

/// "steps 0 to 500: conditions were …", "initial weights a.safetensors: …"
std::string to_text(const Stage& stage);

/// Metadata key of files under which chains are kept, as JSON.
inline constexpr const char* kProvenanceKey = "sdg_provenance";
std::string to_json(const Provenance& provenance);
/// Empty where there is no entry, or an empty one. Throws Error, beginning with `where`, for a malformed one.
Provenance parse_provenance(const std::map<std::string, std::string>& metadata, const std::string& where);

}  // namespace sdg::checkpoint
