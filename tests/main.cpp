// The doctest runner of every test program. A filter that selects nothing is an error here (doctest
// itself calls it a success), so that a test entry can't be green because its files were renamed.

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace {

unsigned selected = 0;
bool queried = false;

struct SelectionCounter : doctest::IReporter {
  explicit SelectionCounter(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override { queried = true; }
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats& stats) override {
    selected = stats.numTestCasesPassingFilters;
  }
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
REGISTER_LISTENER("selection", 1, SelectionCounter);

}  // namespace

int main(int argc, char** argv) {
  // The same cases in every run, so that a red run is red again: RC_PARAMS=seed=N draws others.
  setenv("RC_PARAMS", "seed=1", 0);
  std::signal(SIGPIPE, SIG_IGN);  // a peer that hangs up is an error of one call
  doctest::Context context(argc, argv);
  const int status = context.run();
  if (context.shouldExit() || queried) return status;
  if (selected == 0) {
    std::fprintf(stderr, "no test case matches the filters: fix the filter, or the file's name\n");
    return 1;
  }
  return status;
}
