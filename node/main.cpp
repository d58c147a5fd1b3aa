// The binary: the command line, with `serve` bound to a real node, and the simulator's commands.
#include "api/cli.h"
#include "node/serve.h"
#include "node/store_commands.h"
#include "sim/cli.h"

// jemalloc reads it. A node's memory is millions of small rows: with pages of 2 MiB a tenth less of
// its CPU goes to finding them.
extern "C" {
const char* malloc_conf = "thp:always,metadata_thp:auto";
}

int main(int argc, char** argv) {
  return holdfast::api::run_cli(argc, argv,
                                {.serve = holdfast::node::serve,
                                 .backup = holdfast::node::backup,
                                 .restore = holdfast::node::restore,
                                 .verify = holdfast::node::verify,
                                 .add_commands = holdfast::sim::add_sim,
                                 .version = HOLDFAST_VERSION});
}
