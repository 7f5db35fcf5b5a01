#include "sdg/cli/app.h"

int main(int argc, char** argv) {
  return sdg::cli::run(argc, argv);
}
