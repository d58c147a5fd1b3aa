#pragma once
// serve: puts one node together from its parts, runs it until SIGINT or SIGTERM, takes it apart.

#include <string>
#include <vector>

namespace holdfast::node {

// Exit status: 0 stopped as asked; 1 could not start, or had to stop (the reason is in the log).
int serve(const std::string& config_path, const std::vector<std::string>& overrides);

}  // namespace holdfast::node
