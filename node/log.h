#pragma once
// The log: lines on stderr, one an event, e.g.
//   2026-01-31T12:00:00.123Z info listening on 127.0.0.1:8080
// Control characters in a message (a peer's words, a path) are written as \xNN, so an event can
// never forge another's line.

#include <string>

#include "absl/status/status.h"

namespace holdfast::node {

// Sets up spdlog's default logger. Call once, before other threads log.
// `level` is one of trace, debug, info, warn, error; another one is kInvalidArgument and changes
// nothing.
absl::Status set_up_log(const std::string& level);

}  // namespace holdfast::node
