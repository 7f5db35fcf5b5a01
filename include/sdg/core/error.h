#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace sdg {

/// An error the user can act on. The message is one line: where, what was expected, what came.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The command itself was wrong (unknown key, value out of range, missing option): the program exits with 2 instead
/// of 1.
class UsageError : public Error {
 public:
  using Error::Error;
};

/// A mistake of the program itself, which nothing the user does should bring about: the program exits with 70, as
/// sysexits.h has it, and asks for a report.
class InternalError : public Error {
 public:
  using Error::Error;
};

/// Joins anything that has operator<< into one string.
template <class... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace sdg

/// Throws sdg::Error with the joined message unless `condition` holds.
#define SDG_CHECK(condition, ...)                                  \
  do {                                                             \
    if (!(condition)) throw ::sdg::Error(::sdg::cat(__VA_ARGS__)); \
  } while (false)

/// The same for a mistake in how the program was called (exit code 2).
#define SDG_CHECK_USAGE(condition, ...)                                 \
  do {                                                                  \
    if (!(condition)) throw ::sdg::UsageError(::sdg::cat(__VA_ARGS__)); \
  } while (false)

/// Throws sdg::InternalError unless `condition`, which our own code owes to itself, holds.
#define SDG_ASSERT(condition, ...)                                                                                \
  do {                                                                                                            \
    if (!(condition)) throw ::sdg::InternalError(::sdg::cat(__VA_ARGS__, " [", __func__, ": ", #condition, "]")); \
  } while (false)
