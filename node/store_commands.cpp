#include "node/store_commands.h"

#include <openssl/rand.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <system_error>

#include "node/audit.h"
#include "node/backup_file.h"
#include "node/new_store.h"

namespace holdfast::node {
namespace {

namespace fs = std::filesystem;

StoreReport refused(const absl::Status& status) {
  StoreReport report;
  report.problem = std::string(status.message());
  return report;
}

StoreReport refused(const std::string& problem) { return refused(absl::InternalError(problem)); }

ReplicaId new_replica() {
  ReplicaId id;
  while (!id)
    if (RAND_bytes(reinterpret_cast<unsigned char*>(&id.value), sizeof id.value) != 1) ::abort();
  return id;
}

void add_state(StoreReport& report, const crdt::State& state, ReplicaId of) {
  report.texts.emplace_back("replica", crdt::to_string(of));
  if (const crdt::Member* member = state.member(of)) {
    report.texts.emplace_back("node", member->row.node);
    report.texts.emplace_back("region", member->row.region);
  }
  report.numbers.emplace_back("skus", static_cast<std::int64_t>(state.product_count()));
  report.numbers.emplace_back("reservations", static_cast<std::int64_t>(state.hold_count()));
  report.numbers.emplace_back("open_holds", static_cast<std::int64_t>(state.open_holds()));
  report.numbers.emplace_back("rows", static_cast<std::int64_t>(state.lasting_rows()));
  report.numbers.emplace_back("sequence", static_cast<std::int64_t>(state.head(of)));
}

std::string file_in(const std::string& directory, ReplicaId replica) {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char when[32];
  std::strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &utc);
  return (fs::path(directory) / ("holdfast-" + crdt::to_string(replica) + "-" + when + ".backup"))
      .string();
}

ToldBytes told(const ShowProgress& show, const std::string& what) {
  return [&show, what](std::uint64_t bytes) {
    show(what + ", " + std::to_string(bytes >> 20) + " MiB");
  };
}

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

// Empty: a new replica may be made there.
std::string in_the_way(const std::string& data_dir) {
  std::error_code error;
  const auto status = fs::symlink_status(data_dir, error);
  if (!fs::exists(status)) return {};
  if (!fs::is_directory(status)) return data_dir + " is not a directory";
  const bool empty = fs::is_empty(data_dir, error);
  if (error) return data_dir + " cannot be read: " + error.message();
  if (empty) return {};
  if (fs::exists(fs::path(data_dir) / "store", error))
    return data_dir +
           " is a data directory already, and may be in use: a restore always makes a new replica, "
           "in a directory of its own; nothing was changed";
  return data_dir + " is not empty; nothing was changed";
}

// Empty: a backup may be written there. Before anything is read, which may take long.
std::string no_place_for_backup(const std::string& data_dir, const std::string& to) {
  std::error_code error;
  const bool directory = fs::is_directory(to, error);
  if (!directory && is_draft(to))
    return "--to " + to + ": a name like that is for a backup that is not whole yet";
  const std::string parent = directory ? to : parent_of(to);
  if (!fs::is_directory(parent, error))
    return "there is no directory " + parent + ": make it first, then --to can be in it";
  const fs::path inside =
      fs::canonical(parent, error).lexically_relative(fs::weakly_canonical(data_dir, error));
  const bool has_store = fs::exists(fs::path(data_dir) / "store", error);  // else that is said
  if (has_store && !inside.empty() && *inside.begin() != "..")
    return "--to " + to + " is in the data directory: a backup has to survive what may befall " +
           data_dir + ", and nothing else may be written there; name another place";
  return {};
}

}  // namespace

StoreReport backup(const std::string& data_dir, const std::string& to, const ShowProgress& show) {
  if (std::string problem = no_place_for_backup(data_dir, to); !problem.empty())
    return refused(problem);
  show("reading " + data_dir);
  const auto engine = read_directory(data_dir);
  if (!engine.ok()) return refused(engine.status());
  const crdt::State& state = (*engine)->state();
  std::error_code error;
  const std::string path = fs::is_directory(to, error) ? file_in(to, state.self()) : to;
  const auto bytes =
      write_backup(path, state, (*engine)->loaded_life_ms(), told(show, "writing " + path));
  if (!bytes.ok()) return refused(bytes.status());
  StoreReport report;
  report.texts.emplace_back("file", path);
  report.numbers.emplace_back("bytes", static_cast<std::int64_t>(*bytes));
  add_state(report, state, state.self());
  report.advice = "written, and read back: `holdfast restore --from " + path +
                  " --data-dir DIR` makes a new replica of it";
  return report;
}

StoreReport restore(const std::string& from, const std::string& to, const ShowProgress& show) {
  const std::string data_dir = without_slash(to);
  if (std::string problem = in_the_way(data_dir); !problem.empty()) return refused(problem);
  const ReplicaId fresh = new_replica();
  const auto backup = read_backup(from, fresh, told(show, "reading " + from));
  if (!backup.ok()) return refused(backup.status());
  // Under another name until it is whole; taking an empty directory's place is one step.
  const std::string draft = data_dir + ".restoring-" + crdt::to_string(fresh);
  std::error_code error;
  show("writing " + data_dir);
  absl::Status status = write_directory(draft, *backup->state, 0);
  if (status.ok()) {
    fs::rename(draft, data_dir, error);
    if (error)
      status = absl::FailedPreconditionError(data_dir + ": cannot be made: " + error.message());
  }
  if (!status.ok()) {
    fs::remove_all(draft, error);
    return refused(status);
  }
  const std::string parent = fs::path(data_dir).parent_path().string();
  if (absl::Status synced = sync_directory(parent.empty() ? "." : parent); !synced.ok())
    return refused(synced);
  StoreReport report;
  report.texts.emplace_back("data_dir", data_dir);
  report.texts.emplace_back("new_replica", crdt::to_string(fresh));
  add_state(report, *backup->state, backup->meta.self);
  const std::string old = crdt::to_string(backup->meta.self);
  report.advice =
      "replica " + crdt::to_string(fresh) +
      " has the rows of the backup, and no rights. Next: start "
      "it with node.data_dir = \"" +
      data_dir +
      "\", and wait until GET /v1/cluster shows it live. "
      "Then, if the replica that was backed up never returns: POST /v1/replicas/" +
      old + "/retire {\"successor\": \"" + crdt::to_string(fresh) +
      "\"} at that node, first with "
      "\"dry_run\": true; it takes over its rights and open reservations. If it may return: POST "
      "/v1/replicas/" +
      old + "/failover, and the rights come back when it does";
  return report;
}

StoreReport verify(const std::string& data_dir, const ShowProgress& show) {
  show("reading " + data_dir);
  const auto engine = read_directory(data_dir);
  if (!engine.ok()) return refused(engine.status());
  const crdt::State& state = (*engine)->state();
  show("computing " + std::to_string(state.product_count()) + " SKUs again");
  StoreReport report;
  report.verified = true;
  add_state(report, state, state.self());
  for (const Difference& one : audit(state))
    report.differences.push_back({.what = one.what,
                                  .sku = one.sku,
                                  .replica = one.replica ? crdt::to_string(one.replica) : "",
                                  .is = one.is,
                                  .should = one.should,
                                  .at_least = one.at_least});
  return report;
}

}  // namespace holdfast::node
