// Keeps the tree in the shape that the README files describe. Each finding says file:line, what is
// wrong and what to do instead. The rules are functions over (path, text), so that the end of this
// file can show that each of them is able to fail.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

namespace {

namespace fs = std::filesystem;

struct Source {
  std::string path;  // from the root, e.g. "crdt/ids.h"
  std::string text;
};
using Findings = std::vector<std::string>;

bool starts_with_any(std::string_view text, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& p) { return text.starts_with(p); });
}
bool is_any(std::string_view text, const std::vector<std::string>& names) {
  return std::find(names.begin(), names.end(), text) != names.end();
}
std::string folder_of(std::string_view path) {
  const auto slash = path.find('/');
  return std::string(slash == path.npos ? "" : path.substr(0, slash));
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}
std::string at(const std::string& path, std::size_t line_index, const std::string& what) {
  return path + ":" + std::to_string(line_index + 1) + ": " + what;
}

// ── code without its comments, strings and characters (blanked, so that lines stay where they are)
// ──

class Blanker {
 public:
  explicit Blanker(std::string text) : text_(std::move(text)) {}
  std::string run() {
    while (at_ < text_.size()) step();
    return std::move(text_);
  }

 private:
  void step() {
    if (looking_at("//")) return blank_until(text_.find('\n', at_));
    if (looking_at("/*")) return blank_until(after(text_.find("*/", at_ + 2), 2));
    if (looking_at("R\"") && !in_word()) return raw_string();
    if (text_[at_] == '"') return quoted('"');
    if (text_[at_] == '\'' && !in_word()) return quoted('\'');  // not 1'000
    ++at_;
  }
  bool looking_at(std::string_view what) const {
    return text_.compare(at_, what.size(), what) == 0;
  }
  bool in_word() const {
    return at_ > 0 &&
           (std::isalnum(static_cast<unsigned char>(text_[at_ - 1])) || text_[at_ - 1] == '_');
  }
  static std::size_t after(std::size_t found, std::size_t size) {
    return found == std::string::npos ? found : found + size;
  }
  void blank_until(std::size_t end) {
    end = std::min(end, text_.size());
    for (; at_ < end; ++at_) {
      if (text_[at_] != '\n') text_[at_] = ' ';
    }
  }
  void raw_string() {
    const auto open = text_.find('(', at_);
    if (open == std::string::npos) return blank_until(text_.size());
    const std::string close = ")" + text_.substr(at_ + 2, open - at_ - 2) + "\"";
    blank_until(after(text_.find(close, open), close.size()));
  }
  void quoted(char quote) {
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote && text_[end] != '\n') {
      end += text_[end] == '\\' ? 2 : 1;
    }
    blank_until(end + 1);
  }

  std::string text_;
  std::size_t at_ = 0;
};

std::string code_of(const Source& source) { return Blanker(source.text).run(); }

// ── who may include what ────────────────────────────────────────────────────────────────────────

// A third-party header, and the files that alone may use it. `allowed` are prefixes of paths.
struct Owner {
  std::string header;
  std::vector<std::string> allowed;
};

const std::vector<Owner>& owners() {
  static const std::vector<std::string> sockets = {"gossip/ws_transport.", "gossip/asio_impl.cpp",
                                                   "api/http_server",      "api/http_client.",
                                                   "api/upstream.",        "api/router_process.",
                                                   "api/shard_map_etcd."};
  static const std::vector<Owner> table = {
      {"boost/asio", sockets},
      {"boost/beast", sockets},
      {"boost/sort/", {"node/rows_file."}},
      {"boost/", {"api/", "sim/"}},
      {"rocksdb/", {"node/rocks_store.", "node/rows_file.", "node/zeroed_log."}},
      {"spdlog/",
       {"gossip/ws_transport.cpp", "node/rocks_store.cpp", "node/log.", "node/serve.",
        "node/runtime.", "node/main.cpp", "api/http_server.cpp", "api/router_process.cpp"}},
      {"CLI/", {"api/cli", "sim/cli"}},
      {"toml++/", {"node/config.cpp", "sim/toml_tree.cpp", "api/shard_map_file.cpp"}},
      {"openssl/",
       {"gossip/hmac.cpp", "gossip/ws_transport.cpp", "node/serve.cpp", "node/store_commands.cpp",
        "api/cli"}},
      {"prometheus/", {"api/"}},
      {"doctest/", {}},
      {"rapidcheck", {}},
  };
  return table;
}

