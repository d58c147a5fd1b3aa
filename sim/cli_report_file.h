#pragma once
// Edge: the HTML page of a report on disk: whole or not at all, and never over what was read.

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace holdfast::sim {

// Before the work, so that nothing is simulated for a report that cannot be written. `inputs`: the
// files that were read for it; their names may be empty. Nothing is left behind, and an existing
// file is as it was.
// Errors: kInvalidArgument: `path` is one of the inputs (be it by a link), or cannot be written.
absl::Status check_report_path(const std::string& path, const std::vector<std::string>& inputs);

// Writes `page` to a temporary file beside `path` and renames it. What is no file of its own (a
// device, a pipe) or lies in a folder that takes no new file is written in place. A link stays a
// link.
// Errors: kUnavailable; what was at `path` is still there.
absl::Status write_report(const std::string& path, std::string_view page);

}  // namespace holdfast::sim
