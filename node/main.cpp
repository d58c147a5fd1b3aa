// The binary: the command line, with `serve` bound to a real node, and the simulator's commands.
#include "api/cli.h"
#include "node/serve.h"
#include "node/store_commands.h"
#include "sim/cli.h"

int main(int argc, char** argv) {
  return holdfast::api::run_cli(argc, argv,
                                {.serve = holdfast::node::serve,
                                 .backup = holdfast::node::backup,
                                 .restore = holdfast::node::restore,
                                 .verify = holdfast::node::verify,
                                 .add_commands = holdfast::sim::add_sim,
                                 .version = HOLDFAST_VERSION});
}