// cereal is for codecs: where bytes become values and back.
bool may_use_cereal(const std::string& path) {
  static const std::regex codecs(
      R"(crdt/archive\.h|crdt/codec\.cpp|gossip/frame\.cpp|node/[a-z_]*codec[a-z_]*\.cpp)");
  return std::regex_match(path, codecs);
}

bool may_include_folder(const std::string& from, const std::string& included) {
  const auto folder = folder_of(from);
  const auto target = folder_of(included);
  if (target == folder) return true;
  if (folder == "crdt") return false;
  if (folder == "gossip") return target == "crdt";
  if (folder == "node") {
    const bool root = from == "node/main.cpp" || from.starts_with("node/serve.");
    if (from == "node/main.cpp" && target == "sim") return true;
    return target == "crdt" || target == "gossip" || (root && target == "api");
  }
  if (folder == "api")
    return target == "crdt" || included == "node/command.h" || included == "node/rendezvous.h";
  if (folder == "sim") return target != "tests";
  return folder == "tests";
}

const std::vector<std::string> kFolders = {"crdt", "gossip", "node",  "api",
                                           "sim",  "tests",  "deploy"};

Findings check_third_party(const Source& source, std::size_t line, const std::string& header) {
  if (folder_of(source.path) == "tests") return {};
  if (header.starts_with("cereal/") && !may_use_cereal(source.path)) {
    return {at(source.path, line,
               "cereal outside the codecs: decode in crdt/codec.cpp, gossip/frame.cpp or a "
               "node/*codec*.cpp")};
  }
  for (const auto& owner : owners()) {
    if (!header.starts_with(owner.header)) continue;
    if (starts_with_any(source.path, owner.allowed)) return {};
    return {at(source.path, line,
               "<" + header +
                   "> belongs to an edge: put the call behind a port (node/ports.h, "
                   "gossip/transport.h), or move it to the file that owns the technology")};
  }
  return {};
}

Findings check_includes(const Source& source) {
  static const std::regex include(R"rx(^\s*#\s*include\s*([<"])([^>"]+)[>"])rx");
  Findings findings;
  const auto lines = lines_of(source.text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::smatch match;
    if (!std::regex_search(lines[i], match, include)) continue;
    const std::string header = match[2];
    if (match[1] == "<") {
      for (auto& f : check_third_party(source, i, header)) findings.push_back(f);
    } else if (!is_any(folder_of(header), kFolders)) {
      for (auto& f : check_third_party(source, i, header)) findings.push_back(f);
      if (header.find('/') == header.npos) {
        findings.push_back(
            at(source.path, i, "\"" + header + "\": include from the root, \"folder/file.h\""));
      }
    } else if (!may_include_folder(source.path, header)) {
      findings.push_back(at(source.path, i,
                            "\"" + header +
                                "\" points the wrong way (crdt <- gossip <- node <- api; api sees "
                                "node/command.h alone): move what is needed down, or pass it in"));
    } else if (source.path.starts_with("tests/process/") && !header.starts_with("tests/process/")) {
      findings.push_back(
          at(source.path, i,
             "\"" + header + "\": process tests know the product by its contract alone"));
    }
  }
  return findings;
}

// ── words that are not written here ─────────────────────────────────────────────────────────────

struct Banned {
  std::string pattern;  // a regular expression over code without comments and strings
  std::string instead;
};

