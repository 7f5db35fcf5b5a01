#include <filesystem>

#include "cli/command.h"
#include "cli/terminal.h"
#include "sdg/checkpoint/audit.h"
#include "sdg/checkpoint/run_folder.h"
#include "sdg/convert/convert.h"
#include "sdg/convert/told_form.h"
#include "sdg/core/error.h"
#include "sdg/tensors/torch_file.h"

namespace sdg::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string in, out, entry, family, to = "sdg";
  std::vector<std::string> set;
};

constexpr const char* kExamples =
    "  sdg convert SiT-XL-2-256x256.pt sit.safetensors --as sit     then: sdg sample --checkpoint sit.safetensors\n"
    "  sdg convert old.pth big.safetensors --set data.size=64       position embeddings for another size\n"
    "  sdg convert runs/digits digits.pt --to public --entry ema\n";

int to_public(const Arguments& arguments, const tensors::Weights& weights) {
  SDG_CHECK_USAGE(arguments.set.empty() && arguments.family.empty(),
                  "--set and --as describe a network: they do not go with --to public");
  const auto extension = fs::path(arguments.out).extension();
  const bool torch = extension == ".pt" || extension == ".pth";
  SDG_CHECK_USAGE(torch || extension == ".safetensors",
                  "the name of a public file ends in .pt, .pth or .safetensors, got ", arguments.out);
  std::map<std::string, std::string> notes;
  const auto chain = checkpoint::provenance_of(weights.metadata, arguments.in);
  if (!chain.empty()) notes[checkpoint::kProvenanceKey] = to_json(chain);
  if (const auto told = convert::told_in(weights, arguments.in)) {
    notes[convert::kToldKey] = convert::told_text(*told);
    if (!convert::is_told_as_public(*told))
      warn(
          cat("sgfm's own code tells prototypes at length 1 and has a null token of its own; this network was trained "
              "with ",
              convert::told_text(*told), ", which stands in the file and sdg convert goes by"));
  }
  if (torch) {
    tensors::write_torch(arguments.out, weights.tensors, notes);
  } else {
    notes["format"] = "pt";
    tensors::write_tensors(arguments.out, {weights.tensors, notes});
  }
  say(cat("wrote ", weights.tensors.size(), " tensors to ", arguments.out));
  return 0;
}

int execute(const Arguments& arguments) {
  const bool folder = std::filesystem::is_directory(arguments.in) && arguments.to == "public";
  const auto in = folder ? checkpoint::find_checkpoint(arguments.in, "").string() : arguments.in;
  const auto weights = tensors::read_weights(in, arguments.entry);
  say(cat(in, ": ", weights.format, weights.entry.empty() ? "" : ", entry " + weights.entry));
  if (arguments.to == "public") {
    for (const auto& note : weights.notes) say(note);
    if (const auto also = tensors::also_holds(weights); !also.empty()) say(also + "; --entry takes another");
    return to_public(arguments, weights);
  }
  if (weights.metadata.contains("config") && weights.metadata.contains("step"))
    say(cat(in, ": is a checkpoint of sdg already; sdg sample --checkpoint draws from it as it is"));
  const auto converted =
      convert::convert_public(weights, arguments.in, {.family = arguments.family, .overrides = arguments.set});
  for (const auto& note : converted.notes) warn(note);
  tensors::write_tensors(arguments.out, converted.file);
  say(cat("wrote ", converted.network.options.name, ", ", converted.tensors, " tensors, to ", arguments.out));
  return 0;
}

}  // namespace

Command convert_command() {
  return {"convert", "Public weights to a checkpoint to draw from, and back.", kExamples, [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            app.add_option("in", arguments->in,
                           "file of weights, of any kind that `sdg inspect` reads; with --to public also a run")
                ->required()
                ->type_name("IN");
            app.add_option("out", arguments->out, "file to write")->required()->type_name("OUT");
            app.add_option("--entry", arguments->entry,
                           "part of the file; default: an average (ema), else model or state_dict, else all")
                ->type_name("NAME");
            app.add_option("--as", arguments->family, "decide between networks with the same tensors: dit or sit")
                ->type_name("FAMILY");
            app.add_option("--set", arguments->set, "override one option of the configuration (repeatable)")
                ->type_name("KEY=VALUE")
                ->expected(1)
                ->take_all();
            app.add_option("--to", arguments->to,
                           "sdg: a checkpoint of this program; public: bare tensors under public names, as .pt or "
                           ".safetensors")
                ->check(CLI::IsMember({"sdg", "public"}));
            return [arguments] { return execute(*arguments); };
          }};
}

}  // namespace sdg::cli
