#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "sdg/core/error.h"
#include "sdg/tensors/weights.h"
#include "support/temporary_folder.h"
#include "tensors/torch_bytes.h"

namespace sdg::test {

inline const std::string kGoodStorage = pickle::storage("FloatStorage", "0", 6);
inline const std::string kGoodTensor = pickle::tensor(kGoodStorage, 0, {2, 3}, {3, 1});

/// What reading these bytes as a torch file says, without the path that it must begin with; on one line.
inline std::string rejection(const std::string& bytes) {
  const TemporaryFolder folder;
  test::write_text(folder / "bad.pt", bytes);
  const auto message = message_of<Error>([&] { tensors::read_weights(folder / "bad.pt"); });
  EXPECT_THAT(message, ::testing::StartsWith((folder / "bad.pt").string() + ": "));
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  return message.substr(std::min(message.size(), (folder / "bad.pt").string().size() + 2));
}

}  // namespace sdg::test