bool is_pure(const std::string& path) {
  static const std::vector<std::string> edges = {"gossip/ws_transport.",
                                                 "gossip/asio_impl.cpp",
                                                 "node/rocks_store.",
                                                 "node/rows_file.",
                                                 "node/runtime.",
                                                 "node/serve.",
                                                 "node/log.",
                                                 "node/config.cpp",
                                                 "node/system_clock.",
                                                 "node/main.cpp",
                                                 "node/new_store.cpp",
                                                 "node/reader_place.",
                                                 "node/rejoin.cpp",
                                                 "node/backup_file.cpp",
                                                 "node/store_commands.cpp",
                                                 "api/http_server",
                                                 "api/http_client.",
                                                 "api/upstream.",
                                                 "api/router_process.",
                                                 "api/shard_map_etcd.",
                                                 "api/process_metrics.",
                                                 "api/cli",
                                                 "sim/cli",
                                                 "sim/workers.",
                                                 "sim/fuzz."};
  return is_any(folder_of(path), {"crdt", "gossip", "node", "api", "sim"}) &&
         !starts_with_any(path, edges);
}

const std::vector<Banned>& banned_everywhere() {
  static const std::vector<Banned> table = {
      {R"(\bassert\s*\()", "HOLDFAST_CHECK (crdt/check.h) also holds in release builds"},
      {R"(#\s*include\s*<cassert>)", "include crdt/check.h"},
  };
  return table;
}
// g++ 12 destroys aggregates twice that are made within such an expression, and more of that kind.
// The router alone has them, and gives them no chance.
const std::vector<Banned>& banned_coroutines(const std::string& path) {
  static const std::vector<Banned> anywhere = {
      {R"(\bco_(await|return|yield)\b)", "g++ 12 miscompiles coroutines: write callbacks"},
  };
  static const std::vector<Banned> in_router = {
      {R"(\bco_(await|return)\b.*(\w\{|\?))",
       "g++ 12 miscompiles this: make the value a line before, and give it a name"},
  };
  return path.starts_with("api/router") ? in_router : anywhere;
}
const std::vector<Banned>& banned_in_pure() {
  static const std::vector<Banned> table = {
      {R"(\b\w*_clock\s*::\s*now\b)", "time comes in as crdt::Now"},
      {R"(\brandom_device\b)", "randomness comes in as a seed or a nonce"},
      {R"(\bs?rand\s*\()", "randomness comes in as a seed or a nonce"},
      {R"(\bstd\s*::\s*(\w+_)*mutex\b)", "one thread owns pure code: no lock is needed"},
      {R"(\bstd\s*::\s*j?thread\b)", "threads belong to node/runtime and the edges"},
      {R"(\bsleep_(for|until)\b)", "ask for a wake-up (an effect) instead of waiting"},
  };
  return table;
}

void find_banned(const Source& source, const std::vector<std::string>& code,
                 const std::vector<Banned>& table, Findings& findings) {
  for (const auto& rule : table) {
    const std::regex pattern(rule.pattern);
    for (std::size_t i = 0; i < code.size(); ++i) {
      std::smatch match;
      if (std::regex_search(code[i], match, pattern)) {
        findings.push_back(at(source.path, i, "'" + match.str() + "': " + rule.instead));
      }
    }
  }
}

Findings check_words(const Source& source) {
  Findings findings;
  const auto code = lines_of(code_of(source));
  find_banned(source, code, banned_everywhere(), findings);
  find_banned(source, code, banned_coroutines(source.path), findings);
  if (is_pure(source.path)) find_banned(source, code, banned_in_pure(), findings);
  if (source.path.ends_with(".h")) {
    find_banned(source, code, {{R"(\busing\s+namespace\b)", "a header names what it uses"}},
                findings);
    if (source.text.find("#pragma once") == std::string::npos) {
      findings.push_back(at(source.path, 0, "a header starts with #pragma once"));
    }
  }
  return findings;
}

// ── lines, in every text that people edit as code ───────────────────────────────────────────────

std::size_t columns(const std::string& line) {
  return static_cast<std::size_t>(std::count_if(line.begin(), line.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;  // UTF-8: one column a code point
  }));
}

