// Decrees over real processes: a region that is cut off, declared lost, sells on and comes back; a
// node that is retired; and everything that is refused.

#include <doctest/doctest.h>

#include <vector>

#include "tests/process/support/cluster.h"

using namespace process;

namespace {

Cluster& cluster() {
  static Cluster three({"ap", "eu", "us"});
  if (!three[0].running()) three.start_all();
  return three;
}

std::string replica_of(Cluster& all, std::size_t index) {
  const auto view = all[index].http().get("/v1/cluster");
  const auto regions = view.at("/regions");
  for (const auto& region : regions.as_array()) {
    for (const auto& node : region.at("nodes").as_array()) {
      if (node.at("self").as_bool()) return std::string(node.at("replica").as_string());
    }
  }
  throw std::runtime_error("no node of its own: " + view.body);
}

boost::json::array accounts(Node& node) {
  return node.http().get("/v1/failovers").at("/failovers").as_array();
}

// 300 units, 100 with each region.
void spread(const std::string& sku) {
  stock_up(cluster()[0], sku, 300);
  for (std::size_t i = 1; i < 3; ++i) {
    const auto granted = cluster()[0].http().post(
        "/v1/skus/" + sku + "/grants", R"({"to":")" + cluster().region(i) + R"(","quantity":100})");
    REQUIRE(granted.ok());
  }
  cluster().wait_converged();
}

// Reserves and commits single units at a node until three in a row are refused; how many were sold.
int sell_out(std::size_t index, const std::string& sku, const std::string& prefix) {
  int sold = 0;
  for (int n = 0, refused = 0; refused < 3 && n < 1'000; ++n) {
    const std::string path = "/v1/reservations/" + prefix + std::to_string(n);
    if (cluster()[index].http().put(path, reservation(sku, 1, R"("wait_ms":300)")).status != 201) {
      ++refused;
      continue;
    }
    refused = 0;
    REQUIRE(cluster()[index].http().post(path + "/commit").status == 200);
    ++sold;
  }
  return sold;
}

}  // namespace

