#include <cstdio>

#include "cli/command.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "io/json_impl.h"
#include "sdg/checkpoint/audit.h"
#include "sdg/checkpoint/run_folder.h"
#include "sdg/core/error.h"

namespace sdg::cli {
namespace {

struct Arguments {
  std::string run, checkpoint;
  bool json = false;
};

constexpr const char* kExamples =
    "  sdg audit                                        could labels have reached the newest run?\n"
    "  sdg audit --checkpoint converted.safetensors --json\n";

int execute(const Arguments& arguments) {
  const auto path = checkpoint::find_checkpoint(arguments.run, arguments.checkpoint);
  const auto info = checkpoint::parse_info(tensors::read_tensors(path), path.string());
  const auto found = checkpoint::audit(info);
  const auto verdict = to_text(found.label_free);
  if (arguments.json) {
    const auto stages = nlohmann::ordered_json::parse(to_json(checkpoint::provenance_of(info)));
    auto out = io::in_utf8(nlohmann::ordered_json{{"checkpoint", path.string()},
                                                  {"label_free", verdict},
                                                  {"reasons", found.reasons},
                                                  {"stages", nullptr},
                                                  {"data", info.data},
                                                  {"step", info.step}});
    out["stages"] = stages;  // in UTF-8 already
    std::printf("%s\n", out.dump().c_str());
    return 0;
  }
  std::printf("%s\nlabel-free: %s\n", path.string().c_str(), verdict.c_str());
  for (const auto& reason : found.reasons) std::printf("- %s\n", reason.c_str());
  std::printf("data: %s\n", info.data.c_str());
  return 0;
}

}  // namespace

Command audit_command() {
  return {"audit", "Could labels have reached a checkpoint? Yes or no, and why.", kExamples, [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            declare_source(app, arguments->run, arguments->checkpoint, "audit");
            app.add_flag("--json", arguments->json, "print one JSON object on standard output and nothing else there");
            return [arguments] { return execute(*arguments); };
          }};
}

}  // namespace sdg::cli