Findings check_lines(const Source& source) {
  static const std::regex unfinished(
      "\\b(TO"
      "DO|FIX"
      "ME|XX"
      "X)\\b");
  Findings findings;
  const auto lines = lines_of(source.text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto& line = lines[i];
    if (columns(line) > 100)
      findings.push_back(at(source.path, i, "longer than 100 columns: break the line"));
    if (line.find('\t') != line.npos) findings.push_back(at(source.path, i, "a tab: use spaces"));
    if (!line.empty() && (line.back() == ' ' || line.back() == '\r')) {
      findings.push_back(at(source.path, i, "space at the end of the line: remove it"));
    }
    std::smatch match;
    if (std::regex_search(line, match, unfinished)) {
      findings.push_back(
          at(source.path, i, "'" + match.str() + "': do it now, or describe it in a README"));
    }
  }
  return findings;
}

// ── names ───────────────────────────────────────────────────────────────────────────────────────

Findings check_names(const Source& source) {
  const std::string advice = ": name what it is in the domain (rights, reservation, link ...)";
  Findings findings;
  static const std::regex file_word("(^|_)(manager|helper|helpers|util|utils|impl|base)(_|$)");
  const auto stem = fs::path(source.path).stem().string();
  // asio_impl.cpp is where Asio's own implementation is compiled; it declares nothing of ours.
  if (source.path != "gossip/asio_impl.cpp" && std::regex_search(stem, file_word)) {
    findings.push_back(at(source.path, 0, "file name '" + stem + "'" + advice));
  }
  static const std::regex type(R"(\b(?:class|struct|union|enum|using|concept)\s+)"
                               R"((\w*(?:Manager|Helper|Util|Impl|Base)s?(?:[A-Z]\w*)?)\b)");
  const auto code = lines_of(code_of(source));
  for (std::size_t i = 0; i < code.size(); ++i) {
    std::smatch match;
    if (std::regex_search(code[i], match, type)) {
      findings.push_back(at(source.path, i, "type '" + match.str(1) + "'" + advice));
    }
  }
  return findings;
}

// ── the tree ────────────────────────────────────────────────────────────────────────────────────

