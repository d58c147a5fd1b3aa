// The binary: the command line, with `serve` bound to a real node.
#include "api/cli.h"
#include "node/serve.h"

int main(int argc, char** argv) {
  return holdfast::api::run_cli(argc, argv,
                                {.serve = holdfast::node::serve, .version = HOLDFAST_VERSION});
}
