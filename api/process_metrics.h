#pragma once
// Edge: what the system says of this process, as the Prometheus client libraries name it
// (process_cpu_seconds_total, process_resident_memory_bytes, …), in text format 0.0.4.

#include <string>

namespace holdfast::api {

// Leaves out what the system does not tell. Threads: any. Cost: a few files of /proc, and one entry
// per open file.
std::string process_metrics_text();

}  // namespace holdfast::api
