#pragma once
// The cluster that a drill is run on: one that it starts, or one that is given.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/cli_calls.h"
#include "api/cli_drill.h"

namespace holdfast::api {

struct DrillNode {
  std::string name, region, replica;
  HttpUrl url;
};

// Main thread: it starts and ends processes.
class DrillCluster {
 public:
  // Starts the cluster, or asks the given node for it. Errors: kInvalidArgument (the options do not
  // fit together), or as LocalCluster's.
  absl::Status open(const DrillOptions& options, StopSignals& signals);
  // Ends what open() started; false if a node did not end cleanly. Removes temporary data if
  // `tidy`.
  bool close(bool tidy);

  const std::vector<DrillNode>& nodes() const { return nodes_; }
  std::vector<std::string> regions() const;  // in order
  // A node of another region, that issues the decree.
  const DrillNode& issuer(const std::string& lost) const;
  std::vector<std::string> names() const;

  // Where the data of the nodes that open() started is left after close(); else empty.
  const std::string& kept() const { return kept_; }

  absl::Status lose(const std::string& region, bool kill);
  absl::Status bring_back(const std::string& region, bool kill, const StopSignals& signals);

 private:
  absl::Status look(HttpClient& client);

  LocalCluster local_;
  std::vector<DrillNode> nodes_;
  std::vector<SeenNode> seen_;
  std::string temporary_, kept_;
  bool own_ = false;
};

}  // namespace holdfast::api
