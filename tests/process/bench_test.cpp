// `holdfast bench` against a real node: its figures are the node's figures, and what it cannot do
// it says.

#include <cstdio>
#include <string>

#include <doctest/doctest.h>
#include <boost/json.hpp>

#include "tests/process/support/cluster.h"

using namespace process;

namespace {

constexpr Millis kPatience(60'000);

// stdout alone: the progress is on stderr. The arguments are the test's own words.
Finished run_for_output(const std::string& arguments) {
  const std::string command = holdfast_binary() + " " + arguments + " 2>/dev/null";
  Finished finished;
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char buffer[4'096];
  while (const std::size_t got = fread(buffer, 1, sizeof buffer, pipe)) {
    finished.output.append(buffer, got);
  }
  finished.status = WEXITSTATUS(pclose(pipe));
  return finished;
}

}  // namespace

TEST_SUITE("bench") {
  TEST_CASE("every reservation that was acknowledged is in the stock") {
    TemporaryDirectory directory;
    Node node(directory.path(), {});
    node.start();
    const std::string url = "--url http://127.0.0.1:" + std::to_string(node.http_port());
    const Finished finished = run_for_output(
        "bench " + url + " --duration 2 --warmup 0 --skus 40 --prefix b --quantity 2 --json");
    CAPTURE(finished.output);
    REQUIRE(finished.status == 0);
    const auto phase = boost::json::parse(finished.output).at("phases").at(0);
    const auto reserved = phase.at("accepted").at("reserve").to_number<std::int64_t>();
    CHECK(reserved > 0);
    CHECK(phase.at("errors").to_number<std::int64_t>() == 0);
    CHECK(phase.at("server_cpu_us").to_number<double>() > 0);
    std::int64_t held = 0;
    for (int i = 0; i < 40; ++i) {
      std::string name = std::to_string(i);
      name.insert(0, 6 - name.size(), '0');
      held += stock(node, "b-" + name, "held");
    }
    CHECK(held == 2 * reserved);

    const Finished batches = run_for_output(
        "bench " + url +
        " --duration 0.5 --warmup 0 --skus 40 --prefix b --rate 50 --connections 8 --batch 10 "
        "--mix reserve=2,commit=1,release=1,receive=1 --distribution zipf:1 --json");
    CAPTURE(batches.output);
    REQUIRE(batches.status == 0);
    const auto second = boost::json::parse(batches.output).at("phases").at(0);
    CHECK(second.at("requests").to_number<std::int64_t>() == 25);
    CHECK(second.at("operations").to_number<std::int64_t>() == 250);
    CHECK(second.at("refused").as_object().empty());
  }

  TEST_CASE("wrong words end with 2, a node that is not there with 1; both say why") {
    const auto refused = [](std::vector<std::string> arguments, int status, const char* what) {
      arguments.insert(arguments.begin(), "bench");
      const Finished finished = run(arguments, kPatience);
      CAPTURE(finished.output);
      CHECK(finished.status == status);
      CHECK(finished.output.find(what) != std::string::npos);
    };
    refused({"--mix", "sell=1"}, 2, "'sell' is not an operation; known here: reserve");
    refused({"--distribution", "zipf"}, 2, "must be uniform, hot, or zipf:S");
    refused({"--rate", "10", "--rate-steps", "1x"}, 2, "exclude each other");
    refused({"--rate", "10", "--think", "5"}, 2, "--think is for the closed loop");
    refused({"--batch", "5", "--mix", "stock"}, 2, "a batch has no line for 'stock'");
    refused({"--prefix", "a/b"}, 2, "--prefix");
    refused({"--url", "ftp://x"}, 2, "http://HOST");
    refused({"--connections", "0"}, 2, "--connections");
    refused({"--url", "http://127.0.0.1:1"}, 1, "cannot reach http://127.0.0.1:1");
  }

  TEST_CASE("what was calibrated is what a plan is made of") {
    Cluster two({"eu", "us"});
    two.start_all();
    const std::string url = "--url http://127.0.0.1:" + std::to_string(two[0].http_port());
    const std::string file = (two.directory() / "figures.json").string();
    const Finished measured =
        run_for_output("bench " + url + " --duration 1 --warmup 0 --json --calibrate " + file);
    REQUIRE(measured.status == 0);
    const auto figures = boost::json::parse(measured.output);
    CHECK(boost::json::parse(read_file(file)) == figures);
    for (const char* name :
         {"write_us", "batch_us", "read_us", "merge_us", "hold_bytes", "sku_bytes", "journal_bytes",
          "wire_bytes", "batches_per_s"})
      CHECK(figures.at(name).to_number<double>() > 0);
    const Finished planned = run_for_output("plan --json --figures " + file);
    REQUIRE(planned.status == 0);
    const auto plan = boost::json::parse(planned.output);
    CHECK(plan.at("figures") == figures);
    CHECK(plan.at("plans").as_array().size() == 2);
    CHECK(plan.at("plans").at(0).at("requests_peak").to_number<double>() ==
          doctest::Approx(100e6 * 10 / 86'400 * 3));
    for (const char* bad : {"--users x", "--users 0", "--mix nothing", "--regions us=0", "--peak 0",
                            "--cores 0", "--utilization 2", "--times ,", "--figures /nonexistent",
                            "--memory 0.5 --skus 1000G"})
      CHECK(run_for_output("plan " + std::string(bad)).status == 2);
    CHECK(run_for_output("bench " + url + " --calibrate /nonexistent/figures").status == 1);
  }
}
