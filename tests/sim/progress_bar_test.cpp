#include "sim/progress_bar.h"

#include <cmath>

#include <doctest/doctest.h>

namespace holdfast::sim {

TEST_SUITE("sim/progress_bar") {
  TEST_CASE("share and time left") {
    CHECK(progress_bar(0, 0) == "[--------------------]   0 %");
    CHECK(progress_bar(0.41, 8340) == "[########------------]  41 %, 13 s left");
    CHECK(progress_bar(0.1, 60'000) == "[##------------------]  10 %, 9 min left");
    CHECK(progress_bar(1, 60'000) == "[####################] 100 %");
  }
  TEST_CASE("no guess from too little, and nothing beyond the ends") {
    CHECK(progress_bar(0.5, 1999) == "[##########----------]  50 %");
    CHECK(progress_bar(0.01, 60'000) == "[--------------------]   1 %");
    CHECK(progress_bar(1.5, 60'000) == progress_bar(1, 60'000));
    CHECK(progress_bar(-1, 60'000) == progress_bar(0, 60'000));
    CHECK(progress_bar(std::nan(""), 60'000) == progress_bar(0, 60'000));
  }
}

}  // namespace holdfast::sim
