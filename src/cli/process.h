#pragma once

/// How the program meets its surroundings: signals, closed streams, a pipe that nobody reads any more.
namespace sdg::cli {

/// Call first. Standard streams that are closed are opened on /dev/null, so that no file of ours gets their number and
/// with it their text. A reader that goes away (SIGPIPE) and a file that may grow no further (SIGXFSZ) are errors of
/// the write instead of the program's end. HUP, INT, TERM, USR1, USR2 and XCPU end the program with 128 + number and
/// remove the files that are being written beside their final names; under nohup HUP is ignored. A mapped file that is
/// shortened in use ends it with a line that names the file. Up to 64 MiB of freed memory stay with the process.
void prepare_process();

/// From now on the first of those signals only sets a flag, because the command has something to save. More of them
/// change nothing (`timeout` and job managers often send two), but Ctrl-C pressed again half a second later ends the
/// program at once: what was saved before stays whole. QUIT always ends it at once.
void catch_signals();
/// The signal that came, or 0.
int caught_signal();
/// "Ctrl-C", "SIGTERM", …
const char* signal_name(int number);

/// Flushes standard output; `code`, or 141 (as for every program in a pipe) where its reader has gone, or 1 with an
/// error line where what was printed could not be written.
int finish_output(int code);

}  // namespace sdg::cli
