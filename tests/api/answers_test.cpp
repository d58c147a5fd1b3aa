// How outcomes are worded.
#include <doctest/doctest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <memory>
#include <string>

#include "api/handlers.h"
#include "api/json.h"
#include "api/metrics.h"
#include "api/problem.h"

namespace holdfast::api {
namespace {

namespace json = boost::json;
using node::Code;
using node::Outcome;

template <typename View>
Outcome showing(View view, Code code = Code::ok) {
  Outcome outcome{.code = code};
  outcome.view = std::move(view);
  return outcome;
}

std::string body_of(const Outcome& outcome) { return answer(Call{}, outcome).body; }

std::unique_ptr<node::ReservationView> reservation() {
  auto view = std::make_unique<node::ReservationView>();
  view->id = "r1";
  view->state = crdt::HoldState::committed;
  view->final = true;
  view->home = {0xabc};
  view->home_node = "us-1";
  view->home_region = "us";
  view->lines.push_back({"a", 5, 4, 3, 2});
  view->created_at = 1'709'208'000'000;
  view->expires_at = 1'709'208'900'001;
  view->ended_at = 1'709'208'000'999;
  view->metadata = R"({"order":"7"})";
  return view;
}

TEST_CASE("a reservation") {
  Outcome outcome = showing(reservation(), Code::created);
  const Response response = answer(Call{}, outcome);
  CHECK(response.status == 201);
  CHECK(response.type == ContentType::json);
  CHECK(
      response.body ==
      R"({"id":"r1","state":"committed","final":true,"home":"0000000000000abc","home_node":"us-1",)"
      R"("home_region":"us",)"
      R"("lines":[{"sku":"a","requested":5,"held":4,"committed":3,"returned":2}],)"
      R"("created_at":"2024-02-29T12:00:00.000Z","expires_at":"2024-02-29T12:15:00.001Z",)"
      R"("ended_at":"2024-02-29T12:00:00.999Z","metadata":{"order":"7"}})");
  auto open = reservation();
  open->state = crdt::HoldState::held;
  open->ended_at = 0;
  open->metadata.clear();
  const json::object shown = json::parse(body_of(showing(std::move(open)))).as_object();
  CHECK(shown.at("state") == "held");
  CHECK(shown.at("ended_at").is_null());
  CHECK_FALSE(shown.contains("metadata"));
}

TEST_CASE("a write tells how durable it is if that is more than this node, or less than asked") {
  const auto shown = [](node::Durability reached, Code code) {
    auto view = reservation();
    view->reached = reached;
    const Response response = answer(Call{}, showing(std::move(view), code));
    const json::object body = json::parse(response.body).as_object();
    const auto* level = body.if_contains("durability");
    return std::to_string(response.status) + " " +
           (level == nullptr ? "-" : std::string(level->as_string()));
  };
  CHECK(shown(node::Durability::node, Code::created) == "201 -");
  CHECK(shown(node::Durability::region, Code::created) == "201 region");
  CHECK(shown(node::Durability::remote, Code::created) == "201 remote");
  CHECK(shown(node::Durability::node, Code::accepted) == "202 node");
  CHECK(shown(node::Durability::region, Code::accepted) == "202 region");
  node::ReservationPage page;
  page.items.push_back(*reservation());
  CHECK(body_of(showing(std::move(page))).find("durability") == std::string::npos);
}

TEST_CASE("a list of all copies says which stand, and what each line is of what is held") {
  node::ReservationPage page;
  page.items.push_back(*reservation());
  const std::size_t lines = page.items[0].lines.size();
  page.items[0].copy = node::CopyView{.stands = false, .in_held = {-3}};
  page.items[0].copy->in_held.resize(lines);
  const json::value shown = json::parse(body_of(showing(std::move(page))));
  CHECK(shown.at_pointer("/items/0/stands") == false);
  CHECK(shown.at_pointer("/items/0/lines/0/in_held") == -3);
  const std::string plain = body_of(showing(reservation()));
  CHECK(plain.find("in_held") == std::string::npos);
  CHECK(plain.find("stands") == std::string::npos);
}

TEST_CASE("a decree shows its amounts and targets") {
  const auto plan = [](bool dry_run) {
    auto view = std::make_unique<node::DecreePlan>();
    view->dry_run = dry_run;
    view->plan = "0123456789abcdef";
    view->targets = {{0xa}, {0xb}};
    view->names = {{"eu-1", "eu"}, {"", ""}};
    view->seize = 12;
    view->open_holds = 3;
    view->skus = {{"a", 12, 0}, {"b", 0, 3}};
    return view;
  };
  Response response = answer(Call{}, showing(plan(true)));
  CHECK(response.status == 200);
  CHECK(response.body ==
        R"({"dry_run":true,"plan":"0123456789abcdef",)"
        R"("targets":[{"replica":"000000000000000a","node":"eu-1","region":"eu"},)"
        R"({"replica":"000000000000000b"}],"seize":12,"open_holds":3,)"
        R"("skus":[{"sku":"a","seize":12,"open_holds":0},{"sku":"b","seize":0,"open_holds":3}]})");
  response = answer(Call{}, showing(plan(false), Code::created));
  CHECK(response.status == 201);
  CHECK(json::parse(response.body).at("dry_run") == false);
  auto unnamed = plan(true);
  unnamed->names.clear();
  CHECK(json::serialize(json::parse(body_of(showing(std::move(unnamed)))).at("targets")) ==
        R"([{"replica":"000000000000000a"},{"replica":"000000000000000b"}])");
}

TEST_CASE("accounts of decrees") {
  CHECK(body_of(showing(node::DecreeAccounts{})) == R"({"failovers":[]})");
  node::DecreeAccount account{.target = {0xa},
                              .issuer = {0xb},
                              .region = "eu",
                              .node = "eu-1",
                              .issuer_node = "us-1",
                              .generation = 2,
                              .fraction = 0.5,
                              .issued_at = 1'709'208'000'000,
                              .open = true,
                              .seized = 40,
                              .open_holds = 3,
                              .unseen = 1,
                              .debt = 5,
                              .spent_unseen = 20,
                              .realized = 7,
                              .repaid = 15};
  CHECK(body_of(showing(node::DecreeAccounts{{account}})) ==
        R"({"failovers":[{"kind":"failover","state":"open","target":"000000000000000a",)"
        R"("node":"eu-1","region":"eu","generation":2,"issuer":"000000000000000b",)"
        R"("issuer_node":"us-1","fraction":0.5,"issued_at":"2024-02-29T12:00:00.000Z",)"
        R"("closed_at":null,"seized":40,"open_holds":3,"unseen":1,"spent_unseen":20,)"
        R"("realized":7,"repaid":15,"debt":5}]})");
  account.open = false;
  account.closed_at = account.issued_at + 1;
  node::DecreeAccount retirement{.kind = crdt::DecreeKind::retirement, .successor = {0xc}};
  const json::value shown =
      json::parse(body_of(showing(node::DecreeAccounts{{account, retirement}})));
  CHECK(shown.at_pointer("/failovers/0/state") == "closed");
  CHECK(shown.at_pointer("/failovers/0/closed_at") == "2024-02-29T12:00:00.001Z");
  CHECK_FALSE(shown.at_pointer("/failovers/0").as_object().contains("successor"));
  CHECK(shown.at_pointer("/failovers/1/kind") == "retirement");
  CHECK(shown.at_pointer("/failovers/1/state") == "retired");
  CHECK(shown.at_pointer("/failovers/1/successor") == "000000000000000c");
}

TEST_CASE("a batch result is the single answer with its status") {
  std::string line;
  append_batch_result(line, showing(reservation(), Code::created));
  CHECK(line.starts_with(R"({"status":201,"id":"r1",)"));
  CHECK_NOTHROW(json::parse(line));
  line.clear();
  append_batch_result(line, Outcome{});
  CHECK(line == R"({"status":200})");
  line.clear();
  append_batch_result(line, {.code = Code::unknown_sku, .detail = "no SKU x"});
  CHECK(json::parse(line).at("status") == 404);
  CHECK(json::parse(line).at("code") == "unknown_sku");
}

TEST_CASE("stock, availability, changes and SKUs") {
  node::StockView stock{.sku = "a", .on_hand = 9, .held = 2, .available = 7, .local_available = 3};
  stock.by_region.push_back({"eu", -4, 1000, 12, true});
  stock.by_region.push_back({"us", 0, 0, -1, false});  // never heard from
  const json::value shown = json::parse(body_of(showing(stock)));
  CHECK(shown.at("available") == 7);
  for (const char* name : {"on_hand", "held", "sold", "returned", "local_available", "allowance",
                           "exposure", "debt", "oversold"}) {
    CHECK(shown.as_object().contains(name));
  }
  CHECK(json::serialize(shown.at("by_region")) ==
        R"([{"region":"eu","rights":-4,"as_of":"1970-01-01T00:00:01.000Z","lag_ms":12,)"
        R"("reachable":true},)"
        R"({"region":"us","rights":0,"as_of":null,"lag_ms":null,"reachable":false}])");
  CHECK(body_of(showing(node::Availability{{{"a", true, 5, 2}, {"b", false, 0, 0}}})) ==
        R"({"items":[{"sku":"a","known":true,"available":5,"local_available":2},)"
        R"({"sku":"b","known":false,"available":0,"local_available":0}]})");
  CHECK(body_of(showing(node::StockChange{"a", -2, 5, 4, 3, 1, ""})) ==
        R"({"sku":"a","delta":-2,"on_hand":5,"available":4,"local_available":3,"allowance":1})");
  CHECK(json::parse(body_of(showing(node::StockChange{.sku = "a", .to = "0a"}))).at("to") == "0a");
  CHECK(body_of(showing(node::SkuView{"a", "x\"\\\n\x01", "", 3, 0, 0})) ==
        R"({"sku":"a","name":"x\"\\\n\u0001","attributes":{},"low_stock_threshold":3,)"
        R"("created_at":"1970-01-01T00:00:00.000Z","updated_at":"1970-01-01T00:00:00.000Z"})");
}

TEST_CASE("a page names the next, in the body and in Link") {
  JsonReader reader;
  const Parsed parsed =
      parse_request({.method = "GET", .target = "/v1/skus?prefix=a:&cursor=old&limit=2"}, reader);
  const Call& call = std::get<Call>(parsed);
  Response response = answer(call, showing(node::SkuPage{{{.sku = "a"}}, "b/ c\"&"}));
  CHECK(response.headers ==
        "Link: </v1/skus?prefix=a%3A&limit=2&cursor=b%2F%20c%22%26>; rel=\"next\"\r\n");
  CHECK(json::parse(response.body).at("next") == "b/ c\"&");
  response = answer(call, showing(node::SkuPage{}));
  CHECK(response.headers.empty());
  CHECK(response.body == R"({"items":[],"next":null})");
}

TEST_CASE("the cluster groups nodes by region") {
  auto cluster = std::make_unique<node::ClusterView>();
  cluster->cluster = "holdfast";
  for (const char* region : {"ap", "eu", "eu"}) {
    node::NodeView node;
    node.region = region;
    cluster->nodes.push_back(node);
  }
  cluster->nodes[1].state = "decreed";
  cluster->nodes[1].warning = "two of it";
  cluster->nodes[2].state = "retired";
  cluster->exposure = 4;
  cluster->debt = 3;
  cluster->oversold = 2;
  cluster->open_decrees = 1;
  cluster->faults.push_back({"eu", true, 5, 0.25});
  const json::value shown = json::parse(body_of(showing(std::move(cluster))));
  REQUIRE(shown.at("regions").as_array().size() == 2);
  CHECK(shown.at("regions").at(1).at("region") == "eu");
  CHECK(shown.at("regions").at(1).at("nodes").as_array().size() == 2);
  CHECK(shown.at_pointer("/regions/1/nodes/0/state") == "decreed");
  CHECK(shown.at_pointer("/regions/1/nodes/1/state") == "retired");
  CHECK(shown.at_pointer("/regions/1/nodes/0/warning") == "two of it");
  CHECK_FALSE(shown.at_pointer("/regions/1/nodes/1").as_object().contains("warning"));
  CHECK(shown.at("exposure") == 4);
  CHECK(shown.at("debt") == 3);
  CHECK(shown.at("oversold") == 2);
  CHECK(shown.at("open_decrees") == 1);
  CHECK(shown.at("faults").at(0).at("delay_ms") == 5);
  CHECK(shown.at("faults").at(0).at("loss") == 0.25);
}

TEST_CASE("faults answer with themselves, and clearing with nothing") {
  JsonReader reader;
  Parsed parsed = parse_request(
      {.method = "PUT", .target = "/v1/faults/links/eu", .body = R"({"drop":true})"}, reader);
  Response response = answer(std::get<Call>(parsed), Outcome{});
  CHECK(response.status == 200);
  CHECK(response.body == R"({"target":"eu","drop":true,"delay_ms":0,"loss":0})");
  parsed = parse_request({.method = "DELETE", .target = "/v1/faults/links/eu"}, reader);
  response = answer(std::get<Call>(parsed), Outcome{});
  CHECK(response.status == 204);
  CHECK(response.body.empty());
  std::string wire;
  append_response(wire, response, {});
  CHECK(wire == "HTTP/1.1 204 No Content\r\n\r\n");
  CHECK(answer(std::get<Call>(parsed), {.code = Code::faults_disabled}).status == 403);
}

TEST_CASE("problems have the pinned statuses and codes") {
  struct Row {
    Code code;
    int status;
    const char* name;
  };
  const Row rows[] = {
      {Code::unknown_sku, 404, "unknown_sku"},
      {Code::unknown_reservation, 404, "unknown_reservation"},
      {Code::insufficient_stock, 409, "insufficient_stock"},
      {Code::insufficient_rights, 409, "insufficient_rights"},
      {Code::reservation_conflict, 409, "reservation_conflict"},
      {Code::reservation_closed, 409, "reservation_closed"},
      {Code::idempotency_key_reused, 422, "idempotency_key_reused"},
      {Code::out_of_range, 422, "out_of_range"},
      {Code::unknown_target, 404, "unknown_target"},
      {Code::home_unreachable, 503, "home_unreachable"},
      {Code::outcome_unknown, 504, "outcome_unknown"},
      {Code::overloaded, 503, "overloaded"},
      {Code::storage_full, 507, "storage_full"},
      {Code::faults_disabled, 403, "faults_disabled"},
      {Code::stopping, 503, "stopping"},
      {Code::invalid_cursor, 400, "invalid_cursor"},
      {Code::target_unreachable, 503, "target_unreachable"},
      {Code::plan_changed, 409, "plan_changed"},
      {Code::decree_open, 409, "decree_open"},
      {Code::own_region, 409, "own_region"},
      {Code::replica_retired, 409, "replica_retired"},
      {Code::successor_not_live, 409, "successor_not_live"},
      {Code::awaiting_peer, 503, "awaiting_peer"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const Response response = answer(Call{}, {.code = row.code, .detail = "why"});
    CHECK(response.status == row.status);
    CHECK(response.type == ContentType::problem);
    const json::value problem = json::parse(response.body);
    CHECK(problem.at("code") == row.name);
    CHECK(problem.at("status") == row.status);
    CHECK(problem.at("detail") == "why");
    CHECK(problem.at("type").as_string() == "urn:holdfast:problem:" + std::string(row.name));
    CHECK((response.headers == "Retry-After: 1\r\n") == (row.code == Code::overloaded));
  }
}

TEST_CASE("shortages are listed") {
  const Response response =
      answer(Call{}, {.code = Code::insufficient_stock, .shortages = {{"a", 5, 2}, {"b", 1, -3}}});
  CHECK(json::serialize(json::parse(response.body).at("shortages")) ==
        R"([{"sku":"a","requested":5,"available":2},{"sku":"b","requested":1,"available":-3}])");
}

TEST_CASE("health, readiness and metrics") {
  JsonReader reader;
  const auto get = [&](const char* target) {
    return parse_request({.method = "GET", .target = target}, reader);
  };
  CHECK(std::get<Response>(get("/healthz")).body == R"({"status":"ok"})");
  const Parsed readyz = get("/readyz");
  const auto stats = [](bool ready, bool degraded) {
    auto view = std::make_unique<node::Stats>();
    view->ready = ready;
    view->degraded = degraded;
    view->commits = 9'007'199'254'740'991;
    return showing(std::move(view));
  };
  CHECK(answer(std::get<Call>(readyz), stats(true, true)).body ==
        R"({"status":"ready","degraded":true})");
  CHECK(answer(std::get<Call>(readyz), stats(false, false)).status == 503);
  const auto awaiting = [&](std::vector<std::string> peers) {
    auto view = std::make_unique<node::Stats>();
    view->awaits_peer = true;
    view->awaited = std::move(peers);
    const Response response = answer(std::get<Call>(readyz), showing(std::move(view)));
    CHECK(response.status == 503);
    const json::value problem = json::parse(response.body);
    CHECK(problem.at("code") == "not_ready");
    return std::string(problem.at("detail").as_string());
  };
  CHECK(awaiting({"a:1", "b:2"}).find("start_requires_peer): of a:1, b:2 none has") !=
        std::string::npos);
  CHECK(awaiting({}).find("gossip.peers names none") != std::string::npos);
  const std::string many = awaiting(std::vector<std::string>(500, "a:1"));
  CHECK(many.find("a:1 and 492 more") != std::string::npos);
  const Response metrics = answer(std::get<Call>(get("/metrics")), stats(true, false));
  CHECK(metrics.type == ContentType::prometheus);
  CHECK(metrics.body.find("# HELP holdfast_commits_total ") != std::string::npos);
  CHECK(metrics.body.find("# TYPE holdfast_commits_total counter\n") != std::string::npos);
  CHECK(metrics.body.find("holdfast_commits_total 9007199254740991\n") != std::string::npos);
  CHECK(metrics.body.find("# TYPE holdfast_ready gauge\nholdfast_ready 1\n") != std::string::npos);
}

TEST_CASE("metrics of decrees, each from its own number") {
  node::Stats stats;
  stats.decrees_issued = 1;
  stats.adoptions = 2;
  stats.copies_overruled = 3;
  stats.conflicts = 4;
  stats.keys_undone = 5;
  stats.holds_purged = 6;
  stats.durability_missed = 7;
  stats.exposure = 8;
  stats.debt = 9;
  stats.oversold = 10;
  stats.open_decrees = 11;
  const std::string text = metrics_text(stats);
  for (const char* line :
       {"counter\nholdfast_decrees_issued_total 1\n", "counter\nholdfast_adoptions_total 2\n",
        "counter\nholdfast_copies_overruled_total 3\n", "counter\nholdfast_conflicts_total 4\n",
        "counter\nholdfast_keys_undone_total 5\n", "counter\nholdfast_holds_purged_total 6\n",
        "counter\nholdfast_durability_missed_total 7\n", "gauge\nholdfast_exposure 8\n",
        "gauge\nholdfast_debt 9\n", "gauge\nholdfast_oversold 10\n",
        "gauge\nholdfast_open_decrees 11\n"}) {
    CAPTURE(line);
    CHECK(text.find(line) != std::string::npos);
  }
}

TEST_CASE("times at the edges") {
  const auto text = [](std::int64_t ms) {
    std::string out;
    append_time(out, ms);
    return out;
  };
  CHECK(text(-1) == "\"1969-12-31T23:59:59.999Z\"");
  CHECK(text(951'782'400'000) == "\"2000-02-29T00:00:00.000Z\"");
  CHECK(text(INT64_MAX) == "\"9999-12-31T23:59:59.999Z\"");
  CHECK(text(INT64_MIN) == "\"0000-01-01T00:00:00.000Z\"");
}

}  // namespace
}  // namespace holdfast::api
