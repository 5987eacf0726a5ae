#include "cli/program.h"

int main(int argc, char** argv) {
  mistral::cli::prepare_process();
  return mistral::cli::run_server_program(argc, argv);
}
