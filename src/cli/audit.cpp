#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/terminal.h"
#include "sdg/core/error.h"
#include "sdg/train/audit.h"
#include "sdg/train/run_folder.h"

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
  const auto path = train::find_checkpoint(arguments.run, arguments.checkpoint);
  const auto info = train::parse_info(io::read_tensors(path), path.string());
  const auto found = train::audit(info);
  const auto verdict = train::to_text(found.label_free);
  if (arguments.json) {
    const auto stages = nlohmann::ordered_json::parse(train::to_json(train::provenance_of(info)));
    const nlohmann::ordered_json out{{"checkpoint", path.string()}, {"label_free", verdict},
                                     {"reasons", found.reasons},    {"stages", stages},
                                     {"data", info.data},           {"step", info.step}};
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
            app.add_option("run,--run", arguments->run, "the run; default: the newest under runs/")->type_name("DIR");
            app.add_option("--checkpoint", arguments->checkpoint, "this checkpoint instead")->type_name("FILE");
            app.add_flag("--json", arguments->json, "print one JSON object on standard output and nothing else there");
            return [arguments] { return execute(*arguments); };
          }};
}

}  // namespace sdg::cli
