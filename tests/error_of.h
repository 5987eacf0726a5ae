// Catches the Error that a call must throw.
#pragma once

#include <gtest/gtest.h>

#include "core/error.h"

namespace mistral::test {

// Fails the test when the call returns.
template <typename Call>
[[nodiscard]] Error error_of(Call&& call) {
  try {
    (void)call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "expected an error";
  return Error(ErrorKind::kInternal, "no error was thrown");
}

}  // namespace mistral::test
