#pragma once
// Which region serves the customers of a country. Pure.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace holdfast::api {

// For people: what the default below does, as --help shows it.
extern const char* const kCountryMapHelp;

class CountryMap {
 public:
  // `regions`: those that take part, in the order in which the user gave them; at least one.
  // `rules`: "COUNTRY=REGION", before the default; "*=REGION" for every country without a rule.
  // Errors: kInvalidArgument (no '=', or a region that does not take part).
  static absl::StatusOr<CountryMap> make(std::vector<std::string> regions,
                                         const std::vector<std::string>& rules);

  // An index into `regions`.
  std::size_t region_of(std::string_view country) const;

 private:
  std::vector<std::string> regions_;
  std::map<std::string, std::size_t, std::less<>> rules_;
};

}  // namespace holdfast::api