TEST_SUITE("process/decree") {
  TEST_CASE("what is refused changes nothing") {
    spread("still");
    const std::string own = replica_of(cluster(), 0), other = replica_of(cluster(), 2);
    struct Case {
      std::string target, body;
      int status;
      std::string code;
    };
    for (const Case& c : std::vector<Case>{
             {"regions/mars/failover", "", 404, "unknown_target"},
             {"regions/mars/failover", R"({"dry_run":true})", 404, "unknown_target"},
             {"regions/us%20/failover", "", 400, "invalid_request"},
             {"regions/ap/failover", "", 409, "own_region"},
             {"regions/ap/failover", R"({"dry_run":true})", 409, "own_region"},
             {"replicas/" + own + "/failover", "", 409, "own_region"},
             {"replicas/0123456789abcdef/failover", "", 404, "unknown_target"},
             {"regions/us/failover", R"({"fraction":0})", 400, "invalid_request"},
             {"regions/us/failover", R"({"fraction":1.01})", 400, "invalid_request"},
             {"regions/us/failover", R"({"fraction":-1})", 400, "invalid_request"},
             {"regions/us/failover", R"({"plan":"x"})", 400, "invalid_request"},
             {"regions/us/failover", R"({"force":true})", 400, "invalid_request"},
             {"regions/us/failover", R"({"plan":"0123456789abcdef"})", 409, "plan_changed"},
             {"replicas/" + other + "/retire", "", 400, "invalid_request"},
             {"replicas/" + other + "/retire", R"({"successor":"mars-1"})", 409,
              "successor_not_live"},
             {"replicas/" + other + "/retire", R"({"successor":")" + other + R"("})", 409,
              "successor_not_live"},
             {"replicas/" + own + "/retire", R"({"successor":")" + other + R"("})", 409,
              "own_region"},
             {"replicas/0123456789abcdef/retire", R"({"successor":")" + other + R"("})", 404,
              "unknown_target"}}) {
      CAPTURE(c.target);
      CAPTURE(c.body);
      const auto answer = cluster()[0].http().post("/v1/" + c.target, c.body);
      CHECK(answer.status == c.status);
      CHECK(answer.code() == c.code);
    }
    CHECK(accounts(cluster()[0]).empty());
    const auto view = cluster()[0].http().get("/v1/cluster");
    for (const char* name : {"/exposure", "/debt", "/oversold", "/open_decrees"})
      CHECK(view.number(name) == 0);
  }

  TEST_CASE("a region that is declared lost and sells on: the bound, and the account") {
    spread("lost");
    cluster().cut(2);
    CHECK(eventually([&] { return reachable_nodes(cluster()[0]) == 2; }));
    const auto dry = cluster()[0].http().post("/v1/regions/us/failover", R"({"dry_run":true})");
    REQUIRE(dry.status == 200);
    CHECK(dry.flag("/dry_run"));
    CHECK(dry.text("/targets/0/replica") == replica_of(cluster(), 2));
    const auto most = dry.number("/seize");
    CHECK(accounts(cluster()[0]).empty());
    const auto confirmed = R"({"plan":")" + dry.text("/plan") + R"("})";
    const auto decree = cluster()[0].http().post("/v1/regions/us/failover", confirmed);
    REQUIRE(decree.status == 201);
    CHECK(decree.number("/seize") == most);
    CHECK(cluster()[0].http().post("/v1/regions/us/failover", confirmed).code() == "decree_open");

    const int there = sell_out(2, "lost", "lost-us-");
    const int here = sell_out(0, "lost", "lost-ap-") + sell_out(1, "lost", "lost-eu-");
    CHECK(there > 0);
    CHECK(here + there > 300);
    const auto sku_most = [&] {
      const auto skus = dry.at("/skus");
      for (const auto& sku : skus.as_array())
        if (sku.at("sku") == "lost") return sku.at("seize").as_int64();
      return std::int64_t{0};
    }();
    CHECK(here + there - 300 <= sku_most);

    cluster().heal(2);
    cluster().wait_joined();
    cluster().wait_converged();
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(stock(cluster()[i], "lost", "sold") == here + there);
      CHECK(stock(cluster()[i], "lost", "available") == 300 - here - there);
      CHECK(stock(cluster()[i], "lost", "oversold") == here + there - 300);
    }
    // What was oversold is bought again, and repaid: the decree closes with its account.
    REQUIRE(cluster()[1].http().post("/v1/skus/lost/receipts", quantity(here + there - 300)).ok());
    CHECK(eventually([&] { return accounts(cluster()[0]).at(0).at("state") == "closed"; }));
    const auto account = accounts(cluster()[0]).at(0);
    CHECK(account.at("kind") == "failover");
    CHECK(account.at("seized").as_int64() == most);
    CHECK(account.at("spent_unseen").as_int64() == there);
    CHECK(account.at("realized").as_int64() == here + there - 300);
    CHECK(account.at("repaid").as_int64() == there);
    CHECK(account.at("unseen").as_int64() == 0);
    cluster().wait_converged();
    CHECK(stock(cluster()[2], "lost", "debt") == 0);
    CHECK(stock(cluster()[2], "lost", "available") == 0);
  }

  TEST_CASE("what was adopted, and its lost home still holds, is no difference for verify --url") {
    Cluster all({"ap", "eu", "us"});
    all.start_all();
    stock_up(all[2], "away", 50);
    REQUIRE(all[2].http().put("/v1/reservations/away-1", reservation("away", 5)).status == 201);
    REQUIRE(all[2].http().put("/v1/reservations/away-2", reservation("away", 7)).status == 201);
    all.wait_converged();
    all[2].kill_now();
    CHECK(eventually([&] { return reachable_nodes(all[0]) == 2; }));
    REQUIRE(all[0].http().post("/v1/regions/us/failover").status == 201);
    CHECK(all[0].http().post("/v1/reservations/away-1/commit").status == 200);
    CHECK(all[0].http().post("/v1/reservations/away-2/release").status == 200);
    CHECK(eventually([&] { return stock(all[1], "away", "sold") == 5; }));
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(stock(all[i], "away", "held") == 12);
      const std::string url = "http://127.0.0.1:" + std::to_string(all[i].http_port());
      const Finished verified = run({"verify", "--url", url}, Millis(20'000));
      CAPTURE(verified.output);
      CHECK(verified.status == 0);
    }
  }

  TEST_CASE("a node that never returns is retired once") {
    Cluster all({"ap", "eu", "us"});
    all.start_all();
    stock_up(all[2], "heir", 50);
    REQUIRE(all[2].http().put("/v1/reservations/heir-1", reservation("heir", 2)).status == 201);
    all.wait_converged();
    const std::string lost = replica_of(all, 2), heir = replica_of(all, 0);
    all[2].kill_now();
    CHECK(eventually([&] { return reachable_nodes(all[0]) == 2; }));
    const std::string path = "/v1/replicas/" + lost;
    const auto dry =
        all[0].http().post(path + "/retire", R"({"dry_run":true,"successor":")" + heir + R"("})");
    REQUIRE(dry.status == 200);
    CHECK(dry.number("/open_holds") == 2);
    const auto decree =
        all[0].http().post(path + "/retire", R"({"plan":")" + dry.text("/plan") +
                                                 R"(","successor":")" + heir + R"("})");
    CHECK(decree.status == 201);
    const auto account = accounts(all[0]).at(0);
    CHECK(account.at("kind") == "retirement");
    CHECK(account.at("state") == "retired");
    CHECK(account.at("successor").as_string() == heir.c_str());
    CHECK(all[0].http().post(path + "/failover").code() == "replica_retired");
    CHECK(all[0].http().post("/v1/regions/us/failover").code() == "replica_retired");
    CHECK(all[0].http().post(path + "/retire", R"({"successor":")" + heir + R"("})").code() ==
          "replica_retired");
    CHECK(eventually(
        [&] { return all[1].http().post("/v1/reservations/heir-1/commit").status == 200; }));
    for (std::size_t i = 0; i < 2; ++i)
      CHECK(eventually([&] { return stock(all[i], "heir", "sold") == 2; }));
  }
}
