#include "sim/scenario_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "api/cli_orders_file.h"
#include "sim/scenario_orders.h"

namespace holdfast::sim {
namespace {

constexpr std::size_t kFileBytesMax = 1u << 20;

absl::StatusOr<std::string> read_text(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(path + ": is a directory; name a scenario file (.toml)");
  }
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    const std::string why = path + ": " + std::strerror(errno);
    return errno == ENOENT ? absl::NotFoundError(why) : absl::InvalidArgumentError(why);
  }
  std::string text(kFileBytesMax + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) return absl::InvalidArgumentError(path + ": cannot be read");
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kFileBytesMax) {
    return absl::InvalidArgumentError(path + ": is longer than 1 MiB, so not a scenario");
  }
  return text;
}

absl::Status load_orders(Scenario& scenario) {
  OrdersSource& source = *scenario.demand.source;
  const std::filesystem::path folder = std::filesystem::path(scenario.file).parent_path();
  const std::string path = (folder / source.file).lexically_normal().string();
  source.path = path;
  const auto csv = api::read_orders_file(path);
  if (!csv.ok()) {
    const std::string why = scenario.file + ":" + std::to_string(source.line) +
                            ": demand.orders.file: " + std::string(csv.status().message());
    return absl::IsNotFound(csv.status()) ? absl::NotFoundError(why)
                                          : absl::InvalidArgumentError(why);
  }
  return add_orders(scenario, *csv, path);
}

}  // namespace

absl::StatusOr<Scenario> load_scenario(const std::string& path) {
  const auto text = read_text(path);
  if (!text.ok()) return text.status();
  auto scenario = parse_scenario(*text, path);
  if (!scenario.ok() || !scenario->demand.source) return scenario;
  if (auto status = load_orders(*scenario); !status.ok()) return status;
  return scenario;
}

}  // namespace holdfast::sim
