#include "api/country_map.h"

#include <algorithm>
#include <array>

#include "absl/status/status.h"

namespace holdfast::api {

const char* const kCountryMapHelp =
    "The sample orders come from a British shop with few customers overseas. So that every region\n"
    "sells, countries stand in for regions: the United Kingdom and the Channel Islands (over 90 % "
    "of\n"
    "the demand) belong to eu; EIRE, France, Belgium, Spain, Portugal, Norway, Iceland, the USA,\n"
    "Canada and Brazil to us; all others to ap. With other region names, the first given takes "
    "the\n"
    "part of eu, the second of us, the third of ap; with fewer regions they take turns. --map\n"
    "overrides a country, --map '*=REGION' all that have no --map of their own.";

namespace {

constexpr std::array<std::string_view, 2> kHome = {"United Kingdom", "Channel Islands"};
constexpr std::array<std::string_view, 10> kWest = {"EIRE",     "France", "Belgium", "Spain",
                                                    "Portugal", "Norway", "Iceland", "USA",
                                                    "Canada",   "Brazil"};
constexpr std::array<std::string_view, 3> kGroupNames = {"eu", "us", "ap"};

std::size_t group_of(std::string_view country) {
  if (std::find(kHome.begin(), kHome.end(), country) != kHome.end()) return 0;
  return std::find(kWest.begin(), kWest.end(), country) != kWest.end() ? 1 : 2;
}

}  // namespace

absl::StatusOr<CountryMap> CountryMap::make(std::vector<std::string> regions,
                                            const std::vector<std::string>& rules) {
  CountryMap map;
  map.regions_ = std::move(regions);
  for (const auto& rule : rules) {
    const auto equals = rule.rfind('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError("--map '" + rule + "' is not COUNTRY=REGION");
    }
    const std::string region = rule.substr(equals + 1);
    const auto found = std::find(map.regions_.begin(), map.regions_.end(), region);
    if (found == map.regions_.end()) {
      return absl::InvalidArgumentError("--map '" + rule + "': no --endpoint names region '" +
                                        region + "'");
    }
    map.rules_[rule.substr(0, equals)] = static_cast<std::size_t>(found - map.regions_.begin());
  }
  return map;
}

std::size_t CountryMap::region_of(std::string_view country) const {
  for (const std::string_view key : {country, std::string_view("*")}) {
    if (const auto rule = rules_.find(key); rule != rules_.end()) return rule->second;
  }
  const std::size_t group = group_of(country);
  const auto named = std::find(regions_.begin(), regions_.end(), kGroupNames[group]);
  if (named != regions_.end()) return static_cast<std::size_t>(named - regions_.begin());
  return group % regions_.size();
}

}  // namespace holdfast::api