const fs::path kRoot = HOLDFAST_SOURCE_DIR;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<Source> sources(const std::vector<std::string>& endings) {
  std::vector<Source> found;
  for (const auto& folder : kFolders) {
    if (!fs::exists(kRoot / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      const auto path = fs::relative(entry.path(), kRoot).generic_string();
      const bool wanted = std::any_of(endings.begin(), endings.end(),
                                      [&](const std::string& e) { return path.ends_with(e); });
      if (entry.is_regular_file() && wanted) found.push_back({path, read(entry.path())});
    }
  }
  std::sort(found.begin(), found.end(), [](auto& a, auto& b) { return a.path < b.path; });
  return found;
}

std::set<std::string> ignored_by_git() {
  std::set<std::string> names;
  for (auto line : lines_of(read(kRoot / ".gitignore"))) {
    if (line.starts_with('/')) line.erase(0, 1);
    if (line.ends_with('/')) line.pop_back();
    names.insert(line);
  }
  return names;
}

void report(const Findings& findings) {
  for (const auto& finding : findings) FAIL_CHECK(finding);
}

TEST_SUITE("tidy") {
  TEST_CASE("includes point one way, and technologies stay in their edges") {
    const auto all = sources({".h", ".cpp"});
    REQUIRE(all.size() > 10);
    for (const auto& source : all) report(check_includes(source));
  }

  TEST_CASE("banned words and names") {
    for (const auto& source : sources({".h", ".cpp"})) {
      report(check_words(source));
      report(check_names(source));
    }
  }

  TEST_CASE("lines") {
    for (const auto& source : sources({".h", ".cpp", "CMakeLists.txt", ".cmake"})) {
      report(check_lines(source));
    }
    report(check_lines({"CMakeLists.txt", read(kRoot / "CMakeLists.txt")}));
  }

  TEST_CASE("every .cpp is compiled by some target") {
    const auto database = read(fs::path(HOLDFAST_BUILD_DIR) / "compile_commands.json");
    REQUIRE_MESSAGE(!database.empty(),
                    "no compile_commands.json: configure with a preset (cmake --preset)");
    for (const auto& source : sources({".cpp"})) {
      const bool compiled =
          database.find("\"" + (kRoot / source.path).generic_string() + "\"") != database.npos;
      CHECK_MESSAGE(compiled,
                    source.path << ":1: no target compiles it: add it to CMake, or delete it");
    }
  }

  TEST_CASE("each folder has its manual") {
    for (const auto& folder : kFolders) {
      CHECK_MESSAGE(
          fs::exists(kRoot / folder / "README.md"),
          folder << "/README.md:1: missing: say what it is for, its invariants, where to start");
    }
  }

  TEST_CASE("nothing else at the top") {
    static const std::set<std::string> allowed = {"CMakeLists.txt",
                                                  "CMakePresets.json",
                                                  "LICENSE",
                                                  "README.md",
                                                  ".clang-format",
                                                  ".clang-tidy",
                                                  ".editorconfig",
                                                  ".gitignore",
                                                  ".githooks",
                                                  ".github",
                                                  ".ci",
                                                  ".git",
                                                  "crdt",
                                                  "gossip",
                                                  "node",
                                                  "api",
                                                  "sim",
                                                  "tests",
                                                  "deploy"};
    const auto ignored = ignored_by_git();
    for (const auto& entry : fs::directory_iterator(kRoot)) {
      const auto name = entry.path().filename().string();
      CHECK_MESSAGE((allowed.contains(name) || ignored.contains(name)),
                    name << ": not a name for the top level: move it to the folder that it serves");
    }
  }
}

// ── the rules themselves can fail ───────────────────────────────────────────────────────────────

std::size_t includes(const std::string& path, const std::string& header) {
  return check_includes({path, "#pragma once\n#include " + header + "\n"}).size();
}
std::size_t words(const std::string& path, const std::string& text) {
  return check_words({path, "#pragma once\n" + text + "\n"}).size();
}

TEST_SUITE("tidy's own") {
  TEST_CASE("include matrix") {
    CHECK(includes("crdt/a.h", "\"gossip/frame.h\"") == 1);
    CHECK(includes("gossip/a.cpp", "\"node/command.h\"") == 1);
    CHECK(includes("node/engine.cpp", "\"api/json.h\"") == 1);
    CHECK(includes("node/engine.cpp", "\"sim/disk.h\"") == 1);
    CHECK(includes("api/routes.cpp", "\"node/engine.h\"") == 1);
    CHECK(includes("api/routes.cpp", "\"gossip/frame.h\"") == 1);
    CHECK(includes("tests/process/a_test.cpp", "\"node/command.h\"") == 1);
    CHECK(includes("crdt/a.cpp", "\"ids.h\"") == 1);
    CHECK(includes("gossip/a.cpp", "\"crdt/ids.h\"") == 0);
    CHECK(includes("node/main.cpp", "\"api/cli.h\"") == 0);
    CHECK(includes("node/serve.cpp", "\"api/routes.h\"") == 0);
    CHECK(includes("api/routes.cpp", "\"node/command.h\"") == 0);
    CHECK(includes("sim/world.cpp", "\"api/routes.h\"") == 0);
  }

  TEST_CASE("technologies") {
    CHECK(includes("node/engine.cpp", "<boost/asio/post.hpp>") == 1);
    CHECK(includes("api/routes.cpp", "<boost/beast/http.hpp>") == 1);
    CHECK(includes("node/engine.cpp", "<rocksdb/db.h>") == 1);
    CHECK(includes("node/engine.cpp", "\"rocksdb/db.h\"") == 1);
    CHECK(includes("api/json.cpp", "<spdlog/spdlog.h>") == 1);
    CHECK(includes("node/engine.cpp", "<cereal/cereal.hpp>") == 1);
    CHECK(includes("node/engine.cpp", "<boost/json.hpp>") == 1);
    CHECK(includes("api/json.cpp", "<CLI/CLI.hpp>") == 1);
    CHECK(includes("node/serve.cpp", "<toml++/toml.h>") == 1);
    CHECK(includes("gossip/frame.cpp", "<openssl/hmac.h>") == 1);
    CHECK(includes("crdt/a.cpp", "<doctest/doctest.h>") == 1);
    CHECK(includes("gossip/ws_transport.cpp", "<boost/beast/websocket.hpp>") == 0);
    CHECK(includes("api/json.cpp", "<boost/json.hpp>") == 0);
    CHECK(includes("crdt/archive.h", "<cereal/cereal.hpp>") == 0);
    CHECK(includes("node/answer_codec.cpp", "<cereal/cereal.hpp>") == 0);
    CHECK(includes("tests/gossip/a_test.cpp", "<boost/asio.hpp>") == 0);
  }

  TEST_CASE("words") {
    CHECK(words("node/serve.cpp", "co_await f();") == 1);
    CHECK(words("api/router.cpp", "co_await f();") == 0);
    CHECK(words("api/router.cpp", "co_await f(A{1});") == 1);
    CHECK(words("api/router.cpp", "co_return x ? y : z;") == 1);
    CHECK(words("crdt/a.cpp", "assert(x);") == 1);
    CHECK(words("crdt/a.cpp", "static_assert(x); RC_ASSERT(x);") == 0);
    CHECK(words("crdt/a.cpp", "auto t = std::chrono::steady_clock::now();") == 1);
    CHECK(words("node/system_clock.cpp", "auto t = std::chrono::steady_clock::now();") == 0);
    CHECK(words("gossip/a.cpp", "std::random_device d; int x = rand();") == 2);
    CHECK(words("node/engine.cpp", "std::mutex m; std::shared_mutex n;") == 1);
    CHECK(words("node/engine.cpp", "std::thread t; std::this_thread::sleep_for(x);") == 2);
    CHECK(words("node/runtime.cpp", "std::thread t; std::mutex m;") == 0);
    CHECK(words("crdt/a.h", "using namespace std;") == 1);
    CHECK(words("crdt/a.cpp", "using namespace std;") == 0);
    CHECK(check_words({"crdt/a.h", "int x;\n"}).size() == 1);
  }

  TEST_CASE("comments and strings are not code") {
    CHECK(words("crdt/a.cpp", "// assert(x)\n/* rand() \n std::mutex */ int n = 1'000'000;") == 0);
    CHECK(words("crdt/a.cpp", "auto s = \"assert(x) \\\" rand()\"; char c = '\"'; int y;") == 0);
    CHECK(words("crdt/a.cpp", "auto s = R\"x(assert(1) )\" )x\"; assert(y);") == 1);
    CHECK(words("crdt/a.cpp", "char c = '\\''; assert(y);") == 1);
  }

  TEST_CASE("lines and names") {
    const auto lines = [](const std::string& text) {
      return check_lines({"crdt/a.cpp", text}).size();
    };
    CHECK(lines(std::string(100, 'x')) == 0);
    CHECK(lines(std::string(101, 'x')) == 1);
    CHECK(lines("\tint x;") == 1);
    CHECK(lines("int x; ") == 1);
    CHECK(lines("// TO"
                "DO later") == 1);
    CHECK(columns("Σ≥") == 2);
    const auto names = [](const std::string& path, const std::string& text) {
      return check_names({path, text}).size();
    };
    CHECK(names("node/row_manager.cpp", "") == 1);
    CHECK(names("node/utils.h", "") == 1);
    CHECK(names("node/implied.h", "") == 0);
    CHECK(names("node/a.h", "class RowManager {};") == 1);
    CHECK(names("node/a.h", "struct HoldBase;") == 1);
    CHECK(names("node/a.h", "struct BaseHold;") == 1);
    CHECK(names("node/a.h", "struct Database; struct Basement; using RowMap = int;") == 0);
  }
}

}  // namespace
