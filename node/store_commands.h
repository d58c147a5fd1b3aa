#pragma once
// Edge: what the command line does to data directories: backup, restore, verify. See README.md,
// "Copies of a data directory".

#include <functional>
#include <string>

#include "node/command.h"

namespace holdfast::node {

using ShowProgress = std::function<void(const std::string&)>;

// Every row that the node of `data_dir` has, durably, into one file; also while the node runs.
// `to`: a file that does not exist, or a directory, in which it is named after replica and time.
StoreReport backup(const std::string& data_dir, const std::string& to, const ShowProgress& show);

// Makes `data_dir`, which must be absent or empty, the directory of a new replica, with all rows of
// the backup as rows of their origins, and no rights.
StoreReport restore(const std::string& from, const std::string& data_dir, const ShowProgress& show);

// Computes every total of a data directory again (audit.h); also while the node runs.
StoreReport verify(const std::string& data_dir, const ShowProgress& show);

}  // namespace holdfast::node
