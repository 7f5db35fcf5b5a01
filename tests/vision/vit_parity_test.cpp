#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "sdg/vision/vit.h"
#include "support/fixture.h"

namespace sdg::vision {
namespace {

Vit made(const test::Fixture& f, PositionResize resize) {
  const auto weights = vit_weights(f.weights());
  Vit net(vit_shape(weights, f.name, f.config.at("num_heads").get<int64_t>(), resize));
  net->load_state(weights, f.name);
  return net;
}

// The same weights as Hugging Face's Dinov2WithRegistersModel names them.
std::map<std::string, Tensor> as_hugging_face(const std::map<std::string, Tensor>& weights) {
  std::map<std::string, Tensor> out;
  const auto replaced = [](std::string name, const std::string& from, const std::string& to) {
    if (const auto at = name.find(from); at != std::string::npos) name.replace(at, from.size(), to);
    return name;
  };
  for (const auto& [name, tensor] : weights) {
    if (const auto at = name.find("attn.qkv."); at != std::string::npos) {
      const auto block = replaced(name.substr(0, at), "blocks.", "encoder.layer."), kind = name.substr(at + 9);
      const auto parts = tensor.chunk(3);
      for (const auto& [i, part] : {std::pair{0, "query."}, {1, "key."}, {2, "value."}})
        out["dinov2." + block + "attention.attention." + part + kind] = parts[static_cast<size_t>(i)];
      continue;
    }
    auto own = replaced(name, "blocks.", "encoder.layer.");
    own = replaced(own, "attn.proj.", "attention.output.dense.");
    own = replaced(replaced(own, "ls1.gamma", "layer_scale1.lambda1"), "ls2.gamma", "layer_scale2.lambda1");
    own = replaced(own, "pos_embed", "embeddings.position_embeddings");
    own = replaced(own, "patch_embed.proj.", "embeddings.patch_embeddings.projection.");
    if (own.ends_with("_token") || own.ends_with("_tokens")) own = "embeddings." + own;
    if (own.starts_with("norm.")) own = "layer" + own;
    out["dinov2." + own] = tensor;
  }
  return out;
}

}  // namespace

TEST(VitParity, TokensAreDinov2s) {
  test::for_each_fixture("dinov2_vit", [](test::Fixture& f) {
    torch::NoGradGuard no_grad;
    const auto net = made(f, f.config.at("interpolate_antialias").get<bool>() ? PositionResize::kAntialiased
                                                                              : PositionResize::kOffsetScale);
    for (const std::string size : {"native", "larger", "nonsquare"}) {
      const auto tokens = net->forward(f.in(size));
      f.compare(size + ".x_norm_clstoken", tokens.cls);
      f.compare(size + ".x_norm_patchtokens", tokens.patches);
      if (f.has("out." + size + ".x_norm_regtokens")) f.compare(size + ".x_norm_regtokens", tokens.registers);
      EXPECT_TRUE(at::equal(net->features(f.in(size)), tokens.cls));
    }
    // Tokens before the final norm, of inner blocks and of masked patches, which no feature is taken from.
    f.expect_all_compared([](const std::string& output) {
      return output.starts_with("masked.") || output.ends_with(".x_prenorm") ||
             output.find(".last2_") != std::string::npos;
    });
    const auto named = vit_weights(as_hugging_face(f.weights()));
    Vit other(vit_shape(named, f.name, f.config.at("num_heads").get<int64_t>()));
    other->load_state(named, f.name);
    EXPECT_TRUE(at::equal(other->features(f.in("native")), net->features(f.in("native")))) << "Hugging Face's names";
  });
}

TEST(VitParity, FeatureAndPositionsAreDinos) {
  test::for_each_fixture("dino_vit", [](test::Fixture& f) {
    torch::NoGradGuard no_grad;
    const auto net = made(f, PositionResize::kOffsetScale);
    for (const std::string size : {"native", "larger", "nonsquare"}) {
      const Tensor x = f.in(size);
      f.compare(size + ".cls", net->features(x));
      f.compare(size + ".pos_embed", net->positions(x.size(2) / 8, x.size(3) / 8));
      const auto tokens = net->forward(x);
      f.compare(size + ".last3_2", at::cat({tokens.cls.unsqueeze(1), tokens.patches}, 1));
    }
    f.expect_all_compared([](const std::string& output) {  // attention and inner blocks
      return output.ends_with(".attn_last") || output.ends_with(".eval_linear_feature") ||
             output.ends_with(".last3_0") || output.ends_with(".last3_1");
    });
  });
}

TEST(VitParity, TokensAreTimms) {
  test::for_each_fixture("timm_vit", [](test::Fixture& f) {
    torch::NoGradGuard no_grad;
    const auto net = made(f, PositionResize::kAntialiased);
    for (const std::string image : {"x", "nonsquare"}) {
      if (!f.has("in." + image)) continue;
      const auto tokens = net->forward(f.in(image));
      f.compare(image + ".cls", tokens.cls);
      f.compare(image + ".patches", tokens.patches);
      f.compare(image + ".patch_mean", tokens.patches.mean(1));
      f.compare(image + ".tokens", at::cat({tokens.cls.unsqueeze(1), tokens.registers, tokens.patches}, 1));
      f.compare(image + ".pre_logits", net->features(f.in(image)));
    }
    f.expect_all_compared([](const std::string& output) { return output.find(".last2_") != std::string::npos; });
  });
}

// The stored attention A of the last layer is softmax(q k^T / sqrt(d)): the logarithms of a query's row are the keys
// times one vector, up to one number. With more patches than numbers of a key that holds for the true keys alone.
TEST(VitParity, KeysExplainTheLastAttentionOfDino) {
  test::for_each_fixture("dino_vit", [](test::Fixture& f) {
    torch::NoGradGuard no_grad;
    const auto net = made(f, PositionResize::kOffsetScale);
    const auto x = f.in("larger");
    const auto keys = net->keys(x)[0].to(at::kDouble);  // [L, D]
    const auto attention = f.out("larger.attn_last")[0].to(at::kDouble);
    const auto heads = attention.size(0), width = keys.size(1) / heads;
    if (keys.size(0) <= width + 1) return;  // any keys would do
    const auto unexplained = [&](const Tensor& of_head, int64_t head) {
      const auto basis = at::cat({of_head, at::ones({of_head.size(0), 1}, at::kDouble)}, 1);  // [L, d + 1]
      const auto logs = attention[head].slice(1, 1).log().t();                                // [L, T]
      return (logs - basis.mm(at::linalg_pinv(basis).mm(logs))).abs().max().item<double>();
    };
    for (int64_t head = 0; head < heads; ++head) {
      EXPECT_LT(unexplained(keys.slice(1, head * width, (head + 1) * width), head), 1e-3) << head;
      EXPECT_GT(unexplained(keys.slice(1, head * width, (head + 1) * width).flip(0), head), 1e-2) << head;
    }
  });
}

}  // namespace sdg::vision
