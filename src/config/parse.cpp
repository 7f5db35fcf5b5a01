#include <yaml-cpp/eventhandler.h>

#include <sstream>

#include "parse_impl.h"

namespace sdg::config {
namespace {

// Keeps where the latest document starts, and nothing of its content.
class DocumentStarts : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark& mark) override { latest = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

  YAML::Mark latest;
};

}  // namespace

YAML::Node parse_document(const std::string& text) {
  // YAML::Load stops after the first document without a word, and YAML::LoadAll of yaml-cpp 0.7 never ends on a stray
  // "]".
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentStarts starts;
  if (!parser.HandleNextDocument(starts)) return {};
  if (parser.HandleNextDocument(starts)) {
    throw YAML::ParserException(starts.latest, "expected one document, got more after its end");
  }
  return YAML::Load(text);
}

}  // namespace sdg::config
